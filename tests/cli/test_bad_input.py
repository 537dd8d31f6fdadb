"""Bad input: one clear message with file, line and key, exit code 2, nothing written and no Ray started."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
import torch
from PIL import Image
from safetensors.torch import save_file

from kdsearch import models
from kdsearch.space import RandomTrial, canonical, describe, fingerprint, sample
from kdsearch.spec import dump_yaml, load_spec
from kdsearch.tracking import Writer

Run = Callable[..., Any]

SPACE = """\
name: bad
data: {source: digits, batch_size: 64}
teachers:
  big: {model: {name: mlp, hidden: [32]}, epochs: 1}
student: {name: convnet, width: {int: [2, 4]}, depth: 2}
distill:
  teachers: {members: {subset: all}}
  losses:
    ce: {weight: {float: [0.0, 1.0]}}
    kd: {temperature: {float: [1.0, 9.0], log: true}}
optim: {name: sgd, lr: 0.1, epochs: 1}
objectives: {accuracy: maximize, size_mb: minimize}
constraints: [size_mb <= 1]
search: {sampler: tpe, trials: 1}
"""


def refused(answer: Any, message: str, folder: Path, before: set[Path]) -> None:
    """What holds for every refusal."""
    assert answer.code == 2, answer
    assert message in answer.err
    assert answer.err.startswith("error: ")
    assert answer.err.count("error: ") == 1
    assert "Traceback" not in answer.err + answer.out
    assert answer.out == ""
    assert set(folder.rglob("*")) == before
    assert not ray.is_initialized()


@pytest.fixture
def refuses(kdsearch: Run, folder: Path) -> Callable[..., None]:
    """Runs a command that must be refused, and looks at all that a refusal promises."""

    def run(message: str, *arguments: str) -> None:
        before = set(folder.rglob("*"))
        refused(kdsearch(*arguments), message, folder, before)

    return run


ON_SIGHT = {
    "an unknown key": ("batch_size", "batchsize", "2: data.batchsize: unknown key 'batchsize'; did you mean"),
    "a key that is nowhere": ("optim:", "optimizer:", "11: optimizer: unknown key 'optimizer'; did you"),
    "a wrong type": (
        "epochs: 1}\nob",
        "epochs: one}\nob",
        "11: optim.epochs: expected an integer, got 'one'",
    ),
    "a number out of range": (
        "lr: 0.1",
        "lr: -0.1",
        "11: optim.lr: expected a number greater than 0, got -0.1",
    ),
    "an empty range": ("[2, 4]", "[4, 2]", "5: student.width.int: the range [4, 2] is empty: low must be"),
    "a log range with 0": (
        "[1.0, 9.0]",
        "[0, 9.0]",
        "10: distill.losses.kd.temperature.float: a log range must",
    ),
    "an unknown loss": (
        "    kd:",
        "    kdd:",
        "10: distill.losses.kdd.name: unknown loss 'kdd'; did you mean",
    ),
    "an unknown model": (
        "name: convnet",
        "name: convnt",
        "5: student.name: unknown model 'convnt'; did you me",
    ),
    "an unknown data set": (
        "source: digits",
        "source: digit",
        "2: data.source: unknown dataset 'digit'; did",
    ),
    "an unknown sampler": (
        "sampler: tpe",
        "sampler: tpee",
        "14: search.sampler.name: unknown sampler 'tpee'; d",
    ),
    "an unknown objective": (
        "size_mb: min",
        "size_md: min",
        "12: objectives.size_md: unknown objective 'size_m",
    ),
    "an unknown direction": (
        "size_mb: minimize",
        "size_mb: min",
        "12: objectives.size_mb: expected 'maximize' o",
    ),
    "a constraint on nothing": (
        "[size_mb <=",
        "[sise_mb <=",
        "13: constraints.0: unknown objective 'sise_mb'; did",
    ),
    "a constraint that is none": ("size_mb <= 1", "size_mb = 1", "13: constraints.0: unknown operator '='"),
    "an unknown teacher": (
        "subset: all",
        "subset: [bigg]",
        "7: distill.teachers.members.subset: unknown teacher",
    ),
    "a search in a teacher": (
        "[32]",
        "{choice: [[8], [9]]}",
        "4: teachers.big.model.hidden: nothing is searched",
    ),
    "a key given twice": ("optim:", "name: twice\noptim:", "11: name: this key is given twice"),
    "a syntax error": ("[2, 4]", "[2, 4", "5: not YAML: while parsing a flow sequence expected ',' or ']'"),
    "not a mapping": (SPACE, "just words", ": expected a mapping, got 'just words'"),
    "an empty file": (SPACE, "", ": expected a mapping, got nothing"),
}


@pytest.mark.parametrize("command", ["check", "search", "teachers", "train"])
@pytest.mark.parametrize("bad", ON_SIGHT.values(), ids=ON_SIGHT)
def test_a_wrong_spec_is_refused_by_every_command(
    refuses: Callable[..., None], folder: Path, bad: tuple[str, str, str], command: str
):
    wrong, right, message = bad[1], bad[0], bad[2]
    assert right in SPACE
    (folder / "s.yaml").write_text(SPACE.replace(right, wrong, 1))
    refuses(f"error: s.yaml:{message}".replace("yaml::", "yaml:"), command, "s.yaml")


@pytest.mark.parametrize("command", ["check", "search", "teachers", "train"])
def test_a_file_that_is_not_there_is_named(refuses: Callable[..., None], command: str):
    refuses("error: nowhere.yaml: cannot be read: No such file or directory", command, "nowhere.yaml")


def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(buffer, "png")
    return buffer.getvalue()


def checkpoint(model: dict[str, Any], path: str, classes: int = 10) -> None:
    built = models.build(model, (1, 8, 8), classes)
    if path.endswith(".safetensors"):
        save_file(built.state_dict(), path)
    else:
        torch.save(built.state_dict(), path)


def _no_checkpoint() -> None: ...


def _truncated_safetensors() -> None:
    checkpoint({"name": "mlp", "hidden": [32]}, "big.safetensors")
    Path("big.safetensors").write_bytes(Path("big.safetensors").read_bytes()[:900])


def _truncated_state_dict() -> None:
    checkpoint({"name": "mlp", "hidden": [32]}, "big.pt")
    Path("big.pt").write_bytes(Path("big.pt").read_bytes()[:900])


def _other_architecture() -> None:
    checkpoint({"name": "mlp", "hidden": [16]}, "big.pt")


def _other_classes() -> None:
    checkpoint({"name": "mlp", "hidden": [32]}, "big.pt", classes=100)


def _parquet_without_columns() -> None:
    pq.write_table(pa.table({"image": [png()] * 4, "label": [0, 1] * 2}), "train.parquet")


def _empty_class_folder() -> None:
    Path("images/cat").mkdir(parents=True)
    Path("images/cat/0.png").write_bytes(png())
    Path("images/dog").mkdir()


WEIGHTS = "4: teachers.big.weights: "
BIG = "hidden: [32]}, epochs: 1}"
WITH = "hidden: [32]}, weights: "
WITH_DATA = {
    "a missing checkpoint": (
        _no_checkpoint,
        BIG,
        WITH + "big.pt}",
        WEIGHTS + "checkpoint big.pt: there is no",
    ),
    "a truncated safetensors": (
        _truncated_safetensors,
        BIG,
        WITH + "big.safetensors}",
        WEIGHTS + "checkpoint big.safetensors cannot be read, it may be truncated",
    ),
    "a truncated state_dict": (
        _truncated_state_dict,
        BIG,
        WITH + "big.pt}",
        WEIGHTS + "checkpoint big.pt cannot be read, it may be truncated",
    ),
    "a checkpoint of another architecture": (
        _other_architecture,
        BIG,
        WITH + "big.pt}",
        WEIGHTS + "checkpoint big.pt is of another architecture: it has other shapes",
    ),
    "a teacher of other classes": (_other_classes, BIG, WITH + "big.pt}", "(the data has 10 classes)"),
    "a parquet file without the columns": (
        _parquet_without_columns,
        "{source: digits, ",
        "{source: parquet, train: train.parquet, ",
        "2: data: parquet: train.parquet has no column 'img'; did you mean 'image'?",
    ),
    "an empty class folder": (
        _empty_class_folder,
        "{source: digits, ",
        "{source: image_folder, path: images, ",
        "2: data: image_folder: class folder images/dog has no images",
    ),
    "a folder that is not there": (
        _no_checkpoint,
        "{source: digits, ",
        "{source: image_folder, path: imagse, ",
        "2: data: image_folder: there is no folder imagse",
    ),
    "a student that cannot be built at one end of a range": (
        _no_checkpoint,
        "name: convnet, width: {int: [2, 4]}, depth: 2",
        "name: resnet, depth: {int: [8, 11], step: 3}",
        "5: student: ",
    ),
}


@pytest.mark.parametrize("command", ["search", "teachers", "train"])
@pytest.mark.parametrize("bad", WITH_DATA.values(), ids=WITH_DATA)
def test_what_only_data_and_models_can_tell_is_refused_before_anything_starts(
    refuses: Callable[..., None], folder: Path, bad: tuple[Callable[[], None], str, str, str], command: str
):
    prepare, right, wrong, message = bad
    prepare()
    text = SPACE.replace(right, wrong, 1)
    assert text != SPACE
    if command == "train":
        if "step: 3" in wrong:
            pytest.skip("a config has no ranges")
        text = dump_yaml(canonical(sample(load_spec(_written(folder, text)), _AllTeachers(0))))
        message = message.partition(": ")[2]
    (folder / "s.yaml").write_text(text)
    refuses(message, command, "s.yaml")


def _written(folder: Path, text: str) -> Path:
    (folder / "s.yaml").write_text(text)
    return folder / "s.yaml"


class _AllTeachers(RandomTrial):
    """Draws configs in which every teacher is a member."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return choices[0]


