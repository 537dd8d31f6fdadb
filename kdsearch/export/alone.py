"""A graph run with nothing but NumPy and ONNX Runtime, as on the machine that it ships to.

Run as `python -I alone.py GRAPH.onnx IMAGES.npy LOGITS.npy`: every other package is refused, this one too.
"""

import sys

_ALLOWED = sys.stdlib_module_names | {"numpy", "onnxruntime"}


class _Refuse:
    """A finder that finds nothing, and says so of all that is not allowed."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] not in _ALLOWED:
            raise ModuleNotFoundError(f"{name} is not on the machine that this ships to", name=name)


def main(graph: str, images: str, logits: str) -> None:
    """Write the logits that `graph` gives for `images`."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    np.save(logits, session.run(None, {"images": np.load(images)})[0])


if __name__ == "__main__":
    sys.meta_path.insert(0, _Refuse)
    main(*sys.argv[1:])
