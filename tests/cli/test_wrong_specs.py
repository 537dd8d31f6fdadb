"""A wrong spec: one clear message with file, line and key, exit code 2; nothing written, no Ray started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SPACE = (Path(__file__).parent / "space.yaml").read_text(encoding="utf-8")

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


def test_a_config_with_something_left_to_search_is_no_config(refuses: Callable[..., None], folder: Path):
    (folder / "s.yaml").write_text(SPACE)
    refuses("s.yaml leaves 4 dimensions to search (student.width, ", "train", "s.yaml")
