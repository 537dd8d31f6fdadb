"""A student in PyTorch as MLflow's pyfunc loads it: this file is stored with the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Served(PythonModel):  # type: ignore[misc]
    """Maps images (B, C, H, W) uint8 to logits (B, classes) float32, both NumPy arrays."""

    def load_context(self, context: Any) -> None:
        """Open the export that was stored with the model."""
        from kdsearch.export import open_export

        self._form = open_export(context.artifacts["export"]).form()

    def predict(
        self, context: Any, model_input: Any, params: dict[str, Any] | None = None
    ) -> npt.NDArray[np.float32]:
        """Logits of images, given as an array or under the name `images`."""
        import numpy as np
        import torch

        images = model_input["images"] if isinstance(model_input, dict) else model_input
        with torch.inference_mode():
            logits = self._form(torch.from_numpy(np.ascontiguousarray(images, np.uint8)))
        return np.asarray(logits)


set_model(Served())
