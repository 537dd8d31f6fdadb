"""A wrong question about a search: one clear message, exit code 2, and nothing written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors.torch import save_file

from kdsearch import models
from kdsearch.space import RandomTrial, canonical, describe, fingerprint, sample
from kdsearch.spec import dump_yaml, load_spec
from kdsearch.tracking import Writer


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
