"""Spaces to draw from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kdsearch.spec import Spec, load_spec

Make = Callable[..., Spec]


@pytest.fixture
def space() -> Make:
    """A spec with three teachers; sections are given by name, and `members` for short."""

    def make(
        members: Any = ("a", "b", "c"),
        losses: Any = None,
        combine: Any = "mean",
        stages: Any = (),
        **sections: Any,
    ) -> Spec:
        members = list(members) if isinstance(members, tuple) else members
        teachers = {"members": members, "combine": combine}
        tree = {
            "data": "digits",
            "teachers": {name: {"model": "mlp"} for name in "abc"},
            "student": "convnet",
            "distill": {
                "teachers": teachers,
                "losses": losses or {"ce": {}, "kd": {}},
                "stages": list(stages),
            },
        }
        return load_spec({**tree, **sections})

    return make
