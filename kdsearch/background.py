"""Calling a function periodically in a background thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(call: Callable[[], float], pause: float, *, awaited: bool = True) -> Iterator[None]:
    """While open, call a function in a thread: after `pause` seconds, then after as many as it returned.

    At the end a call that still runs is waited for; after Ctrl-C only where it must be (`awaited`).
    """
    over = threading.Event()

    def run() -> None:
        wait = pause
        while not over.wait(wait):
            wait = call()

    thread = threading.Thread(target=run, name=f"kdsearch-{call.__name__}", daemon=True)
    thread.start()
    hurried = False
    try:
        yield
    except KeyboardInterrupt:
        hurried = not awaited
        raise
    finally:
        over.set()
        if not hurried:
            thread.join()
