import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import distributed

from kdsearch.distill.losses.crd import crd
from tests.distill.losses.naive import array, draw, linear, tensor, unit

STUDENT, TEACHER = draw(3, 4, 3, 3), draw(3, 7)
LABELS, INDICES, DRAWN = [0, 1, 0], [2, 8, 5], [1, 8, 3, 2, 9, 3]
M, TAU, N = 10, 0.3, len(DRAWN)


def made(**options):
    torch.manual_seed(0)
    loss = crd((4, 3, 3), (7,), M, negatives=N, temperature=TAU, dim=6, **options).double()
    loss.draw = lambda device: torch.tensor(DRAWN)
    return loss


def given():
    return tensor(STUDENT), tensor(TEACHER), torch.tensor(LABELS), torch.tensor(INDICES)


def embedded(loss):
    s = unit(linear(STUDENT.mean((2, 3)), loss.embed_student.project))
    return s, unit(linear(TEACHER, loss.embed_teacher.project))


def expected(loss, positive, normaliser, kept):
    s, t = embedded(loss)
    banks = array(loss.students).copy(), array(loss.teachers).copy()
    total = np.zeros(3)
    for anchors, current, bank in ((s, t, banks[1]), (t, s, banks[0])):
        pairs = [
            a @ (c if positive == "current" else bank[k])
            for a, c, k in zip(anchors, current, INDICES, strict=True)
        ]
        others = [[a @ bank[j] for j in DRAWN if kept(i, j)] for i, a in enumerate(anchors)]
        scores = np.exp(np.concatenate([pairs, *others]) / TAU)
        z = M * np.mean(scores) if normaliser == "first_batch" else 1

        def h(x, z=z):
            return np.exp(x / TAU) / z / (np.exp(x / TAU) / z + N / M)

        for i in range(3):
            total[i] -= np.log(h(pairs[i])) + N * np.mean([np.log(1 - h(x)) for x in others[i]])
    return total


@pytest.mark.parametrize("normaliser", ["first_batch", "none"])
@pytest.mark.parametrize("positive", ["current", "memory"])
def test_it_is_noise_contrastive_estimation_both_ways(positive, normaliser):
    loss = made(positive=positive, normaliser=normaliser)
    wanted = expected(loss, positive, normaliser, lambda i, j: INDICES[i] != j)
    np.testing.assert_allclose(array(loss(*given())), wanted, rtol=1e-10)


def test_images_known_to_be_of_the_same_class_can_be_left_out():
    loss = made(exclude="class")
    known = {1: 0, 3: 1}
    loss.labels[list(known)] = torch.tensor(list(known.values()))
    wanted = expected(
        loss, "current", "first_batch", lambda i, j: INDICES[i] != j and known.get(j) != LABELS[i]
    )
    np.testing.assert_allclose(array(loss(*given())), wanted, rtol=1e-10)


def test_the_bank_follows_the_embeddings_with_momentum():
    loss = made(momentum=0.25)
    before, s = array(loss.students).copy(), embedded(loss)[0]
    loss(*given())
    before[INDICES] = unit(0.25 * before[INDICES] + 0.75 * s)
    np.testing.assert_allclose(array(loss.students), before, rtol=1e-10)
    assert loss.labels[INDICES].tolist() == LABELS
    loss.eval()(*given())
    np.testing.assert_allclose(array(loss.students), before, rtol=1e-10)


def test_the_normaliser_is_set_by_the_first_batch_only_and_saved_with_the_bank():
    loss = made()
    loss(*given())
    first = loss.log_z.clone()
    loss(*given())
    assert torch.equal(loss.log_z, first)
    assert {"students", "teachers", "labels", "log_z"} <= set(loss.state_dict())
    other = made()
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other(*given()), loss(*given()))


def test_it_draws_evenly_from_all_images():
    torch.manual_seed(0)
    drawn = crd((4,), (7,), 10, negatives=5000).draw(torch.device("cpu"))
    assert (drawn.bincount(minlength=10) / 5000 - 0.1).abs().max() < 0.02


def test_the_bank_is_gathered_over_a_process_group():
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        grouped, alone = made(), made()
        assert torch.equal(grouped(*given()), alone(*given()))
    finally:
        distributed.destroy_process_group()
    assert torch.equal(grouped.students, alone.students)


OF_TWO = """
import sys
import torch
from torch import distributed
from kdsearch.distill.losses.crd import crd
rank, folder = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2)
student, teacher, labels, indices = torch.load(f"{folder}/batch.pt")
mine = slice(0, 2) if rank == 0 else slice(2, 3)
torch.manual_seed(0)
loss = crd((4, 3, 3), (7,), 10, negatives=6, dim=6)
for _ in range(2):
    loss(student[mine], teacher[mine], labels[mine], indices[mine])
torch.save(dict(loss.named_buffers()), f"{folder}/{rank}.pt")
distributed.destroy_process_group()
"""


def test_workers_with_shares_of_different_length_keep_the_same_bank_as_one_with_all(tmp_path):
    batch = [torch.tensor(array).float() for array in (STUDENT, TEACHER)] + [*given()[2:]]
    torch.save(batch, tmp_path / "batch.pt")
    command = [sys.executable, "-c", OF_TWO]
    workers = [subprocess.Popen([*command, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    torch.manual_seed(0)
    alone = crd((4, 3, 3), (7,), 10, negatives=6, dim=6)
    for _ in range(2):
        alone(*batch)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for name in ("students", "teachers", "labels"):
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], alone.get_buffer(name))
    assert torch.equal(first["log_z"], second["log_z"])
