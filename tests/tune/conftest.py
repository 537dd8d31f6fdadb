"""One real local Ray for all tests of searches, and one search that many of them look at."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kdsearch

USER = str(Path(__file__).parent / "user")
sys.path.insert(0, USER)

from small import small_spec  # noqa: E402


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """Ray with two CPUs, started once and shut down at the end."""
    from kdsearch.tune.slots import quiet_ray

    quiet_ray()
    import ray

    # Worker processes must find modules that tests write, such as a user's own model.
    here = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), USER]))
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": here}},
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def searched(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[kdsearch.Search, Path]:
    """A finished search, and the folder of its files."""
    folder = tmp_path_factory.mktemp("searched")
    return kdsearch.search(small_spec(folder)), folder
