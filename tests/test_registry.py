"""The registry reads from source what importing would tell, and reaches parts of the user's own."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from kdsearch.errors import InputError
from kdsearch.registry import KINDS, Part, find, metric, parts, register
from kdsearch.spec import load_spec
from kdsearch.types import Searched

EVERY = [part for kind in KINDS for part in parts(kind).values()]


@pytest.mark.parametrize("part", EVERY, ids=lambda part: f"{part.kind}-{part.name}")
def test_the_signature_read_from_source_is_the_one_that_python_sees(part: Part):
    target = part.load()
    # A part behind a prefix is a function with its name filled in.
    seen = inspect.signature(target.func if part.facts.get("prefix") else target).parameters  # type: ignore[attr-defined]
    options = {
        name: parameter
        for name, parameter in seen.items()
        if name not in KINDS[part.kind].supplied
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    assert list(part.parameters) == list(options)
    for name, parameter in options.items():
        read = part.parameters[name]
        assert read.required == (parameter.default is parameter.empty)
        assert read.required or read.default == parameter.default
        assert parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    assert part.open == any(parameter.kind is parameter.VAR_KEYWORD for parameter in seen.values())


@pytest.mark.parametrize("part", EVERY, ids=lambda part: f"{part.kind}-{part.name}")
def test_every_part_says_what_it_and_each_of_its_options_is(part: Part):
    assert part.summary
    assert [name for name, parameter in part.parameters.items() if not parameter.doc] == []


def test_the_kinds_have_the_parts_that_a_spec_names():
    assert {"mlp", "convnet", "resnet", "wrn", "torchvision:", "timm:"} <= set(parts("model"))
    assert {"ce", "kd", "hint"} <= set(parts("loss"))
    assert {"tpe", "nsga2", "nsga3", "gp", "random"} == set(parts("sampler"))
    assert {"accuracy", "size_mb", "parameters", "macs", "latency_ms"} <= set(parts("objective"))
    temperature = find("loss", "kd").parameters["temperature"]
    assert isinstance(temperature.searched, Searched)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_name_is_answered_with_the_nearest(kind: str):
    known = next(name for name in parts(kind) if not name.endswith(":"))
    with pytest.raises(InputError, match=f"unknown {kind} '{known}x'; did you mean '{known}'"):
        find(kind, f"{known}x")


def test_a_kind_that_does_not_exist_cannot_be_registered():
    with pytest.raises(InputError, match="unknown kind of part 'los'; did you mean 'loss'"):
        register("los")


MINE = '''
import nowhere_to_be_found
from kdsearch import register
from kdsearch.types import Positive
from torch import nn


def undecorated(shape, classes, *, width: Positive = 2.0, name: "int | None" = None, act=nn.ReLU):
    """A model.

    Args:
        width: Of it.
    """


class Net(nn.Module):
    def __init__(self, num_classes: int, depth: "int" = 3, odd: int[3] = 1):
        """Args:
            depth: Of it.
        """

    def forward(self, images): ...


@register()
@unrelated.register("x", y=nn)
@register("loss", family="mine", paper="Me (2026)")
class Mine(nn.Module):
    def __init__(self, *, power: int = 2): ...

    def forward(self, student_logits, teacher_logits): ...


def anything(shape, classes, **options): ...
'''


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the user's; its modules cannot even be imported, which reading them does not need."""
    package = tmp_path / "mine_parts"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "parts.py").write_text(MINE)
    (package / "broken.py").write_text("def f(:\n")
    (tmp_path / "mine_falls.py").write_text(
        "def build(shape, classes): ...\nraise RuntimeError('at import')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_parts", raising=False)
    return package


def test_a_part_of_the_user_s_own_is_read_without_importing_its_module(mine: Path):
    part = find("model", "mine_parts.parts:undecorated")
    assert list(part.parameters) == ["width"], "`act` has a default that no spec can write; `name` is ours"
    assert (part.parameters["width"].default, part.parameters["width"].doc) == (2.0, "Of it.")
    assert "mine_parts.parts" not in sys.modules
    loss = find("loss", "mine_parts.parts:Mine")
    assert (loss.needs, loss.facts) == (
        ("student_logits", "teacher_logits"),
        {"family": "mine", "paper": "Me (2026)"},
    )
    assert find("model", "mine_parts.parts:anything").open


def test_its_options_are_checked_like_those_of_ours(mine: Path):
    spec = {"data": "digits", "student": {"name": "mine_parts.parts:Net", "depth": {"int": [1, 4]}}}
    assert load_spec(spec)
    for options, message in (
        ({"dept": 1}, "unknown key 'dept'; did you mean 'depth'?"),
        ({"depth": "deep"}, "expected an integer, got 'deep'"),
    ):
        with pytest.raises(InputError, match=message.replace("?", r"\?")):
            load_spec({**spec, "student": {"name": "mine_parts.parts:Net", **options}})
    assert load_spec({**spec, "student": {"name": "mine_parts.parts:anything", "what": "ever"}})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine_parts.parts:Nett", "'mine_parts.parts' defines no 'Nett'; did you mean 'Net'?"),
        ("mine_parts.prts:Net", "there is no module 'mine_parts.prts' on the Python path"),
        ("mine_part.parts:Net", "there is no module 'mine_part.parts' on the Python path"),
        ("mine_parts.broken:f", "'mine_parts.broken' is not Python: invalid syntax"),
        ("mine_parts:", "unknown model 'mine_parts:'"),
        (":Net", "there is no module '' on the Python path"),
    ],
)
def test_what_is_not_there_is_told_in_words(mine: Path, name: str, message: str):
    with pytest.raises(InputError) as refusal:
        find("model", name)
    assert message in str(refusal.value)


def test_a_module_that_falls_over_when_imported_is_the_user_s_error(mine: Path):
    with pytest.raises(InputError, match=r"cannot be imported: RuntimeError\('at import'\)"):
        find("model", "mine_falls:build").load()
    with pytest.raises(InputError, match="cannot be imported: No module named 'nowhere_to_be_found'"):
        find("model", "mine_parts.parts:Net").load()


def test_a_prefix_reaches_a_whole_package():
    part = find("model", "torchvision:resnet18")
    assert (part.name, part.open) == ("torchvision:resnet18", True)
    with pytest.raises(InputError, match="unknown model 'torchvision:'"):
        find("model", "torchvision:")


def test_the_metric_of_an_objective_of_the_user_s_own_is_its_last_name():
    assert (metric("accuracy"), metric("my.package:energy")) == ("accuracy", "energy")


def test_reading_the_registry_imports_neither_torch_nor_ray():
    code = (
        "import sys\n"
        "from kdsearch.registry import KINDS, parts\n"
        "from kdsearch.spec import json_schema\n"
        "assert all(parts(kind) for kind in KINDS)\n"
        "json_schema()\n"
        "print(sorted({'torch', 'ray', 'optuna', 'mlflow', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
