"""Files of weights, mutated: loaded whole, or refused."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from fuzzed import mutated
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from kdsearch import models

Attempt = Callable[[Callable[[], Any]], Any]
MODEL = models.build({"name": "mlp", "hidden": [4]}, (1, 2, 2), 3, seed=0)


def _saved(legacy: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(MODEL.state_dict(), buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


FILES = {".safetensors": [save(MODEL.state_dict())], ".pt": [_saved(False), _saved(True)]}


@given(
    case=st.sampled_from([(suffix, seed) for suffix, seeds in FILES.items() for seed in seeds]).flatmap(
        lambda case: st.tuples(st.just(case[0]), st.binary() | mutated(case[1]))
    )
)
def test_any_bytes_as_weights(attempt: Attempt, case: tuple[str, bytes]):
    suffix, content = case
    model = models.build({"name": "mlp", "hidden": [4]}, (1, 2, 2), 3, seed=1)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(content)
        file.flush()

        def load() -> bool:
            models.load_weights(model, Path(file.name))
            return True

        loaded = attempt(load)
    if not loaded:
        assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
