from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from typing import Any

from mlflow import MlflowClient

from kdsearch.tracking import Writer, saved_views

OBJECTIVES: Any = {"latency_ms": "minimize", "accuracy": "maximize"}


def view_of(client: MlflowClient, name: str) -> dict[str, Any]:
    """The state of a saved view, read as MLflow's page reads it."""
    experiment = client.get_experiment_by_name("project")
    views = [json.loads(text) for key, text in experiment.tags.items() if "sharedViewState." in key]
    (state,) = (view["state"] for view in views if view["name"] == name)
    return dict(json.loads(zlib.decompress(base64.b64decode(state.removeprefix("deflate;")))))


def found_by(client: MlflowClient, state: dict[str, Any]) -> list[str]:
    order = f"{state['orderByKey']} {'ASC' if state['orderByAsc'] else 'DESC'}"
    experiment = client.get_experiment_by_name("project").experiment_id
    return [
        run.info.run_name for run in client.search_runs([experiment], state["searchFilter"], order_by=[order])
    ]


def test_saved_views_of_a_search_find_its_front_and_its_trials_the_best_first(
    open_writer: Callable[..., Writer], client: MlflowClient
) -> None:
    for search in ("digits", "digits-2"):
        writer = open_writer(search)
        writer.set_experiment_tags(saved_views(search, OBJECTIVES))
        for name, latency, front in (
            ("slow", 3.0, "true"),
            ("fast", 1.0, "true"),
            ("middling", 2.0, "false"),
        ):
            writer.start_trial(name, f"{name} of {search}", {}, {"kdsearch.front": front})
            writer.log_metrics(name, {"latency_ms": latency, "accuracy": latency / 10})
            writer.end_trial(name, "complete", {})
        writer.end("complete")
        assert writer.close(30)

    for search in ("digits", "digits-2"):
        front, trials = (view_of(client, f"{search}: {what}") for what in ("the front", "all trials"))
        assert found_by(client, front) == [f"fast of {search}", f"slow of {search}"]
        assert found_by(client, trials) == [f"{name} of {search}" for name in ("fast", "middling", "slow")]
        assert front["selectedColumns"][:2] == ["metrics.`latency_ms`", "metrics.`accuracy`"]


def test_views_of_a_search_that_goes_on_take_the_place_of_the_earlier_ones(
    open_writer: Callable[..., Writer], client: MlflowClient
) -> None:
    for _ in range(2):
        writer = open_writer()
        writer.set_experiment_tags(saved_views("digits", OBJECTIVES))
        assert writer.close(30)
    assert view_of(client, "digits: the front")["orderByAsc"]
