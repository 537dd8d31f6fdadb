"""Weights in files: written as safetensors, read from safetensors or from a plain `state_dict`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kdsearch.errors import InputError, first_line
from kdsearch.files import replacing


def save_weights(model: nn.Module, path: Path) -> None:
    """Write the parameters and buffers of `model` as safetensors: all of the file or nothing of it.

    A tensor with several names, as a tied weight, is stored under the first of them; the file's metadata maps
    the others to it.
    """
    state: dict[str, Tensor] = model.state_dict()
    aliases = aliases_in(state)
    # Clones, because safetensors refuses tensors that overlap in memory.
    kept = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in state.items()
        if name not in aliases
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        save_file(kept, part, metadata=aliases or None)


def aliases_in(state: Mapping[str, Tensor]) -> dict[str, str]:
    """The further names of tensors that stand under several, each with the first in alphabetical order."""
    names: dict[tuple[object, ...], str] = {}
    aliases: dict[str, str] = {}
    for name in sorted(state):
        tensor = state[name]
        # The address of the storage object, not of its data: on the meta device there is no data.
        storage = tensor.untyped_storage()._cdata
        view = (storage, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype)
        first = names.setdefault(view, name)
        if first != name:
            aliases[name] = first
    return aliases


def load_weights(model: nn.Module, path: Path) -> None:
    """Load into `model` the weights of `path`, bit by bit as they were saved.

    `path` is a `.safetensors` file, or a `state_dict` saved by `torch.save`, possibly inside
    `{"state_dict": …}` or `{"model": …}`, possibly of a model wrapped in DDP. A tensor to which the model
    gives several names may stand under the first of them alone. No code of the file is run.

    Raises:
        InputError: When the file is missing or unreadable, holds objects other than tensors, or is of another
            architecture.
    """
    if not path.is_file():
        raise InputError(f"checkpoint {path}: there is no such file")
    state = _tensors(_read(path), path)
    expected: dict[str, Tensor] = model.state_dict()
    for alias, first in aliases_in(expected).items():
        if first in state:
            state.setdefault(alias, state[first])
    problems = [
        _some("lacks", [key for key in expected if key not in state]),
        _some("has keys that the model does not:", [key for key in state if key not in expected]),
        _some(
            "has other shapes:",
            [
                f"{key} {_size(state[key])} instead of {_size(tensor)}"
                for key, tensor in expected.items()
                if key in state and state[key].shape != tensor.shape
            ],
        ),
    ]
    if found := "; it ".join(filter(None, problems)):
        raise InputError(f"checkpoint {path} is of another architecture: it {found}")
    model.load_state_dict(state)


def _read(path: Path) -> object:
    # A broken file fails in as many ways as there are layers to it: zip, pickle, header, storage.
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if "Unsupported" in str(error):
            raise InputError(
                f"checkpoint {path} holds objects other than tensors; save a state_dict"
            ) from error
        reason = first_line(error)
        raise InputError(f"checkpoint {path} cannot be read, it may be truncated: {reason[:200]}") from error


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        content = next((content[k] for k in ("state_dict", "model") if _is_mapping(content.get(k))), content)
    if not isinstance(content, Mapping):
        raise InputError(f"checkpoint {path} holds a {type(content).__name__}, not a state_dict")
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise InputError(f"checkpoint {path}: '{key}' is of type {type(value).__name__}, not a tensor")
    wrapped = all(str(key).startswith("module.") for key in content)
    return {
        str(key).removeprefix("module.") if wrapped else str(key): value for key, value in content.items()
    }


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _some(what: str, items: list[str], shown: int = 3) -> str:
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return f"{what} {', '.join(items[:shown])}{more}" if items else ""


def _size(tensor: Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))})"
