"""Searches whose storage is a bucket: on two nodes that share no folder, and on one machine after another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from running import USER, check_whole, epochs, finish, results, running, wait_until
from small import small_spec

pytestmark = [pytest.mark.slow, pytest.mark.long]

#: In a process of its own: one process is a driver of one cluster.
SEARCH = """
import json, os, sys
from pathlib import Path
from kdsearch.tune.slots import quiet_ray

quiet_ray()
import ray
from ray.cluster_utils import Cluster

import kdsearch
from kdsearch import storage
from small import small_spec

folder = Path(sys.argv[1])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1, env_vars={"KDSEARCH_CACHE": f"{folder}/second"})
ray.init(address=cluster.address, log_to_driver=False)
search = {"sampler": "random", "trials": 8, "seed": 1, "concurrent": 2}
spec = small_spec(folder, search=search, compute={"storage": f"file://{folder}/bucket"})
try:
    found = kdsearch.search(spec)
    print(json.dumps([list(found.trials["state"]), str(storage.local(spec["compute"]["storage"]))]))
finally:
    ray.shutdown()
    cluster.shutdown()
"""


def run(folder: Path, *command: str, cache: str) -> str:
    paths = os.pathsep.join(filter(None, [USER, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths, "KDSEARCH_CACHE": str(folder / cache)}
    done = subprocess.run(
        [sys.executable, *command], env=environment, cwd=folder, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_two_nodes_without_a_common_folder_search_together(tmp_path):
    told = run(tmp_path, "-c", SEARCH, str(tmp_path), cache="first").splitlines()[-1]
    states, first = json.loads(told)
    assert len(states) >= 10 and set(states) == {"complete"}
    first = Path(first)
    second = tmp_path / "second" / first.name
    assert list(second.glob("bank/*/view-*")), "the second node trained nothing"
    assert list(second.glob("teachers/*.safetensors")) and not list(second.glob("searches/small/trials/*"))
    (tmp_path / "store").symlink_to(first)  # the driver's folder has all of it
    check_whole(tmp_path)
    bucket = tmp_path / "bucket/searches/small"
    whole = {path.relative_to(bucket) for path in bucket.rglob("*") if path.is_file()}
    folder = first / "searches/small"
    assert whole == {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def test_what_a_machine_was_at_when_it_died_goes_on_on_another(tmp_path, monkeypatch):
    changes = {"compute": {"storage": f"file://{tmp_path}/bucket", "checkpoint_every": 0.5}}
    changes |= {"optim": {"name": "sgd", "lr": 0.1, "epochs": 300}}
    monkeypatch.setenv("KDSEARCH_CACHE", str(tmp_path / "first"))
    bucket = tmp_path / "bucket/searches/small"
    with running(tmp_path, **changes) as process:
        wait_until(lambda: len(results(bucket)) >= 1 and list(bucket.glob("trials/*/checkpoint.pt")), 90)
        (cut,) = {path.parent.name for path in bucket.glob("trials/*/checkpoint.pt")} - results(bucket).keys()
        wait_until(lambda: len(epochs(bucket, cut)) > 20)
        process.kill()
    shutil.rmtree(tmp_path / "first")
    told = epochs(bucket, cut)
    # The sign of life of the dead is still fresh, and it is of this host, which knows better.
    monkeypatch.setenv("KDSEARCH_CACHE", str(tmp_path / "second"))
    with running(tmp_path, "--resume", "small", **changes) as process:
        said = finish(process)
    assert process.returncode == 0, said
    (second,) = (tmp_path / "second").iterdir()
    (tmp_path / "store").symlink_to(second)
    check_whole(tmp_path)
    folder = tmp_path / "store/searches/small"
    again = epochs(folder, cut)
    assert [epoch["epoch"] for epoch in again] == [*range(1, 301)]
    assert again[: len(told)] == told and again == epochs(bucket, cut)
    assert not list(bucket.rglob("checkpoint.pt")) and not (bucket / "lock").exists()


def test_a_search_goes_on_on_another_machine(tmp_path):
    spec = small_spec(tmp_path, compute={"storage": f"file://{tmp_path}/bucket"})
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    search = ("-m", "kdsearch", "search", "space.yaml")
    run(tmp_path, *search, cache="first")
    shutil.rmtree(tmp_path / "first")
    at = ("--storage", spec["compute"]["storage"])
    assert "small: complete" in run(tmp_path, "-m", "kdsearch", "status", "small", *at, cache="second")
    before = set(results(tmp_path / "bucket/searches/small"))
    said = run(tmp_path, *search, "--resume", "small", "--trials", "8", cache="third")
    assert "teacher wide: in the store" in said and f"{len(before)} trials are kept, 0 go on" in said
    assert len(results(tmp_path / "bucket/searches/small")) > len(before)
    (third,) = (tmp_path / "third").iterdir()
    (tmp_path / "store").symlink_to(third)
    check_whole(tmp_path)


@pytest.mark.parametrize("cloud", ["s3", "gs"])
def test_a_search_in_a_cloud_is_seen_and_exported_elsewhere(cloud, request, tmp_path):
    bucket = request.getfixturevalue(cloud)
    spec = small_spec(tmp_path, compute={"storage": bucket})
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    kdsearch = ("-m", "kdsearch")
    run(tmp_path, *kdsearch, "search", "space.yaml", cache="first")
    (first,) = (tmp_path / "first").iterdir()
    (tmp_path / "store").symlink_to(first)
    check_whole(tmp_path)
    shutil.move(tmp_path / "first", tmp_path / "gone")
    at = ("--storage", bucket)
    assert "small: complete" in run(tmp_path, *kdsearch, "status", "small", *at, cache="second")
    at = ("--tracking-uri", spec["tracking"]["uri"])
    run(tmp_path, *kdsearch, "export", "small", "--out", "student", *at, cache="second")
    assert (tmp_path / "student/student.onnx").exists()
