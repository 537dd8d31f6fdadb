"""A real SQLite store of MLflow for each test, and a real server where one is asked for."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import pytest
from mlflow import MlflowClient

from kdsearch.tracking import Writer
from kdsearch.tracking.client import connect


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's schema takes 3 s to create: once for all tests."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(empty_database: Path, tmp_path: Path) -> str:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return connect(uri)


@pytest.fixture
def open_writer(uri: str) -> Iterator[Callable[..., Writer]]:
    """Opens writers of the search `digits`, and closes whatever the test has left open."""
    opened: list[Writer] = []

    def start(search: str = "digits", **options: bool) -> Writer:
        writer = Writer(uri, "project", search, **options)
        writer.start({"kdsearch.version.torch": "2"}, {"spec.yaml": f"name: {search}\n"})
        opened.append(writer)
        return writer

    yield start
    for writer in opened:
        writer.close(0)


class _Failing(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_error(500)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        pass


class Server:
    """`mlflow server` on a port of its own: started, killed and started again on the same store."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ("--port", str(self.port), "--workers", "1", "--backend-store-uri", "sqlite:///mlflow.db")
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *options],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 180
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
            time.sleep(0.2)

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            self._wait_for_port()

    def _wait_for_port(self) -> None:
        """Its children let the port go when they have died too."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    return probe.bind(("127.0.0.1", self.port))
                except OSError:
                    time.sleep(0.05)
        raise AssertionError(f"somebody still holds port {self.port}")

    def freeze(self) -> None:
        """It still takes connections, and what is sent to it, but does nothing about it until `thaw`."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze it, and thaw it afterwards."""
        self.freeze()
        yield
        self.thaw()

    @contextmanager
    def failing(self) -> Iterator[None]:
        """In its place, whatever it did until then, is one that answers 500; it starts again afterwards."""
        self.kill()
        with ThreadingHTTPServer(("127.0.0.1", self.port), _Failing) as ill:
            Thread(target=ill.serve_forever, daemon=True).start()
            yield
            ill.shutdown()
        self.start()

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.uri}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture
def server(uri: str, tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    running.start()
    yield running
    running.kill()
