"""The spec that tests of searches share."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def small_spec(folder: Path, **changes: Any) -> dict[str, Any]:
    """A search of a few seconds on the digits, all of whose files lie in `folder`."""
    return {
        "name": "small",
        "data": {"source": "digits", "batch_size": 64, "validation": 0.25},
        "teachers": {
            "wide": {"model": {"name": "mlp", "hidden": [64]}, "epochs": 4},
            "conv": {"model": {"name": "convnet", "width": 8, "depth": 2}, "epochs": 4},
        },
        "student": {
            "choice": [
                {"name": "mlp", "hidden": {"choice": [[4], [8], [16]]}},
                {"name": "convnet", "width": 2},
            ]
        },
        "distill": {
            "teachers": {"members": {"subset": "all", "min": 1}},
            "losses": {
                "ce": {"weight": {"float": [0.1, 1.0]}},
                "kd": {"weight": {"float": [0.1, 1.0]}, "temperature": {"float": [1.0, 8.0]}},
                "hint": {"weight": {"choice": [0.0, 1.0]}},
            },
        },
        "optim": {"name": "sgd", "lr": 0.1, "epochs": 3},
        "objectives": {"accuracy": "maximize", "size_mb": "minimize"},
        "search": {"sampler": {"name": "tpe", "startup": 3}, "trials": 6, "seed": 1, "concurrent": 1},
        "compute": {"storage": str(folder / "store")},
        "tracking": {"uri": f"sqlite:///{folder}/mlflow.db"},
    } | changes
