"""Matchings by rule."""

from __future__ import annotations

import pytest

from kdsearch.distill.layers import Layer
from kdsearch.distill.matching import by_rule

STUDENT = [Layer("s1", (8, 8, 8)), Layer("s2", (16, 4, 4)), Layer("s3", (32, 4, 4)), Layer("pool", (32,))]
TEACHER = [
    Layer("t1", (4, 8, 8)),
    Layer("t2", (8, 8, 8)),
    Layer("t3", (16, 4, 4)),
    Layer("t4", (64, 2, 2)),
    Layer("pool", (64,)),
]


@pytest.mark.parametrize(
    ("rule", "count", "expected"),
    [
        ("none", 2, []),
        ("last", 3, ["pool pool"]),
        ("uniform", 1, ["pool pool"]),
        ("uniform", 2, ["s2 t2", "pool pool"]),
        ("uniform", 9, ["s1 t1", "s2 t2", "s3 t4", "pool pool"]),
        ("stage_to_stage", 1, ["s1 t3", "s3 t4", "pool pool"]),
    ],
)
def test_rules_pair_the_layers_they_say(rule: str, count: int, expected: list[str]):
    pairs = by_rule(rule, STUDENT, TEACHER, count, seed=0)
    assert [f"{near.path} {far.path}" for near, far in pairs] == expected


def test_random_pairs_any_two_layers_each_once_and_follows_its_seed():
    crossing = 0
    for seed in range(100):
        pairs = by_rule("random", STUDENT, TEACHER, 3, seed)
        assert pairs == by_rule("random", STUDENT, TEACHER, 3, seed)
        assert all(len({layer.path for layer in side}) == 3 for side in zip(*pairs, strict=True))
        depths = [TEACHER.index(far) for _, far in sorted(pairs, key=lambda pair: STUDENT.index(pair[0]))]
        crossing += depths != sorted(depths)
    assert 50 < crossing < 100
