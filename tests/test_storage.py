"""Storage in a bucket: what one node sends another fetches."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kdsearch import storage
from kdsearch.errors import InputError, KdsearchError
from kdsearch.spec import load_spec
from kdsearch.storage import mirror
from kdsearch.tune import search_lock
from kdsearch.tune.folder import ask_to_stop, asked_to_stop, new_folder, old_folder
from kdsearch.tune.search_lock import LOCK, runner


@pytest.fixture
def address(tmp_path):
    return f"file://{tmp_path}/bucket"


@pytest.fixture
def node(address, tmp_path, monkeypatch):
    """Makes this process one of several nodes, and returns its folder of the storage."""

    def be(name: str) -> Path:
        monkeypatch.setenv(storage.CACHE, str(tmp_path / name))
        return storage.local(address)

    return be


def test_a_plain_folder_is_itself_and_nothing_is_sent(tmp_path):
    (tmp_path / "a").write_text("1")
    assert storage.local(tmp_path) == tmp_path and storage.address_of(tmp_path / "a") is None
    storage.send(tmp_path / "a")
    storage.fetch(tmp_path)
    storage.check(tmp_path)
    assert storage.peek(tmp_path / "a") is None
    storage.remove(tmp_path, "a")
    assert not list(tmp_path.iterdir())


def test_what_one_node_sends_another_fetches_once_and_again_when_it_is_newer(node, address, monkeypatch):
    first = node("first")
    assert storage.address_of(first) == address
    file = first / "trials/x/student.safetensors"
    assert storage.address_of(file) == f"{address}/trials/x/student.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"1")
    storage.send(first / "trials/x")
    second = node("second")
    there = second / "trials/x/student.safetensors"
    storage.fetch(second / "trials")
    assert there.read_bytes() == b"1"
    before = there.stat()
    storage.fetch(there)
    assert (there.stat().st_ino, there.stat().st_mtime) == (before.st_ino, before.st_mtime)
    there.write_bytes(b"22")
    os.utime(there, (time.time() + 5,) * 2)
    storage.fetch(there)
    assert there.read_bytes() == b"22"  # newer here than there
    file.write_bytes(b"333")
    storage.send(file)
    os.utime(there, (0, 0))
    storage.fetch(second / "trials")
    assert there.read_bytes() == b"333"
    there.write_bytes(b"4444")
    os.utime(there, (file.stat().st_mtime - 5,) * 2)
    storage.fetch(there)
    assert there.read_bytes() == b"4444"  # grown, by a slow clock
    storage.fetch(second / "none")
    assert not (second / "none").exists()


@pytest.mark.parametrize("cloud", ["s3", "gs"])
def test_the_same_in_a_cloud(cloud, request, tmp_path, monkeypatch):
    bucket = request.getfixturevalue(cloud)
    monkeypatch.setattr(mirror, "_EVERY", 0.05)
    monkeypatch.setenv(storage.CACHE, str(tmp_path / "first"))
    first = storage.local(bucket)
    storage.check(first)
    assert storage.names(first) == [".bucket"]
    folder = first / "searches/a"
    folder.mkdir(parents=True)
    (folder / "lock").write_text("1 on first")
    with storage.mirrored(folder, without=("student.onnx",)), storage.beating(folder / "lock", list):
        (folder / "student.onnx").write_text("not sent")
        (folder / "student.safetensors").write_bytes(bytes(3_000_000))
    (folder / "student.onnx").unlink()
    place, _, options = bucket.partition("?")
    assert storage.address_of(folder) == f"{place}/searches/a?{options}"
    monkeypatch.setenv(storage.CACHE, str(tmp_path / "second"))
    second = storage.local(bucket) / "searches/a"
    assert storage.names(second) == ["lock", "student.safetensors"]
    storage.fetch(second)
    assert (second / "student.safetensors").stat().st_size == 3_000_000
    age, who = storage.peek(second / "lock")
    assert 0 <= age + 1 < 30 and who == "1 on first"
    storage.remove(second, "student.*")
    assert storage.names(folder.parent / "a") == ["lock", "student.safetensors"]  # here, not there
    (folder / "student.safetensors").unlink()
    storage.fetch(folder)
    assert storage.names(folder) == ["lock"]
    storage.remove_folder(second)
    monkeypatch.setenv(storage.CACHE, str(tmp_path / "third"))
    assert storage.names(storage.local(bucket) / "searches/a") == []


def test_a_bucket_that_is_not_there_is_refused(s3, tmp_path, monkeypatch):
    monkeypatch.setenv(storage.CACHE, str(tmp_path))
    with pytest.raises(InputError, match=r"other-bucket.* cannot be written: .*NO_SUCH_BUCKET"):
        storage.check(storage.local(s3.replace("kdsearch-bucket", "other-bucket")))


def test_what_is_removed_is_gone_for_all(node):
    first, second = node("first") / "trials/x", node("second") / "trials/x"
    first.mkdir(parents=True)
    for name in ("student.safetensors", "student.onnx", "trial.json"):
        (first / name).write_text("x")
    storage.send(first)
    storage.remove(second, "student.*")
    assert storage.names(second) == ["trial.json"]
    storage.remove_folder(first)
    assert storage.names(second) == []


def test_a_mirrored_folder_follows_every_change(node, monkeypatch):
    monkeypatch.setattr(mirror, "_EVERY", 0.05)
    first, second = node("first"), node("second")
    folder = first / "searches/a"
    (folder / "tune").mkdir(parents=True)
    (folder / "tune/big").write_text("x")
    (folder / "part.json.part").write_text("x")
    with storage.mirrored(folder, without=("tune",)):
        (folder / "epochs.jsonl").write_text("1\n")
        (folder / "gone").write_text("1\n")
        _until(lambda: (_fetched(second / "searches/a") or {}).keys() == {"epochs.jsonl", "gone"})
        (folder / "gone").unlink()
        with (folder / "epochs.jsonl").open("a") as file:
            file.write("2\n")
    third = node("third")
    assert _fetched(third / "searches/a") == {"epochs.jsonl": "1\n2\n"}


def test_a_bucket_that_is_away_at_the_end_is_told_and_the_folder_is_whole(node, tmp_path, monkeypatch):
    monkeypatch.setattr(mirror, "_EVERY", 0.05)
    monkeypatch.setattr(mirror, "_LAST", 0.2)
    first = node("first")
    folder = first / "searches/a"
    folder.mkdir(parents=True)
    with pytest.raises(KdsearchError, match="all of it is in"), storage.mirrored(folder):
        (tmp_path / "bucket").write_text("no folder")
        (folder / "result.json").write_text("{}")
    assert (folder / "result.json").exists()


def test_a_search_runs_on_one_machine_at_a_time(node, monkeypatch):
    monkeypatch.setattr(mirror, "_EVERY", 0.05)
    first, second = node("first"), node("second")
    monkeypatch.setattr("socket.gethostname", lambda: "first")
    with new_folder(first, "digits", None) as folder:
        (folder / "spec.yaml").write_text("name: digits\n")
        with storage.mirrored(folder, without=(LOCK,)):
            monkeypatch.setattr("socket.gethostname", lambda: "second")
            other = second / "searches/digits"
            _until(lambda: "spec.yaml" in storage.names(other))
            assert runner(other) == f"{os.getpid()} on first"
            with pytest.raises(InputError, match=r"in process .* on first"), old_folder(second, "digits"):
                pass
            with pytest.raises(InputError, match="there is a search of this name"):
                new_folder(second, "digits", "digits").__enter__()
            ask_to_stop(other)
            assert asked_to_stop(folder) and not asked_to_stop(folder)
    assert runner(other) is None
    with old_folder(second, "digits") as found:
        assert found == other and (found / "spec.yaml").exists()
    with new_folder(second, "digits", None) as another:
        assert another.name == "digits-2"


def test_of_two_machines_that_begin_at_once_the_later_runs_and_the_other_leaves_it_alone(
    node, tmp_path, monkeypatch
):
    monkeypatch.setattr(mirror, "_BEAT", 0.05)
    monkeypatch.setattr(search_lock, "_SETTLING", 0.0)
    # Neither has seen the other.
    monkeypatch.setattr(search_lock, "holder", lambda folder: None)
    bucket = tmp_path / "bucket/searches/digits/lock"
    with new_folder(node("first"), "digits", None) as folder:
        assert bucket.read_text().startswith(f"{os.getpid()} on ")
        bucket.write_text("2 on second")
        _until(lambda: asked_to_stop(folder))
        time.sleep(0.2)
        assert not asked_to_stop(folder) and bucket.read_text() == "2 on second"
        # What it ends with stays here.
        (folder / "search.json").write_text("{}")
        storage.send(folder)
        with storage.mirrored(folder):
            pass
        storage.remove_folder(folder)
    assert bucket.read_text() == "2 on second" and [path.name for path in bucket.parent.iterdir()] == ["lock"]
    assert not (folder / "lock").exists()


def test_who_is_refused_leaves_the_lock_of_the_other(node, tmp_path, monkeypatch):
    monkeypatch.setattr(search_lock, "holder", lambda folder: None)
    bucket = tmp_path / "bucket/searches/digits/lock"
    monkeypatch.setattr(search_lock.time, "sleep", lambda seconds: bucket.write_text("2 on second"))
    with pytest.raises(InputError, match="runs in process 2 on second"):
        new_folder(node("first"), "digits", None).__enter__()
    assert bucket.read_text() == "2 on second"


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        (
            "ftp://host/x",
            r"expected a folder, or the address of a bucket \(s3://, gs://, file://\); got ftp://",
        ),
        ("s3://key:secret@bucket/x", "it holds a key or a password"),
    ],
)
def test_addresses_that_are_no_buckets_are_refused(storage, message):
    with pytest.raises(InputError, match=f"compute.storage: {message}"):
        load_spec({"data": {"source": "digits"}, "student": "mlp", "compute": {"storage": storage}})


def test_a_bucket_that_cannot_be_written_is_refused(node, tmp_path):
    folder = node("first")
    (tmp_path / "bucket").write_text("no folder")
    with pytest.raises(InputError, match=r"compute.storage: file://.*/bucket cannot be written"):
        storage.check(folder)
    assert [path.name for path in folder.iterdir()] == [".bucket"]


def _fetched(folder: Path) -> dict[str, str]:
    storage.fetch(folder)
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.is_dir() else {}


def _until(condition) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "never came"
        time.sleep(0.02)
