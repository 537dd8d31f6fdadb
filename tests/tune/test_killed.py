"""A search that was killed had no time to tell MLflow so: whoever asks for it is told."""

from __future__ import annotations

import pytest
from running import command, running, wait_for, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.long]


def test_a_killed_search_is_said_to_be_killed_wherever_its_folder_is(tmp_path):
    search = {"trials": 500, "seed": 0, "sampler": "random", "concurrent": 1}
    with running(tmp_path, search=search) as process:
        wait_for(process, r"^\[3/")
        # MLflow's tables take their time.
        wait_until(lambda: "\nsmall still runs\n" in command(tmp_path, "front", "small").stdout, 90)
        process.kill()
        process.wait()
    shown = command(tmp_path, "front", "small")
    assert "\nsmall was killed: --resume small goes on with it\n" in shown.stdout, shown.stderr
    refused = command(tmp_path, "confirm", "small")
    assert refused.returncode == 2
    assert "search 'small' was killed: --resume small goes on with it" in refused.stderr
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    refused = command(tmp_path, "confirm", "small")
    assert refused.returncode == 2
    assert "search 'small' still runs, or was killed: `kdsearch status small` tells" in refused.stderr
