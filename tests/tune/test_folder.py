"""Names, locks and files of searches, without Ray."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from small import small_spec

from kdsearch.errors import InputError
from kdsearch.filenames import SPEC
from kdsearch.spec import dump_yaml, load_spec
from kdsearch.tune.folder import (
    ask_to_stop,
    asked_to_stop,
    begun_before,
    new_folder,
    old_folder,
    write_about,
)
from kdsearch.tune.records import read_lines
from kdsearch.tune.search_lock import runner

HOLD = """
import sys, time
from pathlib import Path
from kdsearch.tune.folder import new_folder
with new_folder(Path(sys.argv[1]), "digits", None) as folder:
    (folder / "spec.yaml").write_text("")
    print(folder.name, flush=True)
    time.sleep(60)
"""


def test_a_folder_is_held_by_one_process_and_free_again_when_that_is_killed(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "digits\n"
    folder = tmp_path / "searches/digits"
    try:
        assert str(runner(folder)).startswith(f"{holder.pid} on ")
        with (
            pytest.raises(InputError, match=f"runs in process {holder.pid} on"),
            old_folder(tmp_path, "digits"),
        ):
            pass
        match = f"it runs in process {holder.pid} on"
        with pytest.raises(InputError, match=match), new_folder(tmp_path, "digits", "digits"):
            pass
        with new_folder(tmp_path, "digits", None) as other:
            assert other.name == "digits-2"
    finally:
        holder.kill()
        holder.wait()
    assert runner(folder) is None
    with old_folder(tmp_path, "digits") as again:
        assert again == folder and runner(folder) is not None
    assert runner(folder) is None


def test_a_folder_to_which_nothing_was_written_goes_again(tmp_path):
    with pytest.raises(InputError, match="something"), new_folder(tmp_path / "store", "digits", None):
        raise InputError("something")
    assert not list(tmp_path.iterdir())


def test_a_folder_of_a_search_that_was_killed_before_it_began_is_taken(tmp_path):
    (tmp_path / "searches/digits").mkdir(parents=True)
    (tmp_path / "searches/digits/lock").touch()
    (tmp_path / "searches/digits/train/slot-0").mkdir(parents=True)
    with new_folder(tmp_path, "digits", None) as folder:
        assert folder.name == "digits" and not (folder / "train").exists()


@pytest.mark.parametrize("name", ["../digits", "", "a/b", "x" * 65])
def test_a_name_that_is_no_name_is_refused(name, tmp_path):
    with pytest.raises(InputError, match="expected letters"), new_folder(tmp_path, "digits", name):
        pass
    assert not list(tmp_path.iterdir())


def test_a_request_to_stop_is_heard_once(tmp_path):
    assert not asked_to_stop(tmp_path)
    ask_to_stop(tmp_path)
    assert asked_to_stop(tmp_path) and not asked_to_stop(tmp_path)


@pytest.mark.parametrize("tail", [b'{"op_code": 5, "tri', b"\0\0\0\0", b'"no mapping"\n', b'{"op_code": 5}'])
def test_a_journal_is_cut_at_its_first_line_that_is_not_whole(tail, tmp_path):
    journal = tmp_path / "study.journal"
    whole = b"".join(json.dumps({"op_code": code}).encode() + b"\n" for code in range(3))
    journal.write_bytes(whole + tail)
    read_lines(journal, set(), repair=True)
    assert journal.read_bytes() == whole
    assert read_lines(tmp_path / "none", set(), repair=True) == []


def test_the_same_command_again_goes_on_with_what_it_began(tmp_path):
    spec = load_spec(small_spec(tmp_path))
    assert begun_before(tmp_path, spec) is None
    for name, state in (("small", "complete"), ("small-2", "stopped"), ("small-10", "complete")):
        folder = tmp_path / "searches" / name
        folder.mkdir(parents=True)
        (folder / SPEC).write_text(dump_yaml(spec.plain()))
        write_about(folder, state=state)
    assert begun_before(tmp_path, spec) is None  # the last is complete
    write_about(folder, state="running")  # its process was killed
    assert begun_before(tmp_path, spec) == "small-10"
    assert begun_before(tmp_path, load_spec(small_spec(tmp_path), ["search.trials=9"])) == "small-10"
    assert begun_before(tmp_path, load_spec(small_spec(tmp_path), ["search.seed=9"])) is None
    (folder / SPEC).write_text("no: spec")
    assert begun_before(tmp_path, spec) == "small-2"
    with (
        old_folder(tmp_path, "small-2"),
        pytest.raises(InputError, match=r"'small-2' runs in process .* --name NAME begins another"),
    ):
        begun_before(tmp_path, spec)
