"""What is added to a run once its search is over."""

from __future__ import annotations

from collections.abc import Mapping

from kdsearch.tracking import names
from kdsearch.tracking.reader import opened
from kdsearch.tracking.work import now


def add_to_run(uri: str, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
    """Write metrics and tags to a run of the store at `uri`.

    Raises:
        InputError: When there is no such store or run.
    """
    from mlflow.entities import Metric, RunTag

    with opened(uri) as client:
        client.get_run(run_id)
        client.log_batch(
            run_id,
            metrics=[Metric(names.metric_key(key), value, now(), 0) for key, value in metrics.items()],
            tags=[RunTag(key, names.clip(value, names.LONGEST_TAG)) for key, value in tags.items()],
        )
