"""What things are called in MLflow: tags, metrics, params and artifacts of a search."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping

SEARCH = "kdsearch.search"
"""The name of the search, on its parent run and on each of its trials."""
KIND = "kdsearch.kind"
"""`search` or `trial`."""
UID = "kdsearch.uid"
"""The identity of a run: every write is an upsert on it."""
STATE = "kdsearch.state"
"""`running`, `complete`, `failed` or `stopped`."""
NUMBER = "kdsearch.number"
BASELINE = "kdsearch.baseline"
"""The name of the baseline that a trial is, or absent."""
FRONT = "kdsearch.front"
"""`true` while the trial stands on the front."""
REASON = "kdsearch.reason"
"""Why a trial failed or was stopped."""
REFERENCE = "kdsearch.reference"
"""The reference point of a search's hypervolumes by metric, as JSON."""
VERDICT = "kdsearch.verdict"
"""What a confirmation says of a trial."""
CONFIG = "kdsearch.config"
"""The trial's config as JSON, where it fits a tag; otherwise the artifact `CONFIG_FILE`."""
CONDITIONS = ("device", "governor", "libraries")
"""What a trial was timed on: a tag each, `kdsearch.device` and so on."""
PARENT = "mlflow.parentRunId"

CONFIG_FILE = "config.json"
EPOCH_PREFIX = "epoch/"
CONFIG_PREFIX = "config/"

LONGEST_KEY = 250
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_CONFIG_TAG = 7500


def metric_key(name: str) -> str:
    """`name` as a key that MLflow takes for a metric or a param.

    It allows word characters and `-`, `.`, space, `/` and `:`, and nothing that reads as another path.
    """
    allowed = re.sub(r"[^/\w.\- :]", "_", name)
    steps = [step for step in allowed.split("/") if step not in ("", ".", "..")]
    return "/".join(steps)[:LONGEST_KEY].rstrip("/") or "_"


def flatten(config: Mapping[str, object]) -> dict[str, str]:
    """The leaves of `config` by dotted key, as MLflow's params: strings as they are, all else as JSON."""
    return {metric_key(key): clip(_text(value), LONGEST_PARAM) for key, value in _leaves(config)}


def numbers(config: Mapping[str, object]) -> dict[str, float]:
    """The numeric leaves of `config`, as metrics: MLflow cannot compare params as numbers."""
    leaves = finite({key: value for key, value in _leaves(config) if not isinstance(value, bool)})
    return {metric_key(CONFIG_PREFIX + key): value for key, value in leaves.items()}


def finite(metrics: Mapping[str, object]) -> dict[str, float]:
    """The numbers among `metrics`. NaN stays; infinities go, since MLflow turns them into 1.8e308."""
    return {key: number for key, value in metrics.items() if (number := _number(value)) is not None}


def clip(text: str, longest: int) -> str:
    """`text`, cut with an ellipsis where MLflow would cut it in silence or refuse it."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def equals(tag: str, value: str) -> str:
    """The condition of an MLflow filter that `tag` is `value`."""
    quote = '"' if "'" in value else "'"
    return f"tags.`{tag}` = {quote}{value}{quote}"


def _leaves(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _number(value: object) -> float | None:
    if isinstance(value, str):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # numpy and torch scalars are numbers too
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isinf(number) else number