def test_a_config_with_something_left_to_search_is_no_config(refuses: Callable[..., None], folder: Path):
    (folder / "s.yaml").write_text(SPACE)
    refuses("s.yaml leaves 4 dimensions to search (student.width, ", "train", "s.yaml")


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
        (["--detach"], "--detach: only a job can be detached from"),
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


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with one finished search of one trial, whose student is trained as little as can be."""
    folder = tmp_path_factory.mktemp("store")
    spec = load_spec({"data": "digits", "student": {"name": "mlp", "hidden": [8]}, "name": "done"})
    config = canonical(sample(spec, RandomTrial(0)))
    uid = fingerprint(config)
    save_file(models.build(config["student"], (1, 8, 8), 10).state_dict(), folder / "student.safetensors")
    writer = Writer(f"sqlite:///{folder}/mlflow.db", "project", "done")
    writer.start({}, {"spec.yaml": dump_yaml(spec.plain())})
    writer.start_trial(uid, describe(config), config, {"kdsearch.number": "0", "kdsearch.front": "true"})
    writer.log_metrics(uid, {"accuracy": 0.5, "size_mb": 0.01})
    writer.end_trial(uid, "complete", {})
    writer.log_artifact(uid, folder / "student.safetensors", "student")
    writer.end("complete")
    assert writer.close(60)
    yield folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["front", "dome"], "no search 'dome' in sqlite:///"),
        (["front", "dome"], "did you mean 'done'?"),
        (["export", "dome", "--out", "x"], "did you mean 'done'?"),
        (
            ["export", "done", "--out", "x", "--where", "accuracy > 0.9"],
            "no member of its front satisfies accuracy",
        ),
        (
            ["export", "done", "--out", "x", "--where", "acuracy > 0"],
            "unknown objective 'acuracy'; did you mean",
        ),
        (["front", "done", "--where", "accuracy >"], "expected a number, not the end"),
        (
            ["export", "done", "--out", "x", "--pick", "best:sise_mb"],
            "unknown objective 'sise_mb'; did you mean",
        ),
        (
            ["export", "done", "--out", "x", "--pick", "worst"],
            "--pick worst: expected best:OBJECTIVE, knee, or",
        ),
        (["export", "done", "--out", "there"], "--out there: it exists; name a folder that does not"),
    ],
)
def test_a_wrong_question_about_a_search_is_refused(
    refuses: Callable[..., None], folder: Path, finished: Path, arguments: list[str], message: str
):
    (folder / "there").mkdir()
    refuses(message, *arguments, "--tracking-uri", f"sqlite:///{finished}/mlflow.db")


def test_a_student_that_cannot_be_exported_leaves_nothing(refuses: Callable[..., None], finished: Path):
    """Its run has no description of the images."""
    uri = f"sqlite:///{finished}/mlflow.db"
    refuses("keeps no whole student: input.json", "export", "done", "--out", "x", "--tracking-uri", uri)


def test_reading_where_no_search_was_creates_no_store(refuses: Callable[..., None]):
    refuses("there is no MLflow store", "front", "digits")
    refuses("there is no store sqlite:///mlflow.db here yet", "ui")


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
