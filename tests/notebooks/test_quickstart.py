"""The notebook, cell by cell, as a person would run it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def cells() -> list[str]:
    notebook = json.loads((ROOT / "notebooks/quickstart.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_kept_without_outputs():
    notebook = json.loads((ROOT / "notebooks/quickstart.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    assert not any(cell.get("outputs") for cell in notebook["cells"])


@pytest.mark.slow
@pytest.mark.long
def test_every_cell_runs_and_the_student_is_there(tmp_path):
    shutil.copytree(ROOT / "search_spaces", tmp_path / "search_spaces")
    here = tmp_path / "notebooks"
    here.mkdir()
    (here / "cells.py").write_text("\n\n".join([*cells(), "print(folder, len(confirmed.table))"]))
    done = subprocess.run([sys.executable, "cells.py"], cwd=here, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[0] == "digits-student"
    assert (here / "digits-student" / "student.safetensors").exists()
    assert (here / "kdsearch_store/searches/digits/report.html").exists()
