"""Where a search ran and with what: tags of its parent run.

Neither the environment nor the command line is looked at: both can hold secrets.
"""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

from kdsearch.machine import cpu_name

_PACKAGES = ("kdsearch", "torch", "ray", "optuna", "mlflow")
_PATIENCE = 5.0
"""Seconds that git and nvidia-smi get: either can hang on a broken mount or driver."""


def provenance() -> dict[str, str]:
    """Versions, git commit and hardware, as tags. What is not known is left out."""
    return {**_versions(), **_git(), **_hardware()}


def _versions() -> dict[str, str]:
    found = {"kdsearch.version.python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[f"kdsearch.version.{package}"] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _git() -> dict[str, str]:
    commit = _output("git", "rev-parse", "HEAD")
    if not commit:
        return {}
    changed = _output("git", "--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    return {
        "mlflow.source.git.commit": commit,  # MLflow's UI shows this one
        "kdsearch.git.commit": commit,
        "kdsearch.git.dirty": "unknown" if changed is None else str(bool(changed)).lower(),
    }


def _hardware() -> dict[str, str]:
    found = {
        "kdsearch.host.os": platform.platform(),
        "kdsearch.host.cpu": cpu_name(),
        "kdsearch.host.cores": str(_cores()),
        "kdsearch.host.gpus": _gpus(),
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found["kdsearch.host.memory_gb"] = f"{memory / 2**30:.1f}"
    return found


def _cores() -> int:
    """The cores this process may use: in a container, fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> str:
    names = (_output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or "").splitlines()
    kinds = {name: names.count(name) for name in dict.fromkeys(names)}
    return ", ".join(f"{count} x {name}" for name, count in kinds.items()) or "none"


def _output(*command: str) -> str | None:
    """What `command` prints; None when it is not there, fails or takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
