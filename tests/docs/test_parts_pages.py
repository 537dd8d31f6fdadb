"""docs/losses.md shows what the registry holds."""

from __future__ import annotations

from pathlib import Path

from kdsearch.cli.losses import markdown
from kdsearch.registry import parts

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "losses.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_registry():
    assert PAGE.endswith(markdown()), "`make docs` writes them anew"


def test_every_loss_and_every_ensemble_has_a_row_with_its_paper_and_its_options():
    rows = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| [`")}
    every = {**parts("loss"), **parts("ensemble")}
    assert set(rows) == set(every)
    for name, part in every.items():
        assert part.facts.get("paper", "") in rows[name]
        for option in part.parameters.values():
            assert f"{option.name}={option.default}" in rows[name]


def test_every_link_leads_to_a_file():
    links = [line.split("](")[1].split(")")[0] for line in PAGE.splitlines() if line.startswith("| [`")]
    assert links
    assert all((DOCS / link).is_file() for link in links)
