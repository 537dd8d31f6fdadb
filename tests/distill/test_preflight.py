"""Layers that a spec names are looked for in the models before anything runs."""

from __future__ import annotations

import pytest

from kdsearch.distill.preflight import preflight
from kdsearch.errors import InputError
from kdsearch.spec import load_spec


def spec(layer: str):
    match = {"teacher": "wide", "pairs": [["stage1", layer]]}
    return load_spec(
        {
            "data": "digits",
            "teachers": {"wide": {"model": {"name": "convnet", "depth": 3}}},
            "student": {"choice": [{"name": "convnet", "depth": 1}, {"name": "convnet", "depth": 2}]},
            "distill": {
                "teachers": {"members": {"subset": "all"}},
                "losses": {"ce": {}, "simkd": {}, "hint": {"match": match}},
            },
        }
    )


def test_layers_that_are_there_pass():
    assert preflight(spec("stage3")).classes == tuple("0123456789")


def test_one_that_is_not_is_named_with_the_nearest():
    with pytest.raises(InputError, match=r"losses.hint.match.*no layer 'stage4'; did you mean 'stage3'"):
        preflight(spec("stage4"))
