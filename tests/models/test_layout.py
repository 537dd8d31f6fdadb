"""How weights lie in memory: convolutions with the channels last, and the same figures either way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kdsearch import models
from kdsearch.distill.run import run
from kdsearch.distill.session import Session, ensure_teachers, local_worker
from kdsearch.spec import load_spec

SHAPE = (1, 8, 8)
#: LeNet's way with feature maps, which those with the channels last do not allow.
FLATTENING = """\
from torch import nn


class Flattening(nn.Module):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(in_channels, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 4, 2))
        self.classifier = nn.Linear(4 * 2 * 2, num_classes)

    def forward(self, images):
        maps = self.conv(images)
        return self.classifier(maps.view(len(maps), -1))
"""


@pytest.fixture
def flattening(tmp_path, monkeypatch) -> str:
    """The name of a model that flattens by `view`."""
    (tmp_path / "flattening_of_mine.py").write_text(FLATTENING)
    monkeypatch.syspath_prepend(tmp_path)
    return "flattening_of_mine:Flattening"


def trained(folder, student, teacher):
    """The metrics of a student that learns from a teacher."""
    spec = load_spec(
        {
            "data": {"source": "digits", "batch_size": 64},
            "teachers": {"one": {"model": teacher, "epochs": 1}},
            "student": student,
            "distill": {"teachers": {"members": ["one"]}, "losses": {"ce": {}, "kd": {}}},
            "optim": {"name": "sgd", "lr": 0.05, "epochs": 3},
            "bank": {"enabled": False},
        }
    )
    session = Session(folder, local_worker(spec))
    ensure_teachers(spec, session, lambda name, text: None)
    return session.trial(spec, folder / "trial", lambda metrics: True)


@pytest.mark.parametrize("name", ["convnet", "resnet", "wrn"])
def test_models_that_convolve_are_laid_out_with_the_channels_last_and_back(name):
    model = models.build({"name": name}, SHAPE, 10, seed=0).eval()
    images = torch.rand(5, *SHAPE)
    before = model(images)
    assert not models.channels_last(model)
    models.lay_out(model, SHAPE)
    assert models.channels_last(model)
    torch.testing.assert_close(model(images.contiguous(memory_format=torch.channels_last)), before)
    models.restore(model)
    assert all(parameter.is_contiguous() for parameter in model.parameters())
    assert torch.equal(model(images), before)


def test_others_are_left_as_they_are(flattening):
    for name in ("mlp", flattening):
        model = models.build({"name": name}, SHAPE, 10, seed=0)
        models.lay_out(model, SHAPE)
        assert not models.channels_last(model) and model.training


@pytest.mark.parametrize("channels", [1, 3])
def test_what_a_teacher_says_does_not_depend_on_the_layout_of_its_images(channels, flattening):
    shape = channels, 8, 8
    images = torch.rand(5, 8, 8, channels).movedim(-1, 1)
    for name in ("resnet", "mlp", flattening):
        model = models.build({"name": name}, shape, 10, seed=0).eval()
        models.take_any_layout(model, last=models.lay_out(model, shape))
        assert torch.equal(model(images), model(images.flatten().view(images.shape)))


def test_a_trial_trains_with_the_channels_last_and_gives_weights_as_pytorch_makes_them(tmp_path):
    spec = load_spec(
        {
            "data": {"source": "digits", "batch_size": 64},
            "student": {"name": "convnet", "width": 4},
            "distill": {"losses": {"ce": {}}},
            "optim": {"name": "sgd", "lr": 0.05, "epochs": 1},
        }
    )
    session, seen = Session(tmp_path, local_worker(spec)), set()

    def note(module, inputs, output):
        if isinstance(module, nn.Conv2d) and output.shape[1] > 1:
            seen.add((module.training, output.is_contiguous(memory_format=torch.channels_last)))

    handle = nn.modules.module.register_module_forward_hook(note)
    try:
        student, _ = run(spec, session.resident, session.worker, report=lambda metrics: True)
    finally:
        handle.remove()
    assert (True, True) in seen and (True, False) not in seen
    assert all(parameter.is_contiguous() for parameter in student.parameters())


def test_a_model_may_hold_tensors_of_other_ranks():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10))
    model.register_buffer("volume", torch.zeros(1, 1, 2, 2, 2))
    model.register_parameter("planes", nn.Parameter(torch.zeros(2, 2, 2, 2).movedim(1, -1)))
    assert models.lay_out(model, SHAPE)
    models.restore(model)
    assert not models.channels_last(model)


@pytest.mark.parametrize("teacher", ["convnet", "flattening"])
@pytest.mark.parametrize("student", ["convnet", "flattening"])
def test_a_layout_changes_no_training(student, teacher, flattening, tmp_path, monkeypatch):
    named = {"convnet": {"name": "convnet", "width": 4}, "flattening": {"name": flattening}}
    metrics = trained(tmp_path / "laid", named[student], named[teacher])
    monkeypatch.setattr(models, "lay_out", lambda model, shape: None)
    others = trained(tmp_path / "not", named[student], named[teacher])
    assert metrics["loss"] == pytest.approx(others["loss"], rel=1e-3)
    assert metrics["accuracy"] == pytest.approx(others["accuracy"], abs=0.03)
