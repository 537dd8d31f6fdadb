"""The corners of a space hold every option and both ends of every range."""

from __future__ import annotations

from pathlib import Path

from kdsearch.space import corners
from kdsearch.spec import Choice, Float, Int, has_domain, load_spec


def test_a_value_is_its_own_corner():
    for value in (3, "mlp", None, [], {}, [1, 2], {"name": "mlp", "hidden": [8]}):
        assert corners(value) == [value]


def test_both_ends_and_every_option_occur():
    value = {"name": "x", "width": Int(2, 8), "rate": Float(0.1, 0.5), "act": Choice(("a", "b", "c"))}
    found = corners(value)
    assert {each["width"] for each in found} == {2, 8}
    assert {each["rate"] for each in found} == {0.1, 0.5}
    assert {each["act"] for each in found} == {"a", "b", "c"}
    assert len(found) == 3


def test_domains_nest():
    value = Choice(({"name": "x", "sizes": [Int(1, 2), 5]}, Choice((7, Float(8, 9)))))
    assert corners(value) == [{"name": "x", "sizes": [1, 5]}, {"name": "x", "sizes": [2, 5]}, 7, 8, 9]


def test_the_corners_of_the_demo_s_student():
    spec = load_spec(Path(__file__).parents[2] / "search_spaces" / "digits.yaml")
    found = corners(spec.tree()["student"])
    assert not has_domain(found)
    assert {each["width"] for each in found if each["name"] == "convnet"} == {2, 12}
    assert {str(each["hidden"]) for each in found if each["name"] == "mlp"} == {
        "[8]",
        "[16]",
        "[32]",
        "[32, 32]",
    }
