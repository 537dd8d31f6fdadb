"""Hyperparameter and multi-teacher search for knowledge distillation, on Ray, Optuna and MLflow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdsearch.api import Search, open_search, search
    from kdsearch.export import load_student
    from kdsearch.registry import register
    from kdsearch.spec import load_spec

__version__ = "0.1.0"
__all__ = ["Search", "load_spec", "load_student", "open_search", "register", "search"]

_HOMES = {
    "Search": "kdsearch.api",
    "load_spec": "kdsearch.spec",
    "load_student": "kdsearch.export",
    "open_search": "kdsearch.api",
    "register": "kdsearch.registry",
    "search": "kdsearch.api",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: `import kdsearch` itself takes no time."""
    if name not in _HOMES:
        raise AttributeError(f"module 'kdsearch' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
