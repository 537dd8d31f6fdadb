"""Searches submitted as jobs to a real Ray with a dashboard, which asks for a token."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

import kdsearch

pytestmark = [pytest.mark.slow, pytest.mark.long]

BIN = Path(sys.executable).parent
TOKEN = "a-token-of-32-characters-or-more-0"
SECRET = "pa55-that-nobody-may-see"

SPACE = """\
name: sent
data: {source: digits, batch_size: 64}
teachers: {big: {model: {name: mlp, hidden: [32]}, epochs: 1}}
student: {name: "mine:Small", width: {choice: [4, 8]}}
distill: {teachers: {members: [big]}, losses: {ce: {}, kd: {weight: {choice: [0.5, 1.0]}}}}
optim: {name: sgd, lr: 0.1, epochs: 1}
search: {sampler: random, trials: 2}
"""

MINE = """\
from torch import nn


class Small(nn.Sequential):
    def __init__(self, in_channels: int, num_classes: int, *, width: int = 4) -> None:
        layers = nn.LazyLinear(width), nn.ReLU(), nn.Linear(width, num_classes)
        super().__init__(nn.Flatten(), *layers)
"""


#: The address of a head, its dashboard's, and where it keeps its logs.
Cluster = tuple[str, str, Path]


@pytest.fixture(scope="module")
def cluster(free_port) -> Iterator[Cluster]:
    """A head of two CPUs."""
    with head_of([BIN / "ray"], {"PATH": f"{BIN}:{os.environ['PATH']}"}, free_port) as there:
        yield there


@contextmanager
def head_of(
    ray: Sequence[Path | str], more: dict[str, str], free_port: Callable[[], int]
) -> Iterator[Cluster]:
    """A head of two CPUs, started by the command `ray`."""
    # A short path: Ray's sockets lie in it, and their names may not be long.
    temporary, port, dashboard = Path(tempfile.mkdtemp(prefix="kds")), free_port(), free_port()
    command = [
        *ray, "start", "--head", "--block", "--num-cpus=2", "--node-ip-address=127.0.0.1",
        f"--port={port}", f"--dashboard-port={dashboard}", "--include-dashboard=true",
        f"--temp-dir={temporary}", "--disable-usage-stats",
        # The usual port is taken by another Ray on this machine, and without its agent a head takes no job.
        f"--dashboard-agent-listen-port={free_port()}",
    ]  # fmt: skip
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, **more}
    log = (temporary / "head.log").open("w")
    head = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{dashboard}"
    try:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        for _ in range(120):
            try:
                if requests.get(f"{url}/api/version", headers=headers, timeout=1).ok:
                    break
            except requests.RequestException:
                pass
            time.sleep(0.5)
        else:
            raise AssertionError((temporary / "head.log").read_text())
        yield f"127.0.0.1:{port}", url, temporary
    finally:
        head.send_signal(signal.SIGTERM)
        try:
            head.wait(30)
        finally:
            os.killpg(head.pid, signal.SIGKILL) if head.poll() is None else None
            shutil.rmtree(temporary, ignore_errors=True)


@pytest.fixture
def send(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run `kdsearch` in a fresh folder with a spec and the module that it names: by default, a search."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "s.yaml").write_text(SPACE)
    (tree / "mine.py").write_text(MINE)

    def run(
        *options: str, command: Sequence[str] = ("search", "s.yaml"), token: str | None = TOKEN, **more: str
    ) -> tuple[int, str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_"))}
        environment |= {"RAY_AUTH_MODE": "token"} | ({"RAY_AUTH_TOKEN": token} if token else {}) | more
        environment |= {"HOME": str(tmp_path)}  # where a token of this machine's would lie
        done = subprocess.run(
            [BIN / "kdsearch", *command, *options],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done.returncode, done.stdout + done.stderr

    return run


_COMMANDS = ("logs --follow", "status", "stop", "logs")


def ask(*command: str) -> str:
    """What a command of `kdsearch` about a job prints, anywhere but in the folder that was sent."""
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    done = subprocess.run(
        [BIN / "kdsearch", *command], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def there(tmp_path: Path) -> list[str]:
    return ["--set", f"compute.storage={tmp_path}/store", "--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db"]


def test_a_job_takes_the_working_tree_along_and_is_followed_to_its_end(cluster, send, tmp_path, monkeypatch):
    _, url, temporary = cluster
    code, out = send("--address", url, *there(tmp_path), MLFLOW_TRACKING_PASSWORD=SECRET)
    assert code == 0, out
    assert re.search(r"^job sent-\w{8} submitted$", out, re.MULTILINE)
    assert "MLFLOW_TRACKING_PASSWORD is not sent" in out
    assert "sent: 4 complete" in out and "INFO packaging" not in out
    assert f" front sent --tracking-uri sqlite:///{tmp_path}/mlflow.db" in out
    monkeypatch.syspath_prepend(tmp_path / "tree")  # where the model is that its spec names
    found = kdsearch.open_search("sent", f"sqlite:///{tmp_path}/mlflow.db")
    assert found.state == "complete" and len(found.front) and len(found.trials) == 4
    written = [path for path in temporary.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any("sent-" in path.name for path in written)
    for path in written:
        content = path.read_bytes()
        assert SECRET.encode() not in content and TOKEN.encode() not in content, path


def test_a_confirmation_is_sent_as_the_search_was(cluster, send, tmp_path, monkeypatch):
    url, uri = cluster[1], f"sqlite:///{tmp_path}/mlflow.db"
    code, out = send("--address", url, *there(tmp_path))
    assert code == 0, out
    confirm = {"command": ("confirm", "sent", "--seeds", "2", "--top", "1")}
    code, out = send("--address", url, **confirm)
    assert code == 2 and "tracking uri 'sqlite:///mlflow.db' would be lost" in out, out
    code, out = send("--address", url, "--tracking-uri", uri, "--detach", **confirm)
    assert code == 0 and re.search(r"^job sent-confirm-\w{8} submitted$", out, re.MULTILINE), out
    assert "optimism gap" in ask("logs", "--follow", "sent", "--address", url)
    assert re.search(r"sent: job sent-confirm-\w+ succeeded", ask("status", "sent", "--address", url))
    monkeypatch.syspath_prepend(tmp_path / "tree")  # where the model is that its spec names
    found = kdsearch.open_search("sent", uri)
    assert (found.trials["confirmed_seeds"].dropna() == 2).any()


def test_a_detached_job_is_found_again_by_the_name_of_its_search(cluster, send, tmp_path):
    _, url, _ = cluster
    code, out = send("--address", url, "--detach", "--name", "alone", *there(tmp_path))
    assert code == 0 and "complete" not in out, out
    said = {command: ask(*command.split(), "alone", "--address", url) for command in _COMMANDS}
    assert "alone: 4 complete" in said["logs --follow"] and "alone: 4 complete" in said["logs"]
    assert re.search(r"alone: job alone-\w+ succeeded", said["status"])
    assert "does not run" in said["stop"]


def test_a_job_is_stopped_from_here(cluster, send, tmp_path):
    _, url, _ = cluster
    endless = ["--set", "optim.epochs=1000000"]
    code, out = send("--address", url, "--detach", "--name", "long", *endless, *there(tmp_path))
    assert code == 0, out
    until = time.monotonic() + 240
    while "running" not in ask("status", "long", "--address", url):
        assert time.monotonic() < until
        time.sleep(1)
    assert "ends now" in ask("stop", "long", "--address", url)
    while "stopped" not in (stands := ask("status", "long", "--address", url)):
        assert time.monotonic() < until, stands
        time.sleep(1)


def test_this_process_drives_a_search_on_the_cluster_it_is_a_node_of(cluster, send):
    address, _, _ = cluster
    code, out = send("--address", address)
    assert code == 0 and "sent: 4 complete" in out, out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "compute.workers=16"], "compute: a trial needs 16 x 1 CPUs, each worker on one node, and "
         "there are 2 CPUs and 0 GPUs in all"),
        (["--set", "compute.gpus_per_worker=1"], "a trial needs 1 x 1 CPUs and 1 x 1 GPUs, and there are 2"),
        (["--set", "optim.lr=0"], "optim.lr: expected a number greater than 0"),
    ],
)  # fmt: skip
def test_what_the_cluster_cannot_place_is_said_at_once_and_the_exit_code_is_passed_on(
    cluster, send, tmp_path, options, message
):
    started = time.monotonic()
    code, out = send("--address", cluster[1], *there(tmp_path), *options)
    assert code == 2 and message in out, out
    assert time.monotonic() - started < 60
    assert not (tmp_path / "store").exists()


def test_without_the_token_nothing_is_taken(cluster, send, tmp_path):
    for token in (None, "another-token-of-32-characters-000"):
        code, out = send("--address", cluster[1], *there(tmp_path), token=token)
        assert code == 2 and "RAY_AUTH_TOKEN" in out, out
        code, out = send("--address", cluster[0], *there(tmp_path), token=token)
        assert code == 2 and "error: " in out, out


def test_what_would_be_lost_with_the_job_is_refused(cluster, send, tmp_path):
    url = cluster[1]
    for options, message in (
        ([], "compute.storage: kdsearch_store would be lost with the job's working folder"),
        (["--set", f"compute.storage={tmp_path}/store"], "tracking uri 'sqlite:///mlflow.db' would be lost"),
        (
            ["--set", f"compute.storage={tmp_path}", "--tracking-uri", f"http://me:{SECRET}@mlflow:5000"],
            "holds a password",
        ),
        (
            ["--set", f"compute.storage={tmp_path}", "--tracking-uri", f"mysql://db/ml?password={SECRET}"],
            "holds a password",
        ),
        (
            [
                *("--set", f"compute.storage={tmp_path}", "--tracking-uri", "http://mlflow:5000"),
                *("--set", f"tracking={{uri: 'http://me:{SECRET}@ml'}}"),
            ],
            "holds a password",
        ),
        (["--set", f"compute.storage={tmp_path}", "--tracking-uri", "sqlite://"], "expected a file, as in"),
    ):
        code, out = send("--address", url, *options)
        assert code == 2 and message in out and SECRET not in out, out


def test_a_file_that_only_the_cluster_has_is_for_the_job_to_see(cluster, send, tmp_path):
    uri = f"sqlite:///{tmp_path}/mounted/mlflow.db"
    code, out = send("--address", cluster[1], *there(tmp_path)[:2], "--tracking-uri", uri)
    said, _, job = out.partition("submitted")
    assert code == 2 and "error" not in said and f"there is no folder {tmp_path}/mounted" in job, out


@pytest.fixture
def bare(free_port, tmp_path) -> Iterator[Cluster]:
    """A head whose Python is no virtual environment, as in an image: Ray would copy all of one."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python, library = tmp_path / "image" / "bin" / version, tmp_path / "image" / "lib" / version
    for folder in (python.parent, library):
        folder.mkdir(parents=True)
    base = Path(sys.base_prefix)
    shutil.copy(base / "bin" / version, python)
    (python.parent / "python").symlink_to(python)
    for path in (base / "lib" / version).iterdir():
        if path.name != "site-packages":
            (library / path.name).symlink_to(path)
    (library / "site-packages").symlink_to(next(path for path in sys.path if path.endswith("site-packages")))
    more = {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    with head_of([python, "-m", "ray.scripts.scripts"], more, free_port) as there:
        yield there


def test_requirements_are_installed_for_the_job_alone(bare, send, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "sizes.py").write_text("WIDTH = 4\n")
    wheel = tmp_path / "sizes-1.0-py3-none-any.whl"
    about = "sizes-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("sizes.py", "WIDTH = 4\n")
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: sizes\nVersion: 1.0\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in file.namelist()))
    tree = tmp_path / "tree"
    mine = MINE.replace("LazyLinear(width)", "LazyLinear(sizes.WIDTH)").replace("Linear(width,", "Linear(4,")
    (tree / "mine.py").write_text(f"import sizes\n{mine}")
    (tree / "needs.txt").write_text(f"{wheel}\n")
    options = ["--address", bare[1], *there(tmp_path)]
    path = os.pathsep.join(filter(None, [str(tmp_path / "here"), os.environ.get("PYTHONPATH")]))
    code, out = send(*options, PYTHONPATH=path)
    assert code == 2 and "No module named 'sizes'" in out, out
    code, out = send(*options, "--pip", "absent.txt", PYTHONPATH=path)
    assert code == 2 and "--pip absent.txt: there is no such file" in out, out
    (tree / "secret.txt").write_text(f"--extra-index-url https://me:{SECRET}@packages/simple\n{wheel}\n")
    code, out = send(*options, "--pip", "secret.txt", PYTHONPATH=path)
    assert code == 2 and "it holds a password" in out and SECRET not in out, out
    (tree / "wrong.txt").write_text(f"{tmp_path}/no-such-1.0-py3-none-any.whl\n")
    code, out = send(*options, "--pip", "wrong.txt", PYTHONPATH=path)
    assert code == 1 and re.search(r"failed: .*\n?.*no-such-1.0", out), out
    code, out = send(*options, "--pip", "needs.txt", PYTHONPATH=path)
    assert code == 0 and "sent: 4 complete" in out, out


def test_what_the_nodes_python_lacks_is_named():
    root = Path(kdsearch.__file__).parents[1]
    # Without `site`, no package that was installed is found.
    done = subprocess.run(
        [sys.executable, "-S", "-m", "kdsearch", "search", "s.yaml"],
        env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"error: {sys.executable} on " in done.stderr and "submit the job with --pip FILE" in done.stderr
    lacking = re.findall(r"lacks (.*?):", done.stderr)[0].split(", ")
    listed = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    modules = {"pyyaml": "yaml", "pillow": "PIL", "scikit-learn": "sklearn"}
    names = [re.split(r"[\[>=]", each)[0] for each in listed]
    assert sorted(lacking, key=str.lower) == sorted((modules.get(n, n) for n in names), key=str.lower)
