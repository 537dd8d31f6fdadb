"""Generated and mutated input: each case ends in a valid object or in one clear error, soon, with no file.

`KDSEARCH_FUZZ` is how many cases each test runs; `make fuzz` sets it, and bounds memory.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from kdsearch.errors import KdsearchError

sys.path.insert(0, str(Path(__file__).parent))

#: Seconds that a case may take. The slowest is a hundred times faster.
LIMIT = 10

settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("KDSEARCH_FUZZ", "60")),
    deadline=None,
    derandomize="KDSEARCH_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
    database=None,
)
settings.load_profile("fuzz")


@contextmanager
def _bounded() -> Iterator[None]:
    def late(number: int, frame: object) -> None:
        raise TimeoutError(f"no end after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _attempt(call: Callable[[], Any]) -> Any:
    with _bounded():
        try:
            return call()
        except KdsearchError as error:
            text = str(error)
            assert error.exit_code == 2, "bad input is answered by exit code 2"
            assert text.strip() and "Traceback" not in text
            assert len(text) < 20_000, "a message that nobody reads"
            text.encode()  # it can be printed
            return None


@pytest.fixture(scope="session")
def attempt() -> Callable[[Callable[[], Any]], Any]:
    """What a call returns; None when it answered with one clear error. Whatever else it raises is a bug."""
    return _attempt


@pytest.fixture(autouse=True, scope="module")
def nothing_is_written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The cases of a module run in an empty folder, which they leave empty."""
    folder, before = tmp_path_factory.mktemp("empty"), Path.cwd()
    os.chdir(folder)
    yield
    os.chdir(before)
    assert list(folder.rglob("*")) == []
