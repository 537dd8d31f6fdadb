"""A disk that fills up, and one that cannot be written, as file systems of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import USER, check_whole
from small import small_spec

pytestmark = pytest.mark.slow

if sys.platform != "linux" or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
    pytest.skip("this user may not mount file systems of its own", allow_module_level=True)


def scene(folder: Path, script: str, **changes: Any) -> list[str]:
    """What a shell script prints that runs where it may mount; `$search` starts the search."""
    (folder / "store").mkdir()
    spec = small_spec(
        folder, teachers={}, distill={"losses": {"ce": {"weight": {"float": [0.1, 1]}}}}, **changes
    )
    (folder / "space.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    search = f"PYTHONPATH={USER}:$PYTHONPATH {sys.executable} -m kdsearch search space.yaml"
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", script.replace("$search", search)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
    )
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout.splitlines()


@pytest.mark.long
def test_a_full_disk_stops_the_search_clearly_and_it_goes_on_when_there_is_room(tmp_path):
    script = """
        mount -t tmpfs -o size=1m tmpfs store
        $search; echo exit $?
        ls store/searches/small/trials/*/result.json | wc -l
        dd if=/dev/zero of=store/rest 2>/dev/null
        $search --resume small; echo full $?
        rm store/rest; mount -o remount,size=100m store
        $search; echo exit $?
        cp -r store/searches kept
    """
    search = {"sampler": "random", "trials": 30, "seed": 0, "concurrent": 1, "baselines": False}
    lines = scene(tmp_path, script, search=search)
    first, second = (number for number, line in enumerate(lines) if line.startswith("exit "))
    assert lines[first] == "exit 1" and lines[second] == "exit 0", lines
    (error,) = [line for line in lines[:first] if line.startswith("error: ")]
    assert "No space left on device" in error
    assert "--resume small goes on with it" in "".join(lines[:first])
    (still,) = [line for line in lines[first:second] if line.startswith("error: ")]
    assert "No space left on device" in still and "full 1" in lines
    kept = int(lines[first + 1])
    assert kept > 3
    (told,) = [line for line in lines if "trials are kept" in line]
    assert kept - 1 <= int(told.split()[0]) <= kept
    (tmp_path / "kept").rename(tmp_path / "store/searches")
    check_whole(tmp_path)


def test_a_store_that_cannot_be_written_is_refused_and_one_that_turns_so_stops_the_search(tmp_path):
    script = """
        mount -t tmpfs -o ro tmpfs store
        $search; echo exit $?
        umount store
        (while [ $(ls store/searches/small/trials 2>/dev/null | wc -l) -lt 3 ]; do sleep 0.05; done
         cd store/searches/small; mount --bind trials trials; mount -o remount,bind,ro trials) &
        $search; echo exit $?
    """
    search = {"sampler": "random", "trials": 200, "seed": 0, "concurrent": 1, "baselines": False}
    lines = scene(tmp_path, script, search=search)
    first, second = (number for number, line in enumerate(lines) if line.startswith("exit "))
    assert lines[first] == "exit 2" and "cannot be written" in "".join(lines[:first])
    assert lines[second] == "exit 1"
    (error,) = [line for line in lines[first:second] if line.startswith("error: ")]
    assert "Read-only file system" in error and "--resume small" in "".join(lines[first:second])
