"""`kdsearch front` and `kdsearch confirm` on searches that MLflow has, without Ray."""

from __future__ import annotations

import json

import pytest

from kdsearch.spec import dump_yaml, load_spec
from kdsearch.tracking import Writer

CONFIG = {
    "data": {"source": "digits"},
    "student": {"name": "mlp", "hidden": [8]},
    "objectives": {"accuracy": "maximize", "size_mb": "minimize"},
}


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """Two finished searches of one space, the first of which reaches more, and one that still runs."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    points = {"one": [(0.9, 3.0), (0.7, 1.0)], "two": [(0.8, 2.0)], "live": [(0.5, 1.0)]}
    for name, front in points.items():
        writer = Writer(uri, "space", name)
        reference = json.dumps({"accuracy": 0.0, "size_mb": 4.0 if name == "one" else 3.5})
        writer.start({"kdsearch.reference": reference}, {"spec.yaml": dump_yaml(load_spec(CONFIG).plain())})
        for number, (accuracy, size) in enumerate(front):
            uid = f"{name}{number}"
            writer.start_trial(uid, f"recipe {uid}", CONFIG, {"kdsearch.number": str(number)})
            writer.log_metrics(uid, {"accuracy": accuracy, "size_mb": size})
            writer.end_trial(uid, "complete", {"kdsearch.front": "true"})
        if name != "live":
            writer.end("complete")
        assert writer.close(60)
    return uri


def test_two_fronts_are_put_on_one_plot_with_their_hypervolumes(uri, folder, kdsearch):
    answer = kdsearch("front", "--compare", "one", "two", "--out", "plots", "--tracking-uri", uri)
    assert answer.code == 0, answer
    # Up to the worse of the two reference points: no accuracy, 4 MB.
    assert "2.30" in answer.out and "1.60" in answer.out and "4 MB" in answer.out
    assert {path.name for path in (folder / "plots").iterdir()} == {"one-vs-two.html", "one-vs-two.png"}
    printed = json.loads(
        kdsearch("front", "--compare", "one", "two", "--format", "json", "--tracking-uri", uri).out
    )
    assert [row["hypervolume"] for row in printed] == pytest.approx([2.3, 1.6])


def test_one_front_is_printed_as_ever(uri, folder, kdsearch):
    answer = kdsearch("front", "one", "--tracking-uri", uri)
    assert answer.code == 0 and "recipe one0" in answer.out and "one: 2 of 2 trials" in answer.out


def test_every_objective_is_in_the_table(folder, kdsearch):
    uri = f"sqlite:///{folder}/mlflow.db"
    spec = CONFIG | {"objectives": {"accuracy": "maximize", "nll": "minimize"}}
    writer = Writer(uri, "space", "likely")
    writer.start({}, {"spec.yaml": dump_yaml(load_spec(spec).plain())})
    writer.start_trial("a", "recipe a", spec, {"kdsearch.number": "0"})
    writer.log_metrics("a", {"accuracy": 0.9, "nll": 0.123, "loss": 0.456})
    writer.end_trial("a", "complete", {"kdsearch.front": "true"})
    writer.end("complete")
    assert writer.close(60)
    answer = kdsearch("front", "likely", "--tracking-uri", uri)
    assert "0.123" in answer.out and "0.456" not in answer.out, answer


@pytest.mark.parametrize("trials", [0, 1])
def test_an_empty_front_is_printed_as_one(trials, folder, kdsearch):
    uri = f"sqlite:///{folder}/mlflow.db"
    writer = Writer(uri, "space", "new")
    writer.start({}, {"spec.yaml": dump_yaml(load_spec(CONFIG).plain())})
    for number in range(trials):
        writer.start_trial("a", "recipe a", CONFIG, {"kdsearch.number": str(number)})
        writer.log_metrics("a", {"accuracy": 0.9, "size_mb": 1.0})
    assert writer.close(60)
    for where in ([], ["--where", "accuracy >= 0.5"]):
        for form in ("table", "csv", "json"):
            answer = kdsearch("front", "new", "--format", form, *where, "--tracking-uri", uri)
            assert answer.code == 0, answer
            assert {"table": "new: 0 of", "csv": "uid,", "json": "[]"}[form] in answer.out
    refused = kdsearch("export", "new", "--out", "student", "--tracking-uri", uri)
    assert refused.code == 2 and "its front is empty" in refused.err, refused


def test_several_searches_need_compare_and_compare_needs_several(uri, folder, kdsearch):
    for arguments, message in (
        (("one", "two"), "several searches need --compare"),
        (("--compare", "one"), "--compare takes two searches or more"),
        (("--compare", "one", "tow"), "no search 'tow'"),
    ):
        answer = kdsearch("front", *arguments, "--tracking-uri", uri)
        assert answer.code == 2 and message in answer.err, answer


def test_a_running_search_is_not_confirmed(uri, folder, kdsearch):
    answer = kdsearch("confirm", "live", "--tracking-uri", uri)
    assert answer.code == 2 and "search 'live' still runs" in answer.err, answer


def test_confirm_names_the_nearest_search(uri, folder, kdsearch):
    answer = kdsearch("confirm", "ones", "--tracking-uri", uri)
    assert answer.code == 2 and "did you mean 'one'" in answer.err


def test_a_confirmation_that_would_not_find_the_search_is_not_sent(uri, folder, kdsearch):
    for options, message in (
        (("--address", "auto"), "search 'one' lies in kdsearch_store, which a job on auto would not find"),
        (("--detach",), "--detach: only a job can be detached"),
    ):
        answer = kdsearch("confirm", "one", "--tracking-uri", uri, *options)
        assert answer.code == 2 and message in answer.err, answer
