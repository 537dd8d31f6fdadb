"""What an autoscaler may add is known before it does: with Ray's own on this machine, and with KubeRay's."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from running import session_of

from kdsearch.spec import load_spec
from kdsearch.tune.autoscaling import addable_nodes
from kdsearch.tune.capacity import Cluster, groups

CLUSTERS = Path(__file__).parents[2] / "clusters"
BIN = Path(sys.executable).parent
HEAD_ID = "f" * 51 + "00000"  # the one that Ray's fake provider takes for the head
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a-token-of-32-characters-or-more-0"}
SPACE = """\
name: grown
data: {source: digits, batch_size: 64}
student: {name: mlp, hidden: {choice: [[4], [8]]}}
distill: {losses: {ce: {}}}
optim: {name: sgd, lr: 0.1, epochs: 1}
search: {sampler: random, trials: 2}
"""


def filled(name: str) -> dict[str, object]:
    """A file of clusters/ as `ray up` leaves it on the head."""
    from ray.autoscaler._private.util import prepare_config

    return prepare_config(yaml.safe_load((CLUSTERS / name).read_text()))


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml"])
def test_a_search_in_the_cloud_uses_as_many_nodes_as_there_may_be(name):
    nodes = addable_nodes(filled(name))
    assert nodes is not None
    assert [node for node in nodes if node.get("GPU")] == [{"CPU": 8, "GPU": 1}] * 8
    search = {"data": {"source": "digits", "batch_size": 720}, "student": "mlp", "search": {"trials": 100}}
    on_gpus = load_spec({**search, "compute": {"gpus_per_worker": 1, "cpus_per_worker": 8}})
    assert groups(on_gpus, Cluster([{"CPU": 0.0}, *nodes])) == 8


def test_machines_that_are_not_described_are_not_known():
    assert addable_nodes(filled("onprem.yaml")) is None
    assert addable_nodes({}) is None


def test_a_group_without_a_bound_is_not_written_out():
    kinds = {"head": {"max_workers": 0}, "any": {"max_workers": 2**31 - 1, "resources": {"CPU": 4}}}
    assert addable_nodes({"max_workers": 2**31 - 1, "available_node_types": kinds}) == [{"CPU": 4}] * 1000


@pytest.fixture
def kubernetes(tmp_path) -> Iterator[dict[str, str]]:
    """The environment of a head's pod, and the address of a server that knows the RayCluster of clusters/."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run([*new, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    described = yaml.safe_load((CLUSTERS / "kubernetes/raycluster.yaml").read_text())
    described["metadata"]["namespace"] = "here"

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/apis/ray.io/v1/namespaces/here/rayclusters/kdsearch"
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(json.dumps(described if known else {}).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Not shown."""

    server = HTTPServer(("127.0.0.1", 0), Server)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield {
        "KUBERAY_GEN_RAY_START_CMD": "ray start --head  --no-monitor  --num-cpus=0 ",
        "RAY_CLUSTER_NAME": "kdsearch",
        "RAY_CLUSTER_NAMESPACE": "here",
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT_HTTPS": str(server.server_port),
        "RAY_KUBERAY_CA_CERT_PATH": str(certificate),
        # In place of the token that a pod finds among its files.
        "RAY_KUBERAY_CLIENT_CERT_PATH": str(certificate),
        "RAY_KUBERAY_CLIENT_KEY_PATH": str(key),
    }
    server.shutdown()
    thread.join()
    server.server_close()


def in_the_pod(environment: dict[str, str]) -> object:
    code = "import json; from kdsearch.tune.autoscaling import read_here; print(json.dumps(read_here('h:1')))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_on_kubernetes_the_ray_cluster_tells_which_pods_may_come(kubernetes):
    nodes = addable_nodes(in_the_pod(kubernetes))
    assert nodes is not None
    gpu, cpu = [n for n in nodes if "GPU" in n], [n for n in nodes if "GPU" not in n and n["CPU"] == 8]
    assert (len(gpu), len(cpu)) == (8, 4)
    assert gpu[0] == {"CPU": 8, "GPU": 1, "memory": 32 * 2**30}


@pytest.mark.slow
def test_a_pod_that_may_not_ask_goes_on_without_knowing(kubernetes):
    away = {**kubernetes, "KUBERNETES_SERVICE_PORT_HTTPS": "1"}
    assert in_the_pod(away) == {}
    assert in_the_pod({**kubernetes, "KUBERAY_GEN_RAY_START_CMD": "ray start --head"}) is None


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, free_port) -> Iterator[str]:
    """A head without CPUs whose autoscaler may start two nodes of two CPUs, as processes of this machine."""
    port = free_port()
    provider = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
    config = {
        "cluster_name": "fake",
        "provider": {
            "type": "external",
            "module": provider,
            "gcs_address": f"127.0.0.1:{port}",
            "head_node_id": HEAD_ID,
            "launch_multiple": True,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "max_workers": 2,
        "idle_timeout_minutes": 5,
        "upscaling_speed": 1.0,
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "two": {"resources": {"CPU": 2, "object_store_memory": 10**8}, "node_config": {}},
        },
        **{key: {} for key in ("auth", "docker", "file_mounts")},
        **{key: [] for key in ("cluster_synced_files", "initialization_commands", "setup_commands")},
        **{key: [] for key in ("head_setup_commands", "worker_setup_commands")},
        **{key: [] for key in ("head_start_ray_commands", "worker_start_ray_commands")},
    }
    file = tmp_path_factory.mktemp("cluster") / "cluster.yaml"
    file.write_text(yaml.safe_dump(config))
    environment = {
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        # What `ray up` sets.
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
        "RAY_NODE_TYPE_NAME": "ray.head.default",
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
    }
    with started(port, environment, "--num-cpus=0", f"--autoscaling-config={file}") as address:
        yield address


@contextmanager
def started(port: int, environment: dict[str, str], *options: str) -> Iterator[str]:
    """A head at a port, and all that is started beside it; gives its address."""
    # A short path: Ray's sockets lie in it, and their names may not be long.
    temporary = Path(tempfile.mkdtemp(prefix="kds"))
    command = [
        BIN / "ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}",
        "--include-dashboard=false", f"--temp-dir={temporary}", "--disable-usage-stats",
        "--object-store-memory=100000000", *options,
    ]  # fmt: skip
    environment = {**os.environ, **TOKEN, **environment}
    said = temporary / "head.log"
    with said.open("w") as log:
        head = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + 120
        while "Ray runtime started" not in said.read_text():
            assert time.monotonic() < until and head.poll() is None, said.read_text()
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        head.send_signal(signal.SIGTERM)
        try:
            head.wait(30)
        finally:
            # The nodes that the autoscaler started outlive it, in process groups of their own.
            for pid in session_of(head.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(temporary, ignore_errors=True)


@pytest.fixture
def search(tmp_path) -> Callable[..., tuple[int, str]]:
    """Run `kdsearch search` on a cluster that this machine is a node of."""
    (tmp_path / "s.yaml").write_text(SPACE)

    def run(address: str, *options: str) -> tuple[int, str]:
        done = subprocess.run(
            [BIN / "kdsearch", "search", "s.yaml", "--address", address, *options],
            cwd=tmp_path,
            env={**os.environ, **TOKEN},
            capture_output=True,
            text=True,
            timeout=170,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.slow
@pytest.mark.long
def test_what_no_node_that_may_come_can_place_is_refused(cluster, search):
    code, out = search(cluster, "--set", "compute.cpus_per_worker=3")
    there = "3 nodes: 1 x 0 CPUs and 0 GPUs, 2 x 2 CPUs and 0 GPUs"
    assert code == 2 and f"a trial needs 1 x 3 CPUs, and there are {there}" in out, out


@pytest.mark.slow
@pytest.mark.long
def test_a_search_makes_a_cluster_without_cpus_grow(cluster, search):
    code, out = search(cluster)
    assert code == 0 and "grown: 2 complete" in out, out


@pytest.mark.slow
@pytest.mark.long
def test_where_kubernetes_does_not_say_what_may_come_a_search_goes_on_and_says_so(search, free_port):
    environment = {"KUBERAY_GEN_RAY_START_CMD": "ray start --head  --no-monitor "}
    with started(free_port(), environment, "--num-cpus=1", "--no-monitor") as address:
        code, out = search(address)
    assert code == 0 and "grown: 2 complete" in out, out
    assert "which nodes the cluster may add is not known; trials at once: 1, or what search.concurrent" in out
