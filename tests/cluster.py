"""A search on two nodes, of which one is killed and replaced, and then the head: `make cluster-test`.

The nodes are network namespaces of this machine, joined by a veth pair. Needs Linux and the right to make
namespaces; no root.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "tune/user"))

from running import check_whole, results, session_of, wait_until

HEAD, SECOND, THIRD = "10.9.0.1", "10.9.0.2", "10.9.0.3"
NETWORK = f"""
mount -t tmpfs tmpfs /run && mkdir /run/netns
ip netns add a && ip netns add b
ip link add va netns a type veth peer name vb netns b
ip -n a addr add {HEAD}/24 dev va && ip -n b addr add {SECOND}/24 dev vb && ip -n b addr add {THIRD}/24 dev vb
for end in a b; do ip -n $end link set v$end up; ip -n $end link set lo up; done
"""


def within(namespace: str, *command: str, log: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start a command in a namespace, and in a session of its own."""
    with log.open("ab") as file:
        return subprocess.Popen(
            ["ip", "netns", "exec", namespace, *command],
            cwd=folder,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def node(namespace: str, address: str, folder: Path) -> subprocess.Popen[bytes]:
    """A Ray node with one CPU; the first is the head."""
    ray = str(Path(sys.executable).with_name("ray"))
    # A folder of its own: in the shared one Ray would note the address for every later program to join.
    head = [
        "--head",
        "--port=6379",
        "--include-dashboard=false",
        f"--temp-dir={folder}/ray-{time.time():.0f}",
    ]
    place = head if address == HEAD else [f"--address={HEAD}:6379"]
    options = [*place, f"--node-ip-address={address}", "--num-cpus=1", "--block"]
    return within(namespace, ray, "start", *options, log=folder / f"{address}.log", folder=folder)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill all of a node, or of a search, at once."""
    for pid in session_of(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def run(folder: Path, trials: int) -> None:
    """The search over the digits, to its end."""
    space = (Path(__file__).parents[1] / "search_spaces/digits.yaml").resolve()
    begun = time.monotonic()
    nodes = [_started("a", HEAD, folder)]
    nodes.append(_started("b", SECOND, folder))
    settings = {"compute.storage": "store", "search.trials": trials, "search.concurrent": 2}
    options = [f"--set={key}={value}" for key, value in settings.items()]
    command = [sys.executable, "-m", "kdsearch", "search", str(space), f"--address={HEAD}:6379", *options]

    def start() -> subprocess.Popen[bytes]:
        return within("a", *command, log=folder / "search.log", folder=folder)

    search = start()

    def say(what: str) -> None:
        print(f"{time.monotonic() - begun:4.0f} s  {len(results(found)):2d} trials  {what}", flush=True)

    found = folder / "store/searches/digits"
    try:
        wait_until(
            lambda: len(results(found)) >= trials // 3 and session_of(nodes[1].pid, "ray::RayTrainWorker"),
            600,
        )
        say("the second node is killed")
        kill(nodes[1])
        lost = len(results(found))
        wait_until(lambda: len(results(found)) >= lost + 2, 300)
        say("the first goes on alone; a third node joins")
        nodes.append(_started("b", THIRD, folder))
        wait_until(lambda: session_of(nodes[2].pid, "ray::RayTrainWorker"), 300)
        say("the third node has a worker group")
        wait_until(lambda: len(results(found)) >= lost + 6, 300)
        kept = results(found)
        say("the head is killed, and the search with it")
        for process in [search, *nodes]:
            kill(process)
        nodes = [_started("a", HEAD, folder), _started("b", SECOND, folder)]
        say("a head and a node are up; the same command again")
        search = start()
        assert search.wait(900) == 0
        say("the search is complete")
        ended = results(found)
        assert sum(not record["baseline"] for record in ended.values()) == trials
        assert all(ended[uid]["ended"] == record["ended"] for uid, record in kept.items()), (
            "a trial ran twice"
        )
        check_whole(folder, name="digits")
    except BaseException:
        print((folder / "search.log").read_text()[-5000:])
        raise
    finally:
        for process in [search, *nodes]:
            kill(process)


def _started(namespace: str, address: str, folder: Path) -> subprocess.Popen[bytes]:
    """A node that is up."""
    log = folder / f"{address}.log"
    log.unlink(missing_ok=True)
    process = node(namespace, address, folder)
    try:
        wait_until(lambda: "Ray runtime started" in log.read_text(), 120)
    except AssertionError:
        kill(process)
        raise AssertionError(f"the node {address} never came up:\n{log.read_text()[-5000:]}") from None
    return process


def main() -> None:
    """Run it in namespaces of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=30)
    arguments = parser.parse_args()
    if "KDSEARCH_CLUSTER" not in os.environ:
        again = ["unshare", "-rmn", sys.executable, "-m", "tests.cluster", *sys.argv[1:]]
        os.execvpe(again[0], again, {**os.environ, "KDSEARCH_CLUSTER": "1"})
    subprocess.run(["bash", "-ec", NETWORK], check=True)
    # As in clusters/. Without, a head asks for a token where it finds one, and a node that joins shows none.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with tempfile.TemporaryDirectory() as name:
        run(Path(name), arguments.trials)


if __name__ == "__main__":
    main()
