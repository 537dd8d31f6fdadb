"""The pages of measurements show what was measured, and the documents repeat them rightly."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import growth, recipes
from benchmarks.losses import LIMIT, losses_with
from kdsearch.registry import parts
from kdsearch.spec import load_spec

ROOT = Path(__file__).parents[2]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def ratios() -> dict[str, float]:
    """What each loss's step takes over the plain one, from the page."""
    rows = [line.split("|") for line in read("benchmarks/LOSSES.md").splitlines() if line.startswith("| `")]
    return {cells[1].strip(" `"): float(cells[3].strip(" *")) for cells in rows}


def test_every_loss_has_its_cost():
    assert set(ratios()) == set(parts("loss"))


def test_every_loss_can_be_put_beside_cross_entropy():
    for name in parts("loss"):
        content = {
            "data": "digits",
            "teachers": {"big": {"model": "resnet"}},
            "student": "resnet",
            "distill": {"teachers": {"members": ["big"]}, "losses": losses_with(name)},
        }
        assert [loss.part for loss in load_spec(content).distill.losses.values()] == ["ce", name]


def test_whatever_costs_much_has_its_reason():
    section = read("docs/losses.md").split("## What they cost")[1].split("\n## ")[0]
    reasons = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    assert {name for name, ratio in ratios().items() if ratio > LIMIT} == reasons


def test_the_page_of_recipes_and_the_readme_show_what_was_found():
    found = json.loads(read("benchmarks/recipes.json"))
    assert read("benchmarks/RECIPES.md") == recipes.written(found)
    assert recipes.table(found) in read("README.md")


def test_spread_and_mean_are_those_of_the_seeds():
    found = {"students": {"labels alone": {str(seed): {"errors": 100 + seed} for seed in range(3)}}}
    assert "| labels alone | 146 | 101.0 ± 1.0 | 100, 101, 102 |" in recipes.table(found)


def test_the_readme_s_table_of_speed_is_taken_from_the_results():
    section = read("README.md").split("## Speed")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    results = read("benchmarks/RESULTS.md").splitlines()
    assert len(rows) >= 6
    for row in rows:
        assert any(line.startswith(row) for line in results), row


def test_the_page_of_growth_shows_what_was_found_of_every_sampler():
    found = json.loads(read("benchmarks/growth.json"))
    assert read("benchmarks/GROWTH.md") == growth.page(found)
    assert {row["sampler"] for row in found["rows"]} == set(growth.TRIALS) == set(parts("sampler"))
