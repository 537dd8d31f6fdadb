"""What a spec may measure: figures with options, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from kdsearch.errors import SpecError
from kdsearch.measure import figures_of
from kdsearch.space import canonical
from kdsearch.spec import constraints_of, load_spec, metrics_of

BASE: dict[str, Any] = {
    "data": {"source": "digits"},
    "teachers": {
        "conv": {"model": {"name": "convnet", "width": 2, "depth": 1}},
        "flat": {"model": {"name": "mlp", "hidden": [4]}},
    },
    "student": {"name": "mlp", "hidden": [4]},
}
#: A search without teachers.
SEARCH = {"teachers": {}, "student": {"name": "mlp", "hidden": {"choice": [[4], [8]]}}}


def test_a_figure_is_named_by_its_key_and_reaches_objectives_and_constraints():
    measure = {
        "macro_f1": None,
        "tail_ms": {"name": "latency_ms", "percentile": 99},
        "like_conv": {"name": "agreement", "teacher": "conv"},
    }
    objectives = {"tail_ms": "minimize", "nll": "minimize"}
    bounds = ["like_conv >= 0.5, balanced_accuracy >= 0.1"]
    spec = load_spec({**BASE, "measure": measure, "objectives": objectives, "constraints": bounds})
    assert load_spec(spec.plain()) == spec
    assert metrics_of(spec) == objectives
    assert [bound.name for bound in constraints_of(spec)] == ["like_conv", "balanced_accuracy"]
    figures = {figure.name: (figure.part.name, dict(figure.options)) for figure in figures_of(spec)}
    assert figures == {
        **{name: (name, {}) for name in ("accuracy", "parameters", "macs", "size_mb", "macro_f1")},
        "tail_ms": ("latency_ms", {"percentile": 99}),
        "like_conv": ("agreement", {"teacher": "conv"}),
        "nll": ("nll", {}),
        "balanced_accuracy": ("balanced_accuracy", {}),
    }


def test_figures_without_options_are_taken_once_however_often_they_are_named():
    spec = load_spec({**BASE, "measure": {"nll": {}}, "objectives": {"nll": "minimize"}})
    assert [figure.name for figure in figures_of(spec)].count("nll") == 1


def test_a_teacher_to_compare_with_stays_in_the_config_of_a_student_that_does_not_use_it():
    spec = load_spec({**BASE, "measure": {"like_conv": {"name": "agreement", "teacher": "conv"}}})
    assert list(canonical(spec.tree())["teachers"]) == ["conv"]
    assert list(canonical(load_spec(BASE).tree())["teachers"]) == []


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (
            {"tail": {"name": "latency_ms", "percentile": 95}},
            "tail.percentile: expected 50, 90 or 99",
        ),
        ({"like": {"name": "agreement", "teacher": "cnv"}}, "unknown teacher 'cnv'; did you mean 'conv'"),
        ({"accuracy": {"name": "nll"}}, "'accuracy' is an objective: choose another key"),
        ({"accuracy": "nll"}, "'accuracy' is an objective: choose another key"),
        ({"seconds": {"name": "nll"}}, "'seconds' is not a valid name for a figure"),
        ({"test_nll": {"name": "nll"}}, "'test_nll' is not a valid name for a figure"),
        ({"x-y": {"name": "nll"}}, "'x-y' is not a valid name for a figure"),
        ({3: {"name": "nll"}}, "'3' is not a valid name for a figure"),
        ({"nlll": None}, "measure.nlll.name: unknown objective 'nlll'; did you mean 'nll'"),
        ({"nll": 3}, "measure.nll: expected"),
        ({"calibration_error": {"bin": 3}}, "unknown key 'bin'; did you mean 'bins'"),
        (
            {"calibration_error": {"bins": 0}},
            "bins: expected a number greater than 0",
        ),
        ({"calibration_error": {"bins": {"int": [3, 4]}}}, "nothing is searched here"),
        ({"corruption_accuracy": {"corruptions": ["nois"]}}, "corruptions.0: expected 'noise', 'blur'"),
        ({"corruption_accuracy": {"severities": [6]}}, "severities.0: expected 1, 2, 3, 4 or 5, got 6"),
        ({"device_latency_ms": None}, "measure.device_latency_ms.table: a value is required"),
        ([1], "measure: expected a mapping"),
    ],
)
def test_a_figure_that_does_not_hold_is_refused(measure, message):
    with pytest.raises(SpecError) as error:
        load_spec({**BASE, "measure": measure})
    assert message in str(error.value)
    assert len(error.value.problems) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"objectives": {"device_latency_ms": "minimize"}},
            "'device_latency_ms' needs 'table'",
        ),
        (
            {"constraints": ["device_latency_ms <= 1"]},
            "needs 'table': give it under measure",
        ),
        (
            {"objectives": {"tial": "minimize"}},
            "tial: unknown objective 'tial'; did you mean 'tail'",
        ),
        ({"constraints": ["tial <= 1"]}, "unknown objective 'tial'; did you mean 'tail'"),
        (SEARCH | {"objectives": {"agreement": "maximize"}}, "and the spec names none"),
        (SEARCH | {"constraints": ["teacher_kl <= 1"]}, "'teacher_kl' compares with teachers"),
    ],
)
def test_what_is_named_must_be_there(changes, message):
    measure = {"tail": {"name": "latency_ms", "percentile": 99}}
    with pytest.raises(SpecError) as error:
        load_spec({**BASE, "measure": measure, **changes})
    assert message in str(error.value)


def test_a_config_may_do_without_teachers_as_the_baselines_of_a_search_do():
    spec = load_spec({**BASE, "objectives": {"agreement": "maximize"}, "constraints": ["teacher_kl <= 1"]})
    assert load_spec({**canonical(spec.tree()), "teachers": {}}).teachers == {}


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        (["mine:seconds"], "its metric 'seconds' is a name that kdsearch uses"),
        (["mine:epoch"], "its metric 'epoch' is a name that kdsearch uses"),
        (["mine:test_score"], "its metric 'test_score' is a name that kdsearch uses"),
        (["mine:recipe"], "its metric 'recipe' is a name that kdsearch uses"),
        (["mine:accuracy"], "its metric 'accuracy' is another objective"),
        (["mine:tail"], "its metric 'tail' is a figure under measure"),
        (["mine:score", "other:score"], "its metric 'score' is that of 'other:score' too"),
    ],
)
def test_an_objective_of_ones_own_whose_metric_is_taken_is_refused(objectives, message, own_objectives):
    measure = {"tail": {"name": "latency_ms", "percentile": 99}}
    with pytest.raises(SpecError) as error:
        load_spec({**BASE, "measure": measure, "objectives": dict.fromkeys(objectives, "minimize")})
    assert message in str(error.value)
    assert len(error.value.problems) == len(objectives)


def test_under_a_key_of_its_own_an_objective_may_be_called_anything(own_objectives):
    measure = {"mine_score": {"name": "mine:seconds"}}
    objectives = {"mine_score": "minimize", "mine:score": "maximize"}
    spec = load_spec({**BASE, "measure": measure, "objectives": objectives})
    assert metrics_of(spec) == {"mine_score": "minimize", "score": "maximize"}


@pytest.fixture
def own_objectives(tmp_path, monkeypatch):
    """Modules `mine` and `other` with objectives of a user's own."""
    names = ["seconds", "epoch", "test_score", "recipe", "accuracy", "tail", "score"]
    source = "\n".join(f"def {name}(logits, labels):\n    return 0.0" for name in names)
    for module in ("mine", "other"):
        (tmp_path / f"{module}.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
