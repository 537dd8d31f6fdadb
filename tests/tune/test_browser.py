"""A finished search in MLflow, in a real browser: filter to the front, open its plot, hover, read the report.

`make browser-test` runs it. It needs Playwright (the extra `browser`) and a Chromium, on the path or named by
`CHROMIUM`, and is skipped where one of them is not there. `SCREENSHOTS` names a folder for pictures.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]


@pytest.fixture(scope="module")
def ui(searched) -> Iterator[str]:
    """The address of MLflow's UI on the store of the search."""
    _, folder = searched
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"sqlite:///{folder}/mlflow.db"
    command = [sys.executable, "-m", "kdsearch", "ui", "--tracking-uri", uri, "--port", str(port)]
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/health")
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait(20)


@pytest.fixture
def page() -> Iterator[Any]:
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def test_a_person_finds_the_front_opens_its_plot_and_reads_the_report(searched, ui, page, tmp_path):
    search, folder = searched
    shots = Path(os.environ.get("SCREENSHOTS", tmp_path))
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name(search.name).experiment_id
    (run,) = client.search_runs([experiment], "tags.`kdsearch.kind` = 'search'")
    recipe = search.front.iloc[0]["recipe"]

    page.goto(f"{ui}/#/experiments/{experiment}/runs")
    page.get_by_test_id("saved-views-trigger").click()
    page.get_by_text(f"{search.name}: all trials").click()
    _matching(page, len(search.trials))
    box = page.get_by_placeholder(re.compile(r"metrics\.rmse")).first
    box.fill("tags.`kdsearch.front` = 'true'")
    box.press("Enter")
    _matching(page, len(search.front))
    page.get_by_role("link", name=recipe, exact=True).wait_for()
    shown = page.locator(".ag-header-cell[col-id]")
    columns = [cell.get_attribute("col-id") for cell in shown.all()]
    first = columns.index("metrics.`accuracy`")
    assert columns[first : first + 2] == ["metrics.`accuracy`", "metrics.`size_mb`"]
    page.screenshot(path=shots / "mlflow-runs.png")

    page.goto(f"{ui}/#/experiments/{experiment}/runs/{run.info.run_id}/artifacts/front.html")
    frame = _frame(page, "#picture .scatterlayer .point")
    frame.locator("#picture .scatterlayer .trace").last.locator(".point").first.hover(force=True)
    hovered = frame.locator(".hoverlayer .hovertext")
    hovered.wait_for()
    assert "Accuracy" in hovered.text_content()
    page.screenshot(path=shots / "mlflow-front.png")

    page.get_by_text("report.html", exact=True).click()
    report = _frame(page, "#front .scatterlayer .point")
    text = report.locator("body").inner_text()
    assert "hypervolume" in text and recipe in text
    page.screenshot(path=shots / "mlflow-report.png")


def _matching(page: Any, runs: int) -> None:
    page.get_by_text(re.compile(rf"^\s*{runs}\s*matching runs?")).first.wait_for()


def _frame(page: Any, selector: str) -> Any:
    """The frame of an artifact, once `selector` is in it."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for frame in page.frames[1:]:
            if frame.locator(selector).count():
                return frame
        page.wait_for_timeout(200)
    raise AssertionError(f"no frame shows {selector}")


def _wait_for(address: str) -> None:
    until = time.monotonic() + 180
    while True:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)
