"""Where a form is called, and what is refused where there is no such place."""

from __future__ import annotations

import onnxruntime
import pytest
import torch

from kdsearch import models
from kdsearch.data.sources.digits import digits
from kdsearch.distill.resident import split
from kdsearch.distill.ship import as_trained, check_runtime, place_of, timed_as
from kdsearch.errors import InputError
from kdsearch.spec import Deploy, Spec, load_spec
from kdsearch.train import train_config

CPU, GPU = torch.device("cpu"), torch.device("cuda", 1)


def config(**deploy: object) -> Spec:
    return load_spec(
        {
            "data": {"source": "digits"},
            "student": {"name": "mlp", "hidden": [8]},
            "optim": {"epochs": 1},
            "deploy": deploy,
            "compute": {"gpus_per_worker": 1},
        }
    )


@pytest.mark.parametrize(
    ("named", "own", "expected"),
    [(None, CPU, CPU), (None, GPU, GPU), ("cpu", CPU, CPU), ("cpu", GPU, CPU), ("cuda", GPU, GPU)],
)
def test_a_form_is_called_where_its_section_says_and_else_where_the_process_computes(named, own, expected):
    assert place_of(Deploy(device=named), own) == expected


def test_a_form_for_a_gpu_is_not_called_elsewhere():
    with pytest.raises(InputError, match=r"deploy\.device: 'cuda'"):
        place_of(Deploy(device="cuda"), CPU)


def test_what_is_called_in_another_place_than_it_is_trained_is_a_copy():
    splits = split(digits(), 0.25, seed=0)
    student = models.build({"name": "mlp", "hidden": [8]}, splits.shape, 10, seed=0)
    here = as_trained(student, config(), splits, CPU)
    assert here.deployment.device == CPU and here.call.model is student
    # The student counts as trained on another device than the CPU, and must be left there.
    copied = as_trained(student, config(device="cpu", batch=2), splits, torch.device("meta"))
    assert copied.call.model is not student and copied.deployment.device == CPU
    images = splits.validation.images[:3]
    assert torch.equal(copied(images), here(images))


def test_a_latency_is_kept_by_device_where_one_is_named():
    plain = {"name": "mlp", "hidden": [8], "dropout": 0.0}
    assert timed_as(config()) == {**plain}
    named = {"format": "torch", "precision": "fp32", "device": "cpu", "batch": 1, "threads": 1}
    assert timed_as(config(device="cpu")) == {**plain, "deploy": named}
    unnamed = {"format": "torch", "precision": "fp32", "batch": 1, "threads": 2}
    assert timed_as(config(threads=2)) == {**plain, "deploy": unnamed}


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="it has one")
def test_graphs_on_a_gpu_need_a_runtime_that_knows_one():
    check_runtime(config(device="cuda"))
    check_runtime(config(format="onnx"))
    forms = {"format": {"choice": ["torch", "onnx"]}, "device": {"choice": ["cuda", "cpu"]}}
    for deploy in ({"format": "onnx", "device": "cuda"}, forms):
        with pytest.raises(InputError, match="this build of ONNX Runtime has none"):
            check_runtime(config(**deploy))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_training_for_a_gpu_where_there_is_none_is_refused_before_it_begins(tmp_path):
    spec = config(device="cuda")
    compute = spec.compute.model_copy(update={"storage": str(tmp_path / "store")})
    told: list[str] = []
    with pytest.raises(InputError, match=r"deploy\.device: 'cuda': what times it here has no GPU"):
        train_config(spec.model_copy(update={"compute": compute}), file=None, out=None, report=told.append)
    assert not told
