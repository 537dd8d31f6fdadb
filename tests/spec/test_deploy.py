import importlib.util

import pytest

from kdsearch.errors import InputError, SpecError
from kdsearch.space import canonical, describe, dimensions, fingerprint, sample
from kdsearch.spec import AS_TRAINED, check_onnx_installed, load_spec

BASE = {"data": {"source": "digits"}, "student": {"name": "mlp", "hidden": [8]}, "optim": {"epochs": 1}}
NESTED = {
    "choice": [
        {"format": "torch", "precision": {"choice": ["fp32", "fp16"]}},
        {"format": "onnx", "precision": {"choice": ["fp32", "int8"]}, "threads": {"int": [1, 4]}},
    ]
}


class Always:
    """Suggests the last option of everything."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def suggest_categorical(self, name, choices):
        self.asked.append(name)
        return choices[-1]

    def suggest_int(self, name, low, high, **_):
        self.asked.append(name)
        return high


def config(**deploy):
    return canonical(load_spec(BASE | {"deploy": deploy}).tree())


def test_a_spec_that_says_nothing_ships_what_was_trained():
    assert load_spec(BASE).tree()["deploy"] == AS_TRAINED
    trained = {"format": "torch", "precision": "fp32", "device": None, "batch": 1, "threads": 1}
    assert trained == AS_TRAINED


def test_values_may_be_domains_and_forms_may_be_nested():
    spec = load_spec(BASE | {"deploy": NESTED})
    assert [d.name for d in dimensions(spec)] == [
        "deploy",
        "deploy.torch.precision",
        "deploy.onnx.precision",
        "deploy.onnx.threads",
    ]
    trial = Always()
    drawn = sample(spec, trial)["deploy"]
    assert drawn == {"format": "onnx", "precision": "int8", "device": None, "batch": 1, "threads": 4}
    assert trial.asked == ["deploy", "deploy.onnx.precision", "deploy.onnx.threads"]
    assert load_spec(spec.plain()) == spec


def test_flat_domains_have_the_names_of_their_keys():
    flat = {"format": "onnx", "precision": {"choice": ["fp32", "fp16", "int8"]}, "batch": {"int": [1, 8]}}
    assert [d.name for d in dimensions(load_spec(BASE | {"deploy": flat}))] == [
        "deploy.precision",
        "deploy.batch",
    ]


def test_the_form_is_part_of_a_configs_identity_and_leaves_that_of_others_as_it_was():
    plain = canonical(load_spec(BASE).tree())
    older = {key: value for key, value in plain.items() if key != "deploy"}
    assert fingerprint(plain) == fingerprint(older) == fingerprint(config(format="torch"))
    forms = [
        {"format": "onnx"},
        {"format": "onnx", "precision": "int8"},
        {"precision": "fp16"},
        {"threads": 2},
        {"batch": 2},
        {"device": "cpu"},
        {"format": "onnx", "device": "cpu"},
    ]
    assert len({fingerprint(plain), *(fingerprint(config(**form)) for form in forms)}) == 8
    # As it was before there was a device to name.
    assert fingerprint(config(format="onnx")) == "6458da059693"
    told = config(format="onnx")
    unnamed = {key: value for key, value in told["deploy"].items() if key != "device"}
    assert fingerprint(told | {"deploy": unnamed}) == fingerprint(told)


def test_the_device_may_be_searched_and_is_told_in_the_recipe():
    spec = load_spec(BASE | {"deploy": {"device": {"choice": ["cpu", "cuda"]}}, "compute": GPU})
    assert [d.name for d in dimensions(spec)] == ["deploy.device"]
    drawn = sample(spec, Always())
    assert drawn["deploy"]["device"] == "cuda"
    assert describe(canonical(drawn)).endswith(" · as torch fp32 device cuda")


GPU = {"gpus_per_worker": 0.5}


@pytest.mark.parametrize(
    "sections",
    [
        {"deploy": {"device": "cuda"}, "compute": GPU},
        {"deploy": {"device": "cuda"}, "measure": {"resources": {"GPU": 1}}},
        {"deploy": {"device": "cpu"}},
        {"deploy": {"device": "cpu"}, "compute": GPU, "measure": {"resources": {"edge": 1}}},
    ],
)
def test_a_device_is_taken_where_the_worker_that_times_has_it(sections):
    assert load_spec(BASE | sections).tree()["deploy"]["device"] in ("cpu", "cuda")


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"deploy": {"device": "cuda"}}, "deploy.device"),
        ({"deploy": {"device": {"choice": ["cpu", "cuda"]}}}, "deploy.device.choice.1"),
        ({"deploy": {"choice": [{}, {"device": "cuda"}]}}, "deploy.choice.1.device"),
        (
            {"deploy": {"device": "cuda"}, "compute": GPU, "measure": {"resources": {"edge": 1}}},
            "deploy.device",
        ),
    ],
)
def test_a_gpu_that_the_worker_that_times_has_not_is_refused(sections, key):
    with pytest.raises(SpecError) as refused:
        load_spec(BASE | sections)
    hint = "compute.gpus_per_worker, or measure.resources: {GPU: 1}, gives it one"
    assert f"{key}: 'cuda': the worker that times students has no GPU; {hint}" in str(refused.value)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({}, ""),
        ({"format": "onnx"}, " · as onnx fp32"),
        ({"format": "onnx", "precision": "int8", "threads": 4}, " · as onnx int8 threads 4"),
    ],
)
def test_a_recipe_says_how_it_ships(form, words):
    assert describe(config(**form)).endswith(f"1 ce{words}")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"precision": "int8"}, "deploy.precision: 'int8' is for format 'onnx'"),
        (
            {"format": {"choice": ["torch", "onnx"]}, "precision": {"choice": ["fp32", "int8"]}},
            "to search both write deploy: {choice:",
        ),
        ({"formt": "onnx"}, "deploy.formt: unknown key 'formt'; did you mean 'format'?"),
        ({"format": "onx"}, "deploy.format: expected 'torch' or 'onnx', got 'onx'"),
        ({"device": "gpu"}, "deploy.device: expected"),
        ({"batch": 0}, "deploy.batch"),
        ({"threads": "two"}, "deploy.threads"),
        ({"batch": {"float": [1, 2]}}, "a 'float' domain is not allowed here"),
        ({"choice": [{"format": "torch", "precision": "int8"}]}, "deploy.choice.0.precision"),
        ("onnx", "deploy: expected a mapping"),
    ],
)
def test_what_cannot_ship_is_refused(form, message):
    with pytest.raises(SpecError) as refused:
        load_spec(BASE | {"deploy": form})
    assert message in str(refused.value)


def test_the_nesting_that_an_error_proposes_is_valid():
    with pytest.raises(SpecError) as refused:
        load_spec(BASE | {"deploy": {"precision": "int8"}})
    proposed = str(refused.value).partition("write deploy: ")[2]
    assert dimensions(load_spec(BASE, [f"deploy={proposed}"]))


def test_onnx_without_the_extra_is_refused_with_how_to_install_it(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "onnxruntime" else found(name, *a)
    )
    with pytest.raises(SpecError) as refused:
        load_spec(BASE | {"deploy": NESTED})
    expected = "needs onnxruntime: install the extra with pip install 'kdsearch[onnx]'"
    assert f"deploy.choice.1.format: format 'onnx' {expected}" in str(refused.value)
    with pytest.raises(InputError, match=r"student\.onnx needs onnxruntime"):
        check_onnx_installed("student.onnx")
    assert load_spec(BASE).deploy.format == "torch"
