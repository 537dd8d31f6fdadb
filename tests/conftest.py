"""Ports, and servers that speak what clouds speak."""

from __future__ import annotations

import socket
from urllib.request import Request, urlopen

import pytest
from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="module")
def s3():
    """The address of a bucket at a server that speaks S3."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        urlopen(Request(f"http://{host}:{port}/kdsearch-bucket", method="PUT")).close()
        yield f"s3://kdsearch-bucket/deep/er?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
    server.stop()


@pytest.fixture(scope="session")
def free_port():
    """Finds a port of this machine that nobody listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        # Ray keeps 10002 to 19999 for its workers.
        return port if port > 20_000 else find()

    return find


@pytest.fixture(scope="module")
def gs(free_port):
    """The address of a bucket at a server that speaks Google Cloud's protocol.

    It keeps what it is given in memory: on disk an object whose name ends in a slash, as Arrow makes one for
    a folder, would be an error, after which the client asks again for a quarter of an hour.
    """
    port = free_port()
    with create_server("127.0.0.1", port, default_bucket="kdsearch-bucket", in_memory=True):
        yield f"gs://anonymous@kdsearch-bucket/deep/er?endpoint_override=127.0.0.1:{port}&scheme=http"
