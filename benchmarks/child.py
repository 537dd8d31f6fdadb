"""Fresh processes, so that no benchmark finds warm what a user would not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parent.parent


@contextmanager
def started(command: list[str], folder: Path, timeout: float = 900) -> Iterator[IO[str]]:
    """A command that runs in `folder`; yields its output by the line, and waits for its end.

    What it says on stderr is kept in `stderr.txt` there.

    Raises:
        RuntimeError: When it fails.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    log = folder / "stderr.txt"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            yield process.stdout
            process.stdout.read()
            code = process.wait(timeout)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.stdout.close()
    if code:
        raise RuntimeError(
            f"{' '.join(command)} ended with {code}: {log.read_text(encoding='utf-8')[-2000:]}"
        )


def answer(module: str, question: Any, folder: Path) -> Any:
    """What `python -m MODULE QUESTION ANSWER` writes to the second file, given the first; JSON both."""
    asked, answered = folder / "question.json", folder / "answer.json"
    asked.write_text(json.dumps(question), encoding="utf-8")
    with started([sys.executable, "-m", module, str(asked), str(answered)], folder):
        pass
    return json.loads(answered.read_text(encoding="utf-8"))


def asked() -> tuple[Any, Path]:
    """The other side of `answer`: the question, and where the answer goes."""
    return json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
