"""Where Python modules are, without importing any."""

from __future__ import annotations

import sys
import sysconfig
from importlib.machinery import ModuleSpec
from pathlib import Path


def located(module: str) -> ModuleSpec | None:
    """Where a module is, found without importing the packages that hold it, which would run their code."""
    names, path = module.split("."), None
    spec: ModuleSpec | None = None
    for depth, name in enumerate(names, start=1):
        if not name.isidentifier() or (depth > 1 and path is None):
            return None
        whole = ".".join(names[:depth])
        finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
        spec = next((found for find in finders if find and (found := find(whole, path))), None)
        path = spec.submodule_search_locations if spec else None
    return spec


def is_installed(origin: str | None) -> bool:
    """Whether a module is Python's own or a package's, rather than the user's."""
    if origin is None or not Path(origin).is_absolute():
        return origin is not None  # built-in, or frozen
    parts, own = Path(origin).parts, sysconfig.get_path("stdlib")
    return "site-packages" in parts or "dist-packages" in parts or Path(origin).is_relative_to(own)
