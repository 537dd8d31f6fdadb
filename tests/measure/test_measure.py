"""Taking objectives by name, kdsearch's own and the user's."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from kdsearch.errors import InputError, KdsearchError
from kdsearch.measure import Figure, basis_of, figure, measure_architecture, measure_predictions
from kdsearch.registry import find, parts

COSTS = {"macs", "parameters", "size_mb", "peak_activation_mb"}
SCORES = {"accuracy", "balanced_accuracy", "calibration_error", "class_accuracy", "macro_f1", "nll"}
FIDELITY = {"agreement", "teacher_kl"}
OWN = {*COSTS, *SCORES, *FIDELITY, "latency_ms", "energy_mj", "corruption_accuracy", "device_latency_ms"}
SHAPE = (1, 4, 4)


@pytest.fixture
def model():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))


@pytest.fixture
def users_module(tmp_path, monkeypatch):
    (tmp_path / "users_objectives.py").write_text(
        "from kdsearch.registry import register\n"
        "def recall(labels, logits):\n"
        "    return float((logits.argmax(1) == labels)[labels == 1].float().mean())\n"
        "def depth(model):\n"
        "    return len(list(model.modules()))\n"
        "@register('objective', known='timed')\n"
        "def energy(model, shape):\n"
        "    return 1.5\n"
        "def strange(model, logits):\n"
        "    return 0\n"
        "def wordy(model):\n"
        "    return 'many'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "users_objectives"
    sys.modules.pop("users_objectives", None)


@pytest.mark.parametrize("name", sorted(OWN))
def test_every_objective_declares_what_the_tables_need(name):
    part = parts("objective")[name]
    assert part.facts["direction"] in ("maximize", "minimize")
    assert part.facts["label"] and "unit" in part.facts and part.summary
    assert basis_of(part) == part.facts["known"]
    assert all(option.doc for option in part.parameters.values())


def test_the_registry_holds_exactly_the_objectives():
    assert set(parts("objective")) == OWN


def taken(names):
    return [figure(name) for name in sorted(names)]


def test_architecture_and_predictions_each_take_their_own(model):
    names = {*COSTS, *SCORES, "latency_ms"}
    before = measure_architecture(model, SHAPE, taken(names))
    after = measure_predictions(torch.eye(3), torch.tensor([0, 1, 0]), taken(names))
    assert set(before) == {*COSTS, "latency_ms"}
    assert set(after) == SCORES
    assert after["accuracy"] == pytest.approx(2 / 3)


def test_the_clock_is_only_read_when_asked(model):
    meta = nn.Sequential(nn.Flatten(), nn.Linear(16, 3, device="meta"))
    names = {*COSTS, "latency_ms"}
    free = measure_architecture(meta, SHAPE, taken(names), bases=["architecture"])
    assert free == measure_architecture(model, SHAPE, taken(names), bases=["architecture"])
    assert set(free) == COSTS
    assert set(measure_architecture(model, SHAPE, taken(names), bases=["timed"])) == {"latency_ms"}


def test_a_figure_has_its_options_and_its_own_name(model):
    logits = torch.tensor([[2.0, 0.0], [0.5, 0.0], [0.0, 1.0]])
    part = find("objective", "calibration_error")
    figures = [Figure("coarse", part, {"bins": 1}), Figure("even", part, {"bins": 3, "adaptive": True})]
    found = measure_predictions(logits, torch.tensor([0, 0, 0]), figures)
    sure = logits.double().softmax(1).max(1).values
    assert found["coarse"] == pytest.approx(abs(2 / 3 - sure.mean().item()))
    assert found["even"] == pytest.approx((1 - sure[0] + 1 - sure[1] + sure[2]).item() / 3)


def test_a_users_objective_is_named_by_what_follows_the_colon(model, users_module):
    names = [f"{users_module}:{name}" for name in ("recall", "depth", "energy")]
    assert measure_architecture(model, SHAPE, taken(names)) == {"depth": 3.0, "energy": 1.5}
    assert measure_architecture(model, SHAPE, taken(names), bases=["timed"]) == {"energy": 1.5}
    assert measure_predictions(torch.eye(3), torch.tensor([0, 1, 1]), taken(names)) == {"recall": 0.5}


def test_a_users_objective_must_take_a_model_or_predictions(model, users_module):
    with pytest.raises(InputError, match="'model' and 'shape', or 'logits' and 'labels'"):
        basis_of(find("objective", f"{users_module}:strange"))


def test_a_users_objective_must_return_a_number(model, users_module):
    with pytest.raises(KdsearchError, match="must return a number, not 'many'"):
        measure_architecture(model, SHAPE, [figure(f"{users_module}:wordy")])


def test_an_unknown_objective_is_told_the_nearest():
    with pytest.raises(InputError, match="unknown objective 'latency'; did you mean 'latency_ms'"):
        figure("latency")
