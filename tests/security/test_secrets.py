"""Passwords and tokens reach the servers they are for, and no file, no log, no run and no export."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from kdsearch.space import config_yaml
from kdsearch.spec import dump_yaml, load_spec
from kdsearch.spec.secrets import storable
from kdsearch.tracking.client import connect

SECRET = "pa55-that-nobody-may-see"
URIS = [
    f"https://me:{SECRET}@mlflow.example.org/ml",
    f"postgresql://me:{SECRET}@db:5432/ml?sslmode=require",
    f"mysql+pymysql://db/ml?user=me&password={SECRET}",
    f"https://me:{SECRET}/with@signs@mlflow.example.org",
    f"https://{SECRET}@mlflow.example.org",
]

SPACE = """\
name: quiet
data: {source: digits, batch_size: 64}
student: {name: mlp, hidden: {choice: [[4], [8]]}}
distill: {losses: {ce: {}}}
optim: {name: sgd, lr: 0.1, epochs: 1}
search: {sampler: random, trials: 2}
"""


@pytest.mark.parametrize("uri", URIS)
def test_a_spec_is_stored_without_the_password_of_its_tracking_address(uri: str):
    spec = load_spec({"data": "digits", "student": "mlp", "tracking": {"uri": uri}})
    assert spec.tracking.uri == uri
    for text in (dump_yaml(spec.plain()), config_yaml(spec.tree()), json.dumps(spec.tree())):
        assert SECRET not in text
    assert load_spec(spec.plain()).tracking.uri == storable(uri)


def test_an_address_without_secrets_is_stored_as_it_is():
    for uri in ("sqlite:///a@b.db", "http://mlflow:5000", "postgresql://db/ml?sslmode=require", "databricks"):
        assert storable(uri) == uri


@pytest.fixture
def recorder() -> Iterator[tuple[str, list[str]]]:
    """A server that answers every question with nothing, and the authorisations that it was shown."""
    shown: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            shown.append(self.headers.get("Authorization", ""))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST  # noqa: N815

        def log_message(self, *arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", shown
    server.shutdown()


def basic(user: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{SECRET}".encode()).decode()


@pytest.mark.parametrize(
    ("environment", "user", "expected"),
    [
        ({"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": SECRET}, "", basic("me")),
        ({"MLFLOW_TRACKING_TOKEN": SECRET}, "", f"Bearer {SECRET}"),
        ({}, f"you:{SECRET}@", basic("you")),
    ],
)
def test_mlflow_is_shown_what_the_environment_or_the_address_holds(
    recorder: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, environment, user, expected
):
    address, shown = recorder
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    connect(f"http://{user}{address}").search_experiments()
    assert shown and set(shown) == {expected}


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A real MLflow server, and the folder that it keeps everything in."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path / "server"
    folder.mkdir()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            for _ in range(240):
                try:
                    if requests.get(f"http://127.0.0.1:{port}/health", timeout=1).ok:
                        break
                except requests.RequestException:
                    time.sleep(0.5)
            yield f"127.0.0.1:{port}", folder
        finally:
            server.terminate()
            server.wait(30)


@pytest.mark.slow
@pytest.mark.long
def test_a_planted_password_is_nowhere_after_a_search(mlflow_server: tuple[str, Path], tmp_path: Path):
    address, folder = mlflow_server
    work = tmp_path / "work"
    work.mkdir()
    rays = Path(tempfile.mkdtemp(prefix="kds"))
    uri = f"http://me:{SECRET}@{address}"
    (work / "s.yaml").write_text(SPACE + f"tracking: {{uri: '{uri}'}}\n")
    environment = {**os.environ, "RAY_TMPDIR": str(rays), "MLFLOW_TRACKING_TOKEN": f"token-{SECRET}"}
    said = ""

    def run(*arguments: str) -> None:
        nonlocal said
        command = [sys.executable, "-m", "kdsearch", *arguments]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=240)
        said += done.stdout + done.stderr
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        run("search", "s.yaml")
        run("front", "quiet", "--tracking-uri", uri)
        run("export", "quiet", "--tracking-uri", uri, "--out", "student")
        assert f"--tracking-uri http://{address}" in said
        assert SECRET not in said
        (work / "s.yaml").unlink()
        searched = [p for p in (*work.rglob("*"), *folder.rglob("*"), *rays.rglob("*")) if p.is_file()]
        assert any(p.name == "spec.yaml" and p.is_relative_to(folder) for p in searched)
        assert any(p.name == "README.md" and p.is_relative_to(work / "student") for p in searched)
        assert any(re.search(r"\.(log|out|err)$", p.name) and p.is_relative_to(rays) for p in searched)
        encoded = base64.b64encode(f"me:{SECRET}".encode())
        holding = [p for p in searched if SECRET.encode() in (c := p.read_bytes()) or encoded in c]
        assert holding == []
    finally:
        shutil.rmtree(rays, ignore_errors=True)
