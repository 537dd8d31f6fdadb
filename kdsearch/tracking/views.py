"""Views of a search, saved in MLflow's UI: the front and all trials, with their most telling columns.

By default MLflow shows a search as one collapsed row without metrics.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence

from kdsearch.tracking import names
from kdsearch.tracking.work import now
from kdsearch.types import Direction

_PREFIX = "mlflow.sharedViewState."
#: Pixels of the column of names, which are recipes.
_WIDE = 420


def saved_views(search: str, objectives: Mapping[str, Direction]) -> dict[str, str]:
    """The tags of an experiment that are MLflow's saved views of a search.

    Args:
        search: Its name; views of the same name are replaced.
        objectives: Their directions by metric, the one to sort by first.
    """
    of_search = names.equals(names.SEARCH, search)
    front = f"{names.equals(names.FRONT, 'true')} and {of_search}"
    trials = f"{names.equals(names.KIND, 'trial')} and {of_search}"
    figures = [f"metrics.`{metric}`" for metric in objectives]
    ends = [f"metrics.`{metric}`" for metric in ("test_accuracy", "gain")]
    states = [f"tags.`{tag}`" for tag in (names.STATE, names.FRONT, names.BASELINE)]
    first, direction = next(iter(objectives.items()))
    order = {"orderByKey": f"metrics.`{first}`", "orderByAsc": direction == "minimize"}
    return {
        f"{_PREFIX}kdsearch-{search}-trials": _view(f"{search}: all trials", trials, order, figures + states),
        f"{_PREFIX}kdsearch-{search}-front": _view(f"{search}: the front", front, order, figures + ends),
    }


def _view(name: str, condition: str, order: Mapping[str, object], columns: Sequence[str]) -> str:
    """A view as MLflow's UI writes it: its facets and its columns, deflated."""
    recipe = "attributes.`Run Name`"
    state = {
        "searchFilter": condition,
        **order,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": list(columns),
        "columnOrder": [recipe, *columns],
        "columnWidths": {recipe: _WIDE},
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    return json.dumps({"name": name, "createdAt": now(), "state": f"deflate;{packed}"})
