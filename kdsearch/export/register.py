"""An export as a model in MLflow's registry."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from kdsearch.errors import InputError
from kdsearch.export.load import Export
from kdsearch.space import describe

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

#: The alias of the version that was registered last: `models:/NAME@newest`.
ALIAS = "newest"


@dataclass(frozen=True)
class Registered:
    """A version of a registered model. `uri` is what `mlflow.pyfunc.load_model` takes."""

    name: str
    version: str
    uri: str


def check_name(name: str) -> None:
    """Raise InputError for a name that MLflow's registry would refuse."""
    if not re.fullmatch(r"[^/:.%\"'\s][^/:%\"']{0,199}", name):
        raise InputError(f"--register {name}: expected a name without '/', ':', '%' and quotes")


def register(export: Export, name: str, uri: str) -> Registered:
    """Log an export to its run, as a model with signature and input example, and register it.

    The model maps images (B, C, H, W) uint8 to logits (B, classes). A graph needs ONNX Runtime where it is
    loaded, a student in PyTorch needs kdsearch.

    Args:
        export: It comes from a run.
        name: Of the registered model, which is made if there is none.
        uri: MLflow's address.

    Raises:
        InputError: When the export comes from no run, or MLflow does not take it.
    """
    from kdsearch.tracking import opened, resolve_uri

    check_name(name)
    if "run" not in export.origin:
        raise InputError(
            f"{export.folder} does not come from a run of a search: there is nothing to register it under"
        )
    with opened(uri) as client:
        import mlflow
        from mlflow.models import Model

        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(resolve_uri(uri))
        try:
            info = Model.log(
                artifact_path=None,
                name="student",
                run_id=export.origin["run"],
                registered_model_name=name,
                tags={key: str(value) for key, value in _tags(export).items()},
                **_flavour(export),
            )
        finally:
            mlflow.set_tracking_uri(before)
        number = str(info.registered_model_version)
        client.set_registered_model_alias(name, ALIAS, number)
        for key, value in _tags(export).items():
            client.set_model_version_tag(name, number, key, str(value))
    return Registered(name, number, f"models:/{name}/{number}")


def _flavour(export: Export) -> dict[str, Any]:
    """How MLflow stores it: as ONNX where that is what ships, else as Python that needs kdsearch."""
    import numpy as np

    example = np.zeros((1, *export.described["shape"]), np.uint8)
    common = {"signature": _signature(export), "input_example": example}
    if export.config.deploy.format == "onnx":
        import mlflow.onnx
        import onnx

        return {
            "flavor": mlflow.onnx,
            "onnx_model": onnx.load(export.ships),
            "save_as_external_data": False,
            "pip_requirements": [f"{name}=={version(name)}" for name in ("onnxruntime", "onnx", "numpy")],
            **common,
        }
    import mlflow.pyfunc

    from kdsearch.export import served

    return {
        "flavor": mlflow.pyfunc,
        "python_model": os.fspath(served.__file__),
        "artifacts": {"export": str(export.folder)},
        "pip_requirements": [f"kdsearch=={version('kdsearch')}"],
        **common,
    }


def _signature(export: Export) -> ModelSignature:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    images = TensorSpec(np.dtype("uint8"), (-1, *export.described["shape"]), "images")
    logits = TensorSpec(np.dtype("float32"), (-1, len(export.described["classes"])), "logits")
    return ModelSignature(inputs=Schema([images]), outputs=Schema([logits]))


def _tags(export: Export) -> dict[str, object]:
    figures = {
        key: export.metrics[key] for key in ("accuracy", "test_accuracy", "size_mb") if key in export.metrics
    }
    return {
        "kdsearch.search": export.origin["search"],
        "kdsearch.recipe": describe(export.config.tree())[:4000],
        "kdsearch.ships": export.ships.name,
        **{f"kdsearch.{key}": value for key, value in figures.items()},
    }
