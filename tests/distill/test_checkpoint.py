"""A training that is cut off goes on bit for bit as it would have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kdsearch.distill.session import Session
from kdsearch.distill.teachers import teacher_key
from kdsearch.distill.worker import Worker
from kdsearch.errors import KdsearchError
from kdsearch.spec import Spec, load_spec

MATCH = {"teacher": "wide", "pairs": [["layer1", "layer1"]]}
LOSSES: dict[str, Any] = {
    "labels": {"ce": {}},
    "teachers that drop out": {"ce": {}, "kd": {}},
    "a connector of its own": {"ce": {}, "hint": {"match": MATCH}},
    "a memory of the images": {"ce": {}, "crd": {"match": MATCH}},
}


def config_of(losses: Any, epochs: int = 5, optim: str = "adamw", **distill: Any) -> Spec:
    teachers = {
        "wide": {"model": {"name": "mlp", "hidden": [32]}, "epochs": 1},
        "deep": {"model": {"name": "mlp", "hidden": [16, 16]}, "epochs": 1},
    }
    return load_spec(
        {
            "data": {"source": "digits", "batch_size": 256, "augment": {"crop": 1}},
            "teachers": teachers,
            "student": {"name": "mlp", "hidden": [8]},
            "distill": {
                "teachers": {"members": ["wide", "deep"], "dropout": 0.3},
                "losses": losses,
                **distill,
            },
            "optim": {"name": optim, "epochs": epochs, "warmup": 0.2},
        }
    )


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("storage")
    session = Session(folder, Worker(torch.device("cpu")))
    spec = config_of({"ce": {}})
    for name in spec.teachers:
        session.teacher(spec, name, lambda metrics: True)
    return folder


def train(storage: Path, config: Spec, folder: Path, cut: int | None = None) -> tuple[list[Any], Any]:
    """Train in a new session, as after a restart; `cut` ends it after that epoch.

    Returns what was reported of each epoch, its seconds with it, and the final metrics.
    """
    seen: list[Any] = []

    def report(metrics: dict[str, float]) -> bool:
        seen.append(metrics)
        return metrics["epoch"] != cut

    metrics = Session(storage, Worker(torch.device("cpu"))).trial(config, folder, report)
    metrics.pop("seconds")
    return seen, metrics


def epochs(seen: list[Any]) -> list[float]:
    return [metrics["epoch"] for metrics in seen]


def same(one: Path, other: Path) -> bool:
    first, second = (load_file(folder / "student.safetensors") for folder in (one, other))
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES)
def test_it_goes_on_bit_for_bit(losses, storage, tmp_path):
    config = config_of(losses)
    _, whole = train(storage, config, tmp_path / "whole")
    before, _ = train(storage, config, tmp_path / "cut", cut=2)
    assert not same(tmp_path / "whole", tmp_path / "cut")
    seen, resumed = train(storage, config, tmp_path / "cut")
    assert epochs(seen) == [1, 2, 3, 4, 5] and seen[:2] == before  # told again, not trained again
    assert resumed == whole
    assert same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("optim", ["sgd", "adamw"])
def test_convolutions_go_on_bit_for_bit_however_they_lay_in_memory(optim, storage, tmp_path):
    config = load_spec(
        {**config_of({"ce": {}}, optim=optim).plain(), "student": {"name": "convnet", "width": 4}}
    )
    _, whole = train(storage, config, tmp_path / "whole")
    train(storage, config, tmp_path / "cut", cut=2)
    path = tmp_path / "cut/checkpoint.pt"
    saved = torch.load(path)
    for kept in saved["optimizer"]["state"].values():
        for name, value in kept.items():
            kept[name] = value.contiguous() if isinstance(value, torch.Tensor) else value
    torch.save(saved, path)
    _, resumed = train(storage, config, tmp_path / "cut")
    assert resumed == whole and same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("cut", [1, 3])
def test_it_goes_on_in_the_stage_that_it_was_in(cut, storage, tmp_path):
    stages = [{"epochs": 2, "losses": {"hint": LOSSES["a connector of its own"]["hint"]}}]
    config = config_of({"ce": {}, "kd": {}}, stages=stages)
    _, whole = train(storage, config, tmp_path / "whole")
    before, _ = train(storage, config, tmp_path / "cut", cut=cut)
    seen, resumed = train(storage, config, tmp_path / "cut")
    assert epochs(seen) == [1, 2, 3, 4, 5] and seen[:cut] == before
    assert resumed == whole and same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize(
    "damage", [b"", b"PK\x03\x04 this is no checkpoint", None], ids=["empty", "other", "cut"]
)
def test_a_damaged_checkpoint_is_thrown_away_and_training_begins_anew(damage, storage, tmp_path):
    config = config_of({"ce": {}})
    _, whole = train(storage, config, tmp_path / "whole")
    before, _ = train(storage, config, tmp_path / "cut", cut=3)
    path = tmp_path / "cut/checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    seen, again = train(storage, config, tmp_path / "cut")
    assert epochs(seen) == [1, 2, 3, 4, 5] and seen[:3] != before and again == whole


def test_a_checkpoint_that_would_run_code_is_not_loaded(storage, tmp_path):
    class Hostile:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "trial").mkdir()
    torch.save({"epoch": 3, "objective": Hostile()}, tmp_path / "trial/checkpoint.pt")
    seen, _ = train(storage, config_of({"ce": {}}), tmp_path / "trial")
    assert epochs(seen) == [1, 2, 3, 4, 5] and not (tmp_path / "ran").exists()


def test_a_short_training_pays_for_no_checkpoint(storage, tmp_path):
    train(storage, config_of({"ce": {}}), tmp_path / "short")
    assert not (tmp_path / "short/checkpoint.pt").exists()


def test_a_teacher_that_is_cut_off_is_not_stored_and_goes_on(tmp_path):
    spec = config_of({"ce": {}})
    teachers = {"wide": {"model": {"name": "mlp", "hidden": [8]}, "epochs": 4}}
    spec = load_spec({**spec.plain(), "teachers": teachers, "distill": {"losses": {"ce": {}}}})

    def teach(folder: Path, cut: int | None = None) -> tuple[list[float], Any]:
        seen: list[float] = []
        session = Session(folder, Worker(torch.device("cpu")))
        record = session.teacher(spec, "wide", lambda m: seen.append(m["seconds"]) or m["epoch"] != cut)
        return seen, record

    with pytest.raises(KdsearchError, match="stopped after epoch 2"):
        teach(tmp_path / "cut", cut=2)
    first = torch.load(tmp_path / f"cut/teachers/{teacher_key(spec, 'wide')}.checkpoint")["told"]
    assert not list((tmp_path / "cut/teachers").glob("*.json"))
    seen, record = teach(tmp_path / "cut")
    assert seen[:2] == [metrics["seconds"] for metrics in first] and len(seen) == 4
    assert record == teach(tmp_path / "whole")[1]
    assert not list((tmp_path / "cut/teachers").glob("*.checkpoint"))
