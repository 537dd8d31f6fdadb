"""`kdsearch check`, `schema` and `--help`: what they print, and what they leave alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdsearch.space import dimensions
from kdsearch.spec import load_spec, parse_yaml

Run = Callable[..., Any]
DIGITS = Path(__file__).parents[2] / "search_spaces" / "digits.yaml"

HEAVY = {"torch", "torchvision", "ray", "optuna", "mlflow", "pandas", "sklearn", "plotly"}


def test_check_prints_every_dimension_whole_and_a_config(kdsearch: Run):
    answer = kdsearch("check", DIGITS)
    assert (answer.code, answer.err) == (0, "")
    table, _, shown = answer.out.partition("one sample config\n")
    found = dimensions(load_spec(DIGITS))
    assert f"{len(found)} dimensions" in table
    for dimension in found:
        line = next(line for line in table.splitlines() if line.startswith(f"{dimension.name} "))
        assert dimension.kind in line
        assert dimension.range in line
        assert line.rstrip().endswith(dimension.when or "always")
    assert list(parse_yaml(shown)[0]) == ["teachers", "student", "distill", "optim", "deploy"]


def test_check_of_a_config_says_that_it_is_one(kdsearch: Run, folder: Path):
    (folder / "config.yaml").write_text("data: digits\nstudent: mlp\n")
    answer = kdsearch("check", "config.yaml")
    assert (answer.code, answer.err) == (0, "")
    assert "no dimensions: this is a config" in answer.out


def test_check_takes_overrides(kdsearch: Run):
    answer = kdsearch("check", DIGITS, "--set", "optim.lr=0.1", "--set", "student=mlp")
    assert "optim.lr " not in answer.out
    assert "student.convnet" not in answer.out


def test_check_lists_layers_of_teachers_and_students(kdsearch: Run):
    answer = kdsearch("check", DIGITS, "--layers")
    assert answer.code == 0, answer.err
    assert "teacher conv" in answer.out
    assert "student convnet(width=12, depth=3)" in answer.out
    assert "32 x 8 x 8" in answer.out


def test_a_spec_may_name_modules_of_the_folder_it_is_run_in(kdsearch: Run, folder: Path):
    (folder / "net_of_mine.py").write_text("def build(shape, classes, *, width: int = 3): ...\n")
    (folder / "s.yaml").write_text(
        "data: digits\nstudent: {name: 'net_of_mine:build', width: {int: [1, 2]}}\n"
    )
    assert "student.width" in kdsearch("check", "s.yaml").out
    (folder / "s.yaml").write_text("data: digits\nstudent: {name: 'net_of_mine:build', widht: 1}\n")
    assert (
        "s.yaml:2: student.widht: unknown key 'widht'; did you mean 'width'?"
        in kdsearch("check", "s.yaml").err
    )


def test_schema_prints_one_json_object(kdsearch: Run):
    answer = kdsearch("schema")
    assert (answer.code, answer.err) == (0, "")
    assert {"data", "student", "distill"} <= set(json.loads(answer.out)["properties"])


@pytest.mark.parametrize(
    "command",
    ["", "check", "search", "front", "export", "predict", "latency", "train", "teachers", "ui", "schema"],
)
def test_every_command_has_help(kdsearch: Run, command: str):
    answer = kdsearch(*filter(None, [command]), "--help")
    assert answer.code == 0
    assert f"kdsearch {command}".strip() in answer.out


@pytest.mark.parametrize("arguments", [["--help"], ["check", str(DIGITS)], ["schema"]], ids=lambda a: a[0])
def test_light_commands_import_nothing_heavy(folder: Path, arguments: list[str]):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "kdsearch", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert imported & HEAVY == set()
    assert list(folder.iterdir()) == []
