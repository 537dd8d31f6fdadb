"""A wrong command line or option: one clear message, exit code 2, nothing written and no Ray started."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

SPACE = (Path(__file__).parent / "space.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--address", "127.0.0.1:{port}"], "--address 127.0.0.1:{port}: no Ray answers there"),
        (["--address", "ray://127.0.0.1:{port}"], "--address ray://127.0.0.1:{port}: no Ray answers there"),
        (["--address", "somewhere"], "--address somewhere: expected HOST:PORT, ray://HOST:PORT, http://HOST"),
        (["--tracking-uri", "./mlruns"], "tracking uri './mlruns': MLflow no longer keeps runs in a plain"),
        (["--tracking-uri", "sqlite:///no/such/folder/mlflow.db"], "there is no folder"),
        (["--name", "a b"], "--name a b: expected letters, digits"),
        (["--name", "taken"], "--name taken: there is a search of this name"),
        (["--set", "optim.lr=fast"], "s.yaml: optim.lr: expected a number, got 'fast'"),
        (["--set", "optim.lr"], "--set optim.lr: expected key.of.the.spec=value"),
        (["--set", "compute.storage=s.yaml/x"], "compute.storage: s.yaml/x cannot be written"),
        (
            ["--set", "compute.storage=ftp://bucket/x"],
            "compute.storage: expected a folder, or the address of a bucket",
        ),
        (
            ["--set", "compute.storage=s3://key:secret@bucket/x"],
            "compute.storage: it holds a key or a password",
        ),
        (["--address", "http://127.0.0.1:{port}"], "--address http://127.0.0.1:{port}: no Ray answers there"),
        (["--detach"], "--detach: only a job can be detached"),
        (["--set", "compute.workers=64"], "compute: a trial needs 64 x 1 CPUs"),
    ],
)
def test_a_wrong_option_of_a_search_is_refused(
    refuses: Callable[..., None], folder: Path, arguments: list[str], message: str
):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "kdsearch_store" / "searches" / "taken").mkdir(parents=True)
    (folder / "s.yaml").write_text(SPACE)
    refuses(message.format(port=port), "search", "s.yaml", *(each.format(port=port) for each in arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "s.yaml", "--trials", "-1"], "--trials"),
        (["search", "s.yaml", "--concurrent", "many"], "--concurrent"),
        (["chek", "s.yaml"], "check"),
        (["check", "s.yaml", "--layer"], "--layers"),
        (["front"], "NAME"),
        (["export", "x"], "--out"),
        (["front", "x", "--format", "xml"], "json"),
    ],
)
def test_a_wrong_command_line_is_refused(kdsearch: Run, arguments: list[str], message: str):
    answer = kdsearch(*arguments)
    assert answer.code == 2
    assert message in answer.err
    assert "Traceback" not in answer.err


def test_an_output_folder_that_exists_is_refused_before_training(refuses: Callable[..., None], folder: Path):
    (folder / "config.yaml").write_text("data: digits\nstudent: mlp\n")
    (folder / "out").mkdir()
    refuses("--out out: it exists; name a folder that does not", "train", "config.yaml", "--out", "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["check", "s.yaml", "--set", "optim.lr=0"],
            "error: s.yaml: optim.lr: expected a number greater than 0",
        ),
        (["search", "s.yaml", "--set", "search.sampler=tp"], "unknown sampler 'tp'; did you mean 'tpe'?"),
        (
            ["search", "s.yaml", "--set", "teachers.big.weights=x.pt"],
            "checkpoint x.pt: there is no such file",
        ),
    ],
)
def test_a_real_process_ends_with_code_2_and_no_ray(folder: Path, arguments: list[str], message: str):
    (folder / "s.yaml").write_text(SPACE)
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('ray' in sys.modules and sys.modules['ray'].is_initialized()))\n"
        "from kdsearch.cli import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == "False\n"
    assert [path.name for path in folder.iterdir()] == ["s.yaml"]
