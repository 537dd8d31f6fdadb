"""The teacher bank: the same figures with it and without it, and nothing trusted that is not whole."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdsearch.distill.bank import Bank
from kdsearch.distill.matching import layers_of, match_layers
from kdsearch.distill.session import Session, ensure_teachers, local_worker
from kdsearch.distill.shelves import cut_logits, whole_logits
from kdsearch.registry import parts
from kdsearch.space import canonical
from kdsearch.spec import Spec, is_matched, load_spec

AUGMENT = {"crop": 1, "flip": True}
CONTENT: dict[str, Any] = {
    "data": {"source": "digits", "batch_size": 256, "validation": 0.5, "augment": AUGMENT},
    "teachers": {
        "wide": {"model": {"name": "convnet", "width": 8, "depth": 3}, "epochs": 1},
        "flat": {"model": {"name": "mlp", "hidden": [32, 16]}, "epochs": 1},
    },
    "student": {"name": "convnet", "width": 4, "depth": 2},
    "optim": {"name": "sgd", "lr": 0.02, "epochs": 2},
    "bank": {"dtype": "fp32"},
}
HINT = {"weight": 0.1, "match": {"teacher": "wide", "pairs": [[0.0, 0.0]]}}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def config_of(storage: Path, distill: dict[str, Any], **sections: Any) -> tuple[Session, Spec]:
    content = {**CONTENT, "distill": distill, "compute": {"storage": str(storage)}, **sections}
    spec = load_spec(content)
    session = Session(storage, local_worker(spec))
    ensure_teachers(spec, session, lambda name, text: None)
    splits = session.resident.splits(spec)
    resolved = match_layers(spec.tree(), lambda model: layers_of(model, splits.shape, len(splits.classes)))
    return session, load_spec(canonical(resolved))


def curve(session: Session, config: Spec, storage: Path) -> list[dict[str, float]]:
    """What every epoch reported, without its time."""
    seen: list[dict[str, float]] = []

    def report(metrics: dict[str, float]) -> bool:
        seen.append({key: value for key, value in metrics.items() if key != "seconds"})
        return True

    session.trial(config, storage / "trial", report)
    return seen


def counting(session: Session, config: Spec, name: str) -> Callable[[], int]:
    """How often a teacher was run since the last call."""
    runs = 0

    def hook(*_: object) -> None:
        nonlocal runs
        runs += 1

    session.resident.teacher(config, name).register_forward_pre_hook(hook)

    def since() -> int:
        nonlocal runs
        count, runs = runs, 0
        return count

    return since


def asks(kind: str, name: str) -> dict[str, Any]:
    """What a config distills with to see one part at work."""
    teachers: dict[str, Any] = {"members": ["wide", "flat"]}
    if kind == "ensemble":
        return {"teachers": {**teachers, "combine": name}, "losses": {"ce": {}, "kd": {}}}
    loss: dict[str, Any] = {"name": name, "weight": 0.1}
    if is_matched(part := parts("loss")[name]):
        learned = part.facts.get("matching") == "learned"
        loss["match"] = {"teacher": "wide", "pairs": "all" if learned else [[0.0, 0.0], [0.5, 0.5]]}
    return {"teachers": teachers, "losses": {"ce": {}, name: loss}}


PARTS = [
    (kind, name)
    for kind in ("loss", "ensemble")
    for name, part in parts(kind).items()
    if kind == "ensemble" or any(need.startswith("teacher_") for need in part.needs)
]


@pytest.mark.parametrize(("kind", "name"), PARTS, ids=[name for _, name in PARTS])
def test_the_bank_changes_no_figure_of_any_part(kind: str, name: str, storage: Path):
    distill = asks(kind, name)
    # Some losses compare every three images of a batch.
    small = {**CONTENT["data"], "batch_size": 64}
    shutil.rmtree(storage / "bank", ignore_errors=True)
    session, config = config_of(storage, distill, data=small)
    since = counting(session, config, "wide")
    filled, ran = curve(session, config, storage), since()
    read, ran_again = curve(session, config, storage), since()
    size = Bank(storage / "bank", 0).clear()
    for bank in ({"enabled": False}, {"dtype": "fp32", "bytes": 6 * size // 10}):
        session, config = config_of(storage, distill, data=small, bank=bank)
        assert filled == read == curve(session, config, storage)
    kept = Bank(storage / "bank", 0).used()
    session, config = config_of(storage, distill, data=small, bank={"dtype": "fp16"})
    halves = [metrics["loss"] for metrics in curve(session, config, storage)]
    assert halves == pytest.approx([metrics["loss"] for metrics in filled], rel=1e-4)
    if not parts("loss").get(name) or "teacher_image_gradient" not in parts("loss")[name].needs:
        assert 0 < kept <= 6 * size // 10
        assert ran_again <= 3  # the layers of a model are read off a pass or two
        assert ran >= ran_again
    else:
        assert ran_again == ran


@pytest.mark.parametrize(
    "augment", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0, **AUGMENT}]
)
def test_mixed_images_are_banked_too(augment: dict[str, Any], tmp_path: Path):
    distill = {"teachers": {"members": ["wide", "flat"]}, "losses": {"ce": {}, "kd": {}, "hint": HINT}}
    data = {**CONTENT["data"], "augment": augment}
    session, config = config_of(tmp_path, distill, data=data)
    since = counting(session, config, "wide")
    filled, ran = curve(session, config, tmp_path), since()
    read, ran_again = curve(session, config, tmp_path), since()
    session, config = config_of(tmp_path, distill, data=data, bank={"enabled": False})
    assert filled == read == curve(session, config, tmp_path)
    assert ran_again <= 3 < ran


def test_images_that_are_not_augmented_are_shown_to_a_teacher_once(tmp_path: Path):
    data = {"source": "digits", "batch_size": 100, "validation": 0.5}
    session, config = config_of(tmp_path, asks("loss", "kd"), data=data, optim={"name": "sgd", "epochs": 5})
    since = counting(session, config, "wide")
    first, ran = curve(session, config, tmp_path), since()
    images = len(session.resident.splits(config).train)
    assert ran == -(-images // 100)
    assert (curve(session, config, tmp_path), since()) == (first, 0)
    session, config = config_of(
        tmp_path, asks("loss", "kd"), data=data, optim={"name": "sgd", "epochs": 5}, bank={"enabled": False}
    )
    assert curve(session, config, tmp_path) == first


def test_half_precision_moves_the_loss_by_no_more_than_its_rounding(storage: Path):
    losses = {}
    teachers = {"wide": {**CONTENT["teachers"]["wide"], "epochs": 30}}
    distill = {"teachers": {"members": ["wide"]}, "losses": {"kd": {"temperature": 1.0}}}
    for dtype in ("fp16", "fp32"):
        session, config = config_of(storage, distill, teachers=teachers, bank={"dtype": dtype})
        losses[dtype] = [metrics["loss"] for metrics in curve(session, config, storage)]
    assert losses["fp16"] == pytest.approx(losses["fp32"], rel=1e-4)
    assert losses["fp16"] != losses["fp32"]


def test_views_come_again(tmp_path: Path):
    session, config = config_of(
        tmp_path,
        asks("loss", "kd"),
        data={**CONTENT["data"], "views": 2},
        optim={"name": "sgd", "epochs": 5},
    )
    since = counting(session, config, "wide")
    curve(session, config, tmp_path)
    steps = len(session.resident.splits(config).train) // 256
    assert since() == 2 * steps


def test_another_teacher_never_meets_these_outputs(tmp_path: Path):
    session, config = config_of(tmp_path, asks("loss", "kd"))
    curve(session, config, tmp_path)
    weights = session.store.path(session.store.record(next(iter(session.store.folder.glob("*.json"))).stem))
    changed = weights.read_bytes()
    weights.write_bytes(changed[:-4] + bytes(4))
    session, config = config_of(tmp_path, asks("loss", "kd"))
    since = [counting(session, config, name) for name in ("wide", "flat")]
    curve(session, config, tmp_path)
    assert sorted(count() > 0 for count in since) == [False, True]


def test_only_the_most_probable_logits_are_kept_with_the_mass_of_the_rest():
    logits = torch.randn(7, 50) * 3
    for dtype, error in ((torch.float32, 1e-5), (torch.float16, 2e-2)):
        kept = cut_logits(logits, 5, dtype)
        assert kept.shape == (7, 11) and kept.dtype == dtype
        whole = whole_logits(kept, 5, 50).double().numpy()
        for row, original in zip(whole, logits.double().numpy(), strict=True):
            best = np.argsort(original)[-5:]
            np.testing.assert_allclose(row[best], original[best], atol=error)
            rest = np.delete(original, best)
            expected = np.log(np.exp(rest).sum() / len(rest))
            np.testing.assert_allclose(np.delete(row, best), expected, atol=error)


def shelf(folder: Path, rows: int = 4, limit: int = 10**6) -> Any:
    return Bank(folder, limit).shelf({"teacher": "t"}, (rows, 3), torch.float32)


def fill(target: Any, view: int = 0) -> torch.Tensor:
    rows = torch.arange(12.0).view(4, 3) + view
    target.write(view, 0, rows[:3])
    target.write(view, 3, rows[3:])
    return rows


def test_what_is_written_is_read_by_every_other(tmp_path: Path):
    rows = fill(shelf(tmp_path))
    other = shelf(tmp_path)
    assert torch.equal(other.read(0, slice(1, 3)), rows[1:3])
    assert torch.equal(other.read(0, torch.tensor([3, 0])), rows[[3, 0]])
    assert other.read(1, slice(0, 1)) is None


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"x" + data[1:], lambda data: b""])
def test_a_damaged_file_is_not_trusted(tmp_path: Path, damage: Callable[[bytes], bytes]):
    fill(shelf(tmp_path))
    (path,) = tmp_path.glob("*/view-0")
    path.write_bytes(damage(path.read_bytes()))
    assert shelf(tmp_path).read(0, slice(0, 1)) is None
    assert not path.exists()
    rows = fill(again := shelf(tmp_path))
    assert torch.equal(again.read(0, slice(0, 4)), rows)


def test_of_two_writers_one_writes(tmp_path: Path):
    first, second = shelf(tmp_path), shelf(tmp_path)
    assert first.begin(0)
    assert not second.begin(0)
    fill(first)
    assert torch.equal(second.read(0, slice(0, 4)), fill(shelf(tmp_path / "other")))


def test_a_writer_that_is_killed_leaves_nothing_that_is_trusted_or_stays(tmp_path: Path):
    code = (
        "import os, signal, sys, torch; from pathlib import Path; from kdsearch.distill.bank import Bank\n"
        "shelf = Bank(Path(sys.argv[1]), 10**6).shelf({'teacher': 't'}, (4, 3), torch.float32)\n"
        "shelf.write(0, 0, torch.ones(3, 3)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert len(list(tmp_path.glob("*/view-0.part"))) == 1
    again = shelf(tmp_path)
    assert not list(tmp_path.glob("*/*.part"))
    assert again.read(0, slice(0, 1)) is None


def test_past_its_limit_nothing_more_is_kept(tmp_path: Path):
    target = shelf(tmp_path, limit=100)
    fill(target, 0)
    fill(target, 1)
    assert [target.has(0), target.has(1)] == [True, False]


def test_a_full_disk_is_told_once_and_costs_no_trial(tmp_path: Path):
    """The limit on the size of a file fails as a full disk does: when space for the file is reserved."""
    code = (
        "import logging, os, resource, sys, torch; from pathlib import Path\n"
        "from kdsearch.distill.bank import Bank\n"
        "logging.basicConfig(format='%(message)s')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "reserve, asked = os.posix_fallocate, []\n"
        "os.posix_fallocate = lambda *given: (asked.append(given), reserve(*given))\n"
        "bank = Bank(Path(sys.argv[1]), 10**9)\n"
        "for layer in range(2):\n"
        "    shelf = bank.shelf({'teacher': 't', 'layer': layer}, (4000, 3), torch.float32)\n"
        "    for view in range(3): shelf.write(view, 0, torch.ones(4000, 3))\n"
        "    print(shelf.has(0), len(asked))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "1", "False", "1"]
    assert done.stderr.count("cannot be written") == 1
    assert not list(tmp_path.glob("*/view-*"))


def test_clearing_removes_what_is_there(tmp_path: Path):
    fill(shelf(tmp_path))
    bank = Bank(tmp_path, 10**6)
    (entry,) = bank.entries()
    assert (entry.about["teacher"], entry.views) == ("t", 1)
    assert bank.clear() == entry.bytes == bank.used() + 12 * 4 + 8
    assert not tmp_path.exists()
