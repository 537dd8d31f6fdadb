"""Students timed on one kind of node and trained on another, on a real Ray of two nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]

USER = Path(__file__).parent / "user"

#: In a process of its own: one process is a driver of one cluster.
SEARCH = """
import json, sys
from pathlib import Path
from kdsearch.tune.slots import quiet_ray

quiet_ray()
import ray
from ray.cluster_utils import Cluster

import kdsearch
from kdsearch.errors import KdsearchError
from small import small_spec

folder, resources = Path(sys.argv[1]), json.loads(sys.argv[2])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1, resources={"edge": 1})
ray.init(address=cluster.address, log_to_driver=False)
measure = {"spot": {"name": "whereabouts:spot"}, "resources": resources}
objectives = {"accuracy": "maximize", "spot": "minimize", "latency_ms": "minimize"}
try:
    found = kdsearch.search(small_spec(folder, measure=measure, objectives=objectives))
    print(json.dumps({"all": list(found.trials["spot"]), "front": list(found.front["estimated"])}))
except KdsearchError as error:
    print(json.dumps(str(error)))
finally:
    ray.shutdown()
    cluster.shutdown()
"""


def search(folder: Path, resources: dict[str, float]) -> object:
    paths = os.pathsep.join(filter(None, [str(USER), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", SEARCH, str(folder), json.dumps(resources)],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_student_is_timed_on_the_kind_of_node_that_the_spec_names(tmp_path):
    found = search(tmp_path, {"edge": 1})
    assert len(found["all"]) >= 8 and set(found["all"]) == {7.0}
    assert found["front"] and set(found["front"]) == {0.0}


def test_a_kind_of_node_that_is_not_there_is_told_before_anything_is_written(tmp_path):
    refused = search(tmp_path, {"cellar": 1})
    assert "measure.resources: no node has CPU: 1, cellar: 1; there are 2 nodes" in refused
    assert "1 edge" in refused and not list(tmp_path.rglob("*.safetensors"))
