"""The soak: 500 short trials with a fault of a random kind every 20 s, to a state without a gap.

`make soak` runs it, in at most 15 minutes. The search is started again with `--resume` whenever a fault ended
it. At the end every trial stands once, and as the same, in the files, in the study and in MLflow, and nothing
is left behind. Prints what happened.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

sys.path.insert(0, str(Path(__file__).parent / "tune/user"))

import yaml
from running import USER, check_whole, results, session_of
from small import small_spec

from tests.tracking.conftest import Server

LIMIT = 15 * 60


class Soak:
    """A search, its MLflow, and what goes wrong with them."""

    def __init__(self, folder: Path, trials: int, seed: int) -> None:
        self.folder, self.store = folder, folder / "store"
        self.search = self.store / "searches/small"
        self.random = random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.drivers: list[subprocess.Popen[bytes]] = []
        self.memory: dict[str, list[tuple[float, int]]] = {"driver": [], "worker": []}
        self.started = time.monotonic()
        (folder / "server").mkdir()
        self.server, self.restart = Server(folder / "server"), Thread()
        spec = small_spec(
            folder,
            student={"name": "mlp", "hidden": {"choice": [[n] for n in (4, 8, 16, 32)]}},
            optim={"name": "sgd", "lr": {"float": [0.01, 0.2]}, "epochs": 20},
            search={"sampler": "random", "trials": trials, "seed": seed, "concurrent": 2},
            tracking={"uri": self.server.uri},
        )
        (folder / "space.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")

    @property
    def driver(self) -> subprocess.Popen[bytes]:
        """The process of the search as it runs now."""
        return self.drivers[-1]

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.started

    def start(self) -> None:
        """Start the search, or go on with it."""
        resume = ["--resume", "small"] if (self.search / "spec.yaml").exists() else []
        command = [sys.executable, "-m", "kdsearch", "search", "space.yaml", *resume]
        with (self.folder / "log").open("ab") as log:
            self.drivers.append(
                subprocess.Popen(
                    command,
                    cwd=self.folder,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env={**os.environ, "PYTHONPATH": f"{USER}:{os.environ.get('PYTHONPATH', '')}"},
                )
            )

    def fault(self) -> None:
        """Do one thing of a random kind."""
        kinds: list[Callable[[], None]] = [
            self._worker,
            self._worker,
            self._actor,
            self._actor,
            self._mlflow,
            self._disk,
            self._driver,
        ]
        chosen = self.random.choice(kinds)
        self.say(chosen.__name__.strip("_"))
        self.faults[chosen.__name__.strip("_")] += 1
        chosen()

    def _worker(self) -> None:
        self._kill(session_of(self.driver.pid, "ray::RayTrainWorker"))

    def _actor(self) -> None:
        self._kill(session_of(self.driver.pid, "ray::Trial", "ray::ResourceTrainable"))

    def _driver(self) -> None:
        self._kill([self.driver.pid])
        self.driver.wait()

    def _kill(self, processes: list[int]) -> None:
        with suppress(IndexError, ProcessLookupError):
            os.kill(self.random.choice(processes), signal.SIGKILL)

    def _mlflow(self) -> None:
        if self.restart.is_alive():
            return
        self.server.kill()
        self.restart = Thread(target=lambda: (time.sleep(10), self.server.start()), daemon=True)
        self.restart.start()

    def _disk(self) -> None:
        filler = self.store / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        time.sleep(5)
        filler.unlink()

    def say(self, what: str) -> None:
        """Print what happens, and when."""
        print(f"{self.seconds:4.0f} s  {len(results(self.search)):3d} trials  {what}", flush=True)

    def run(self, every: float) -> None:
        """To the end of the search, with a fault every so many seconds."""
        self.server.start()
        self.start()
        next_fault = self.seconds + every
        while True:
            time.sleep(1)
            self.look()
            code = self.driver.poll()
            if code == 0:
                break
            assert self.seconds < LIMIT, "too slow"
            if code is not None:
                self.say(f"the search ended with {code}: it goes on")
                self.start()
            if self.seconds >= next_fault:
                self.fault()
                next_fault = self.seconds + every
        self.say("the search is complete")
        if self.restart.is_alive():
            self.restart.join()
        sync = [sys.executable, "-m", "kdsearch", "sync", "small", "--storage", "store"]
        subprocess.run(sync, cwd=self.folder, check=True)

    def look(self) -> None:
        """Note how large the processes are."""
        leader, workers = self.driver.pid, session_of(self.driver.pid, "ray::RayTrainWorker")
        for name, pids in {"driver": [leader], "worker": workers}.items():
            self.memory[name].append((self.seconds, max(map(resident, pids), default=0)))

    def peaks(self, name: str) -> list[int]:
        """The most that a process took, in MB, in the first half of the time and in the second."""
        seen = self.memory[name]
        half = seen[-1][0] / 2
        return [max(size for at, size in seen if (at < half) == before) for before in (True, False)]

    def check(self, trials: int) -> dict[str, object]:
        """The promises, and the figures that go with them."""
        told = results(self.search)
        assert sum(not record["baseline"] for record in told.values()) == trials
        assert not (failed := {r["reason"] for r in told.values() if r["state"] != "complete"}), failed
        check_whole(self.folder, self.server.uri)
        there = {path.name for path in self.store.iterdir()}
        assert there == {"bank", "searches", "teachers"}, f"the store is left with {there}"
        assert not [*(self.store / "teachers").glob("*.lock")]
        # A view is renamed once it is whole; a dead writer's part is swept by whoever opens the bank next.
        banked = {re.sub(r"\d+$", "", path.name) for path in (self.store / "bank").glob("*/*")}
        assert banked == {"about.json", "view-"}, f"the bank is left with {banked}"
        deadline = time.monotonic() + 90  # Ray's agents take a minute to see that their driver was killed
        while left := [pid for driver in self.drivers for pid in session_of(driver.pid)]:
            assert time.monotonic() < deadline, f"processes are left: {left}"
            time.sleep(1)
        records = sorted(told.values(), key=lambda record: record["ended"])
        busy = [record["metrics"]["seconds"] for record in records]
        quarter = len(busy) // 4
        first, last = statistics.median(busy[:quarter]), statistics.median(busy[-quarter:])
        assert last < 1.5 * first, f"trials slow down: {first:.3f} s, then {last:.3f} s"
        # A driver draws its pictures half a minute in, and all of them at its end, if it lives so long.
        for name, bound in {"driver": 1.25, "worker": 1.15}.items():
            early, late = self.peaks(name)
            assert late < bound * early, f"the memory of a {name} grows: {early} MB, then {late} MB"
        return {
            "trials": len(told),
            "minutes": round(self.seconds / 60, 1),
            "faults": dict(self.faults),
            "starts of the search": len(self.drivers),
            "median seconds of a trial, first and last quarter": [round(first, 3), round(last, 3)],
            "peak MB of the driver, first and second half": self.peaks("driver"),
            "peak MB of a worker, first and second half": self.peaks("worker"),
        }


def resident(pid: int) -> int:
    """Resident memory of a process, in MB."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) // 1024
    return 0


def main() -> None:
    """Run the soak in a mount namespace of its own, where the disk can be filled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--every", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if "KDSEARCH_SOAK" not in os.environ:
        again = ["unshare", "-rm", sys.executable, "-m", "tests.soak", *sys.argv[1:]]
        os.execvpe(again[0], again, {**os.environ, "KDSEARCH_SOAK": "1"})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "store").mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(folder / "store")], check=True
        )
        soak = Soak(folder, arguments.trials, arguments.seed)
        try:
            soak.run(arguments.every)
            found = soak.check(arguments.trials)
            print(json.dumps(found, indent=1))
        except BaseException:
            print((folder / "log").read_text()[-5000:])
            raise
        finally:
            soak.server.kill()
            for driver in soak.drivers:
                driver.kill()
            subprocess.run(["umount", "-l", str(folder / "store")], check=True)


if __name__ == "__main__":
    main()
