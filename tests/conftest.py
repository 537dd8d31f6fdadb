"""Servers that speak what clouds speak."""

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


@pytest.fixture(scope="module")
def gs(tmp_path_factory):
    """The address of a bucket at a server that speaks Google Cloud's protocol."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("gs")
    with create_server("127.0.0.1", port, default_bucket="kdsearch-bucket", data_dir=str(folder)):
        yield f"gs://anonymous@kdsearch-bucket/deep/er?endpoint_override=127.0.0.1:{port}&scheme=http"
