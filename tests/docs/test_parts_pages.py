"""docs/losses.md and docs/parts.md show what the registry holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kdsearch.cli import app
from kdsearch.registry import KINDS, parts

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {"losses": ("loss", "ensemble"), "parts": tuple(set(KINDS) - {"loss", "ensemble"})}


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def rows(name: str) -> dict[str, str]:
    return {line.split("`")[1]: line for line in page(name).splitlines() if line.startswith("| [`")}


@pytest.mark.parametrize("name", PAGES)
def test_the_tables_are_those_of_the_registry(name):
    written = CliRunner().invoke(app, [name, "--format", "markdown"])
    assert written.exit_code == 0
    assert page(name).endswith(written.stdout), "`make docs` writes them anew"


@pytest.mark.parametrize("name", PAGES)
def test_every_part_has_a_row_with_its_options(name):
    every = {part.name: part for kind in PAGES[name] for part in parts(kind).values()}
    every = {own: part for own, part in every.items() if not part.facts.get("internal")}
    shown = {own.replace(":NAME", ":"): row for own, row in rows(name).items()}
    assert set(shown) == set(every)
    for own, part in every.items():
        for option in part.parameters.values():
            default = "required" if option.required else json.dumps(option.default)
            forms = (
                f"{option.name}={option.default}",
                f"`{option.name}` ({default}): {option.doc.rstrip(chr(46))[:20]}",
            )
            assert any(form in shown[own] for form in forms)
        if name == "losses":
            assert part.facts.get("paper", "") in shown[own]


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_to_a_file(name):
    links = [row.split("](")[1].split(")")[0] for row in rows(name).values()]
    assert links
    assert all((DOCS / link).is_file() for link in links)


@pytest.mark.parametrize("name", PAGES)
def test_a_terminal_is_shown_the_same(name):
    shown = CliRunner().invoke(app, [name], terminal_width=400)
    assert shown.exit_code == 0
    words = set(shown.stdout.split())
    assert {own.replace("NAME", "") for own in rows(name)} <= {word.replace("NAME", "") for word in words}
