"""A recipe trained again: fresh weights and batches, the same split and the same teachers."""

from __future__ import annotations

import pytest

from kdsearch.distill.session import Session, ensure_teachers, local_worker
from kdsearch.spec import load_spec


@pytest.fixture
def session_and_config(tmp_path):
    config = load_spec(
        {
            "data": {"source": "digits", "batch_size": 64, "validation": 0.25},
            "teachers": {"wide": {"model": {"name": "mlp", "hidden": [32]}, "epochs": 2}},
            "student": {"name": "mlp", "hidden": [8]},
            "distill": {"teachers": {"members": ["wide"]}, "losses": {"ce": {}, "kd": {}}},
            "optim": {"name": "sgd", "lr": 0.1, "epochs": 2},
        }
    )
    session = Session(tmp_path / "store", local_worker(config))
    ensure_teachers(config, session, lambda name, text: None)
    return session, config


def test_each_repeat_is_another_run_of_the_same_and_can_be_had_again(session_and_config, tmp_path):
    session, config = session_and_config

    def loss(repeat: int) -> float:
        return session.trial(config, tmp_path / "trial", lambda _: True, repeat=repeat)["loss"]

    losses = [loss(repeat) for repeat in (0, 1, 2)]
    assert len(set(losses)) == 3
    assert [loss(repeat) for repeat in (0, 1, 2)] == losses
    assert len(list((tmp_path / "store/teachers").glob("*.safetensors"))) == 1


def test_the_batches_of_a_repeat_come_in_another_order(session_and_config):
    from kdsearch.distill.run import make_batches

    session, config = session_and_config
    splits = session.resident.splits(config)

    def first(**options) -> list[int]:
        return next(iter(make_batches(config, splits, session.worker, **options).epoch(0))).indices.tolist()

    assert first() == first(seed=config.search.seed)
    assert first(seed=1 << 40) != first()


def test_an_untrained_student_has_its_costs_and_guesses(session_and_config, tmp_path):
    session, config = session_and_config
    figures = session.untrained(config, tmp_path)
    assert figures["parameters"] == 65 * 8 + 9 * 10 and figures["size_mb"] > 4 * 610 / 1e6
    assert figures["accuracy"] < 0.3


def test_no_repeat_reads_what_a_teacher_said_of_the_views_of_another(session_and_config, tmp_path):
    session, config = session_and_config
    config = load_spec({**config.plain(), "data": {**config.plain()["data"], "augment": {"crop": 1}}})
    losses = []
    for name, before in (("after", [0]), ("alone", [])):
        session = Session(tmp_path / name, local_worker(config))
        ensure_teachers(config, session, lambda name, text: None)
        for repeat in [*before, 1]:
            metrics = session.trial(config, tmp_path / "trial", lambda _: True, repeat=repeat)
        losses.append(metrics["loss"])
    assert losses[0] == losses[1]


def test_the_test_split_is_scored_alone(session_and_config, tmp_path):
    session, config = session_and_config
    session.trial(config, tmp_path / "trial", lambda _: True)
    weights = tmp_path / "trial" / "student.safetensors"
    assert session.test(config, weights) == {
        key: value for key, value in session.finish(config, weights).items() if key.startswith("test_")
    }
