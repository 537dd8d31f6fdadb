"""Every loss and every ensemble, named in a spec and trained with for an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kdsearch import models
from kdsearch.distill.assemble import assemble
from kdsearch.distill.matching import layers_of, match_layers
from kdsearch.distill.run import make_batches
from kdsearch.distill.session import Session, ensure_teachers, local_worker
from kdsearch.registry import parts
from kdsearch.space import canonical
from kdsearch.spec import is_matched, load_spec

CONTENT: dict[str, Any] = {
    "data": {"source": "digits", "batch_size": 256, "validation": 0.5},
    "teachers": {
        "wide": {"model": {"name": "convnet", "width": 8, "depth": 3}, "epochs": 1},
        "flat": {"model": {"name": "mlp", "hidden": [32, 16]}, "epochs": 1},
    },
    "student": {"name": "convnet", "width": 4, "depth": 2},
    "optim": {"name": "sgd", "lr": 0.02, "epochs": 1},
}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def trained(distill: dict[str, Any], storage: Path, **sections: Any) -> tuple[Session, Any, dict[str, float]]:
    spec = load_spec({**CONTENT, "distill": distill, "compute": {"storage": str(storage)}, **sections})
    session = Session(storage, local_worker(spec))
    ensure_teachers(spec, session, lambda name, text: None)
    splits = session.resident.splits(spec)
    config = match_layers(spec.tree(), lambda m: layers_of(m, splits.shape, len(splits.classes)))
    checked = load_spec(canonical(config))
    seen: list[dict[str, float]] = []

    def report(metrics: dict[str, float]) -> bool:
        seen.append(metrics)
        return True

    session.trial(checked, storage / "trial", report)
    return session, checked, seen[-1]


@pytest.mark.parametrize("name", parts("loss"))
def test_every_loss_trains_a_student_from_a_spec(name, storage):
    part = parts("loss")[name]
    loss: dict[str, Any] = {"weight": 0.1}
    if is_matched(part):
        learned = part.facts.get("matching") == "learned"
        loss["match"] = {"teacher": "wide", "pairs": "all" if learned else [[0.0, 0.0], [0.5, 0.5]]}
    distill = {"teachers": {"members": ["wide", "flat"]}, "losses": {"ce": {}, name: {**loss, "name": name}}}
    _, config, metrics = trained(distill, storage)
    assert math.isfinite(metrics[f"loss/{name}"])
    assert set(config.distill.losses) == {"ce", name}


@pytest.mark.parametrize("name", parts("ensemble"))
def test_every_ensemble_trains_a_student_from_a_spec(name, storage):
    teachers = {"members": ["wide", "flat"], "combine": name, "dropout": 0.3}
    _, _, metrics = trained({"teachers": teachers, "losses": {"ce": {}, "kd": {}}}, storage)
    assert math.isfinite(metrics["loss"])


def test_a_losss_own_parameters_are_trained_and_not_shipped(storage):
    pairs = {"teacher": "wide", "pairs": [["stage2", "stage3"]]}
    session, config, _ = trained({"losses": {"ce": {}, "hint": {"match": pairs}}}, storage)
    from safetensors.torch import load_file

    from kdsearch import models

    splits = session.resident.splits(config)
    student = models.build(config.tree()["student"], splits.shape, len(splits.classes), seed=0)
    _, objective = assemble(config, config.distill.losses, student, session.resident, splits)
    own = {name for name, _ in objective.named_parameters() if not name.startswith("student.")}
    assert own
    assert set(load_file(storage / "trial/student.safetensors")) == set(student.state_dict())


def test_a_teacher_that_only_gives_hints_stops_at_its_deepest_hinted_layer(storage):
    pairs = {"teacher": "wide", "pairs": [["stage1", "stage1"]]}
    losses = {"ce": {}, "hint": {"match": pairs}}
    session, config, _ = trained({"losses": losses}, storage, bank={"enabled": False})
    ran: list[str] = []
    teacher = session.resident.teacher(config, "wide")
    handles = [
        module.register_forward_hook(lambda *_, path=path: ran.append(path))
        for path, module in teacher.named_children()
    ]
    session.trial(config, storage / "trial", lambda metrics: True)
    for handle in handles:
        handle.remove()
    # Its shapes are read off two whole passes; those for batches end early.
    assert ran.count("classifier") <= 2 < ran.count("stage1")


def test_stages_come_one_after_the_other_within_the_epochs(storage):
    pairs = {"teacher": "wide", "pairs": [["stage1", "stage1"]]}
    stages = [
        {"fraction": 0.4, "losses": {"hint": {"match": pairs}}, "optim": {"name": "adamw", "lr": 0.003}},
        {"epochs": 1, "losses": {"ce": {}}},
    ]
    distill = {"teachers": {"members": ["wide"]}, "losses": {"kd": {}}, "stages": stages}
    spec = load_spec({**CONTENT, "optim": {"name": "sgd", "lr": 0.02, "epochs": 5}, "distill": distill})
    session = Session(storage, local_worker(spec))
    ensure_teachers(spec, session, lambda name, text: None)
    seen: list[dict[str, float]] = []

    def report(metrics: dict[str, float]) -> bool:
        seen.append(metrics)
        return True

    session.trial(spec, storage / "trial", report)
    assert [metrics["epoch"] for metrics in seen] == [1, 2, 3, 4, 5]
    told = [[key for key in metrics if key.startswith("loss/")] for metrics in seen]
    assert told == [["loss/hint"]] * 2 + [["loss/ce"]] + [["loss/kd"]] * 2
    assert seen[1]["loss/hint"] < seen[0]["loss/hint"]


def test_a_search_that_is_stopped_in_a_stage_goes_no_further(storage):
    stages = [{"epochs": 2, "losses": {"ce": {}}}]
    spec = load_spec(
        {
            **CONTENT,
            "optim": {"name": "sgd", "epochs": 4},
            "distill": {"losses": {"ce": {}}, "stages": stages},
        }
    )
    seen: list[float] = []
    metrics = Session(storage, local_worker(spec)).trial(
        spec, storage / "trial", lambda metrics: bool(seen.append(metrics["epoch"]))
    )
    assert (seen, metrics["epoch"]) == ([1], 1)


def test_two_teachers_hint_each_by_layers_of_its_own(storage):
    match = [
        {"teacher": "wide", "pairs": [["stage1", "stage1"], ["stage2", "stage3"]]},
        {"teacher": "flat", "pairs": "last"},
    ]
    distill = {
        "teachers": {"members": ["wide", "flat"]},
        "losses": {"ce": {}, "kd": {}, "hint": {"match": match}},
    }
    _, config, metrics = trained(distill, storage)
    assert math.isfinite(metrics["loss/hint"])
    assert [(m.teacher, len(m.pairs)) for m in config.distill.losses["hint"].matched] == [
        ("wide", 2),
        ("flat", 1),
    ]


@pytest.mark.parametrize("teacher", ["wide", "flat"])
def test_simkd_ships_the_projector_and_the_classifier_of_its_teacher(teacher, storage):
    distill = {"teachers": {"members": [teacher]}, "losses": {"simkd": {}}}
    session, config, metrics = trained(distill, storage)
    from safetensors.torch import load_file

    theirs = session.resident.teacher(config, teacher).state_dict()
    ours = load_file(storage / "trial/student.safetensors")
    assert config.student.part == "reused"
    for kind in ("weight", "bias"):
        assert torch.equal(ours[f"classifier.{kind}"], theirs[f"classifier.{kind}"])
    assert any(key.startswith("projector.") for key in ours)
    assert metrics["loss/simkd"] > 0


def test_a_student_that_reuses_a_classifier_counts_what_it_ships(storage):
    from kdsearch import models

    def parameters(config):
        return sum(p.numel() for p in models.build(config, (1, 8, 8), 10).parameters())

    body, teacher = ({"name": "convnet", "width": w, "depth": d} for w, d in ((4, 2), (8, 3)))
    middle, last, mine = 16, 32, 8
    projector = mine * middle + 9 * middle * middle + middle * last + 2 * (2 * middle + last)
    assert parameters({"name": "reused", "body": body, "teacher": teacher}) == (
        parameters(body) - (mine + 1) * 10 + projector + (last + 1) * 10
    )


def test_the_image_gradient_of_merged_teachers_is_that_of_what_they_are_merged_into(storage):
    teachers = {"members": ["wide", "flat"], "combine": "mean_logits"}
    losses = {"attention_gradient": {}}
    session, config, _ = trained({"teachers": teachers, "losses": losses}, storage)
    splits = session.resident.splits(config)
    student = models.build(config.tree()["student"], splits.shape, len(splits.classes), seed=0)
    asked, objective = assemble(config, config.distill.losses, student, session.resident, splits)
    batch = next(iter(make_batches(config, splits, session.worker).epoch(0)))

    def gradient(answer: Callable[[Tensor], Tensor]) -> Tensor:
        images = batch.images.detach().requires_grad_()
        chosen = answer(images).log_softmax(1).gather(1, batch.labels[:, None])
        return torch.autograd.grad(-chosen.sum(), images)[0]

    wide, flat = (session.resident.teacher(config, name) for name in ("wide", "flat"))
    theirs = gradient(lambda images: (wide(images) + flat(images)) / 2)
    expected = (gradient(objective.student.train()) - theirs).square().sum((1, 2, 3)).mean() / 2
    total, _ = objective(batch, asked(batch))
    torch.testing.assert_close(total, expected, rtol=1e-4, atol=0)
    total.backward()
    assert all(p.grad is not None for p in objective.parameters())
    asked.close()
    objective.close()
