"""Files from strangers: whatever they hold, no code of theirs runs, and nothing is written outside."""

from __future__ import annotations

import os
import pickle
import pickletools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from kdsearch import models
from kdsearch.constraints import parse_constraints
from kdsearch.errors import InputError
from kdsearch.export import load_student
from kdsearch.registry import KINDS, find
from kdsearch.spec import load_spec, parse_yaml
from kdsearch.tracking.names import metric_key
from kdsearch.tracking.store import artifact_location


@pytest.fixture(autouse=True)
def harmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that every hostile input of this module tries to make; it must not be there afterwards."""
    monkeypatch.chdir(tmp_path)
    proof = tmp_path / "proof"
    yield proof
    assert not proof.exists()


class Hostile:
    """Pickled, it is a call of the shell."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.proof}",)


def test_the_hostile_pickle_is_one(tmp_path: Path):
    names = [argument for _, argument, _ in pickletools.genops(pickle.dumps(Hostile(tmp_path / "x")))]
    assert "system" in names
    pickle.loads(pickle.dumps(Hostile(tmp_path / "seen")))
    assert (tmp_path / "seen").exists()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_a_checkpoint(tmp_path: Path, harmed: Path, legacy: bool, suffix: str):
    path = tmp_path / f"weights{suffix}"
    content = {"state_dict": {"0.weight": Hostile(harmed)}}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError):
        models.load_weights(models.build({"name": "mlp"}, (1, 2, 2), 3), path)
    path.write_bytes(pickle.dumps(Hostile(harmed)))
    with pytest.raises(InputError):
        models.load_weights(models.build({"name": "mlp"}, (1, 2, 2), 3), path)


def test_an_export(tmp_path: Path, harmed: Path):
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "metrics.json").write_text(
        '{"input": {"shape": [1, 2, 2], "classes": ["a"], "mean": [0], "std": [1]}}'
    )
    torch.save({"a": Hostile(harmed)}, folder / "student.safetensors")
    for config in (
        "data: digits\nstudent: mlp\n",
        f"data: digits\nstudent: {{name: 'subprocess:getoutput', cmd: 'touch {harmed}'}}\n",
        f"!!python/object/apply:os.system ['touch {harmed}']\n",
    ):
        (folder / "config.yaml").write_text(config)
        with pytest.raises(InputError):
            load_student(folder)


@pytest.mark.parametrize(
    "tag",
    ["!!python/object/apply:os.system", "!!python/object/new:os.system", "!!python/name:os.system",
     "!!python/module:os", "tag:yaml.org,2002:python/object/apply:os.system"],
)  # fmt: skip
def test_yaml(harmed: Path, tag: str):
    tag = f"!<{tag}>" if tag.startswith("tag:") else tag
    for text in (f"{tag} ['touch {harmed}']", f"a: {tag} ['touch {harmed}']"):
        with pytest.raises(InputError, match="not YAML"):
            parse_yaml(text)
    with pytest.raises(InputError, match="not YAML"):
        load_spec({"data": "digits", "student": "mlp"}, [f"name={tag} ['touch {harmed}']"])


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('touch proof')", "accuracy <= __import__('os').system('touch proof')",
     "accuracy <= 1; import os", "accuracy.__class__ <= 1", "@os.system", "accuracy <= (1)", "`id` <= 1"],
)  # fmt: skip
def test_constraints_and_where(text: str):
    with pytest.raises(InputError, match="constraint: "):
        parse_constraints(text, ["accuracy"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    ["subprocess:getoutput", "subprocess:Popen", "os:system", "os:popen", "pty:spawn", "builtins:eval",
     "builtins:exec", "posix:system", "runpy:run_path", "timeit:timeit",
     "torch.utils.cpp_extension:load_inline",
     "torch.hub:load", "torch:load", "numpy:load", "pickle:load", "mlflow.pyfunc:load_model"],
)  # fmt: skip
def test_a_part_is_nothing_that_happens_to_be_installed(kind: str, name: str):
    with pytest.raises(InputError, match=r"is installed, and does not offer|defines no|there is no module"):
        find(kind, name)


def test_a_package_that_a_part_is_said_to_lie_in_is_not_imported(tmp_path: Path, harmed: Path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "outer/inner").mkdir(parents=True)
    for folder in ("outer", "outer/inner"):
        (tmp_path / folder / "__init__.py").write_text("open('proof', 'w').close()")
    (tmp_path / "outer/inner/part.py").write_text("def loss(student_logits, labels): ...")
    assert find("loss", "outer.inner.part:loss").needs == ("student_logits", "labels")
    with pytest.raises(InputError, match="there is no module"):
        find("loss", "outer.inner.none:loss")
    with pytest.raises(InputError, match=r"there is no module 'this\.x'"):
        find("objective", "this.x:y")
    assert "this" not in sys.modules


def test_a_spec_that_names_a_shell_is_refused(harmed: Path):
    commands = {"name": "subprocess:getoutput", "cmd": f"touch {harmed}"}
    for spec in (
        {"data": "digits", "student": commands},
        {"data": {"source": "subprocess:getoutput", "cmd": f"touch {harmed}"}, "student": "mlp"},
        {"data": "digits", "student": "mlp", "optim": {**commands, "epochs": 1}},
        {"data": "digits", "student": "mlp", "objectives": {"os:system": "maximize"}},
    ):
        with pytest.raises(InputError, match=r"is installed|defines no"):
            load_spec(spec)


def test_a_part_of_the_users_own_folder_and_one_that_a_package_offers_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    packages = tmp_path / "site-packages"
    packages.mkdir()
    body = "def net(shape, classes, *, width: int = 4):\n    raise RuntimeError\n"
    (tmp_path / "own_parts.py").write_text(body)
    (packages / "offered.py").write_text(
        "from kdsearch.registry import register\n\n\n"
        f"@register('model')\n{body}\n\n{body.replace('net', 'other')}"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(packages), *sys.path])
    assert find("model", "own_parts:net").parameters["width"].default == 4
    assert find("model", "offered:net").parameters["width"].default == 4
    with pytest.raises(InputError, match='Mark it with @register\\("model"\\)'):
        find("model", "offered:other")


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/b", "..", ".hidden", "a\nb", "", "x" * 65, "a\0b", "a b"]
)
def test_the_name_of_a_search_is_a_name(name: str):
    with pytest.raises(InputError, match="name: "):
        load_spec({"data": "digits", "student": "mlp", "name": name})


@pytest.mark.parametrize(
    "name", ["../x", "../../etc", "/etc/x", "a/../../b", "..", "a\0b", "x/./y", "\\..\\x"]
)
def test_names_within_a_spec_stay_within_the_folders_they_name(tmp_path: Path, name: str):
    location = Path(artifact_location(f"sqlite:///{tmp_path}/mlflow.db", name) or "")
    assert location.parent == tmp_path / "mlartifacts" and location.name not in ("", ".", "..")
    assert ".." not in metric_key(f"loss/{name}").split("/")
    assert not metric_key(name).startswith("/")
