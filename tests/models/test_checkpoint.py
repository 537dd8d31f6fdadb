"""Weights in files."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from kdsearch.errors import InputError
from kdsearch.models import build, load_weights, save_weights


def model(seed: int = 0, width: int = 4) -> nn.Module:
    return build({"name": "convnet", "width": width}, (1, 8, 8), 10, seed=seed)


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, b.state_dict()[key]) for key, x in a.state_dict().items())


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight


class Anything:
    pass


def test_what_is_saved_is_loaded_bit_by_bit(tmp_path):
    source, target = model(1), model(2)
    source(torch.randn(8, 1, 8, 8))
    save_weights(source, tmp_path / "new folder" / "m.safetensors")
    load_weights(target, tmp_path / "new folder" / "m.safetensors")
    images = torch.randn(4, 1, 8, 8)
    assert same(source, target)
    assert torch.equal(source.eval()(images), target.eval()(images))


def test_saving_leaves_nothing_else_behind_and_replaces_what_was_there(tmp_path):
    save_weights(model(1), tmp_path / "m.safetensors")
    save_weights(model(2), tmp_path / "m.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    loaded = model(3)
    load_weights(loaded, tmp_path / "m.safetensors")
    assert same(loaded, model(2))


def test_tied_weights_are_saved_once_and_loaded_into_both(tmp_path):
    source, target = Tied(), Tied()
    save_weights(source, tmp_path / "tied.safetensors")
    assert set(load_file(tmp_path / "tied.safetensors")) == {"first.weight", "first.bias", "second.bias"}
    load_weights(target, tmp_path / "tied.safetensors")
    assert same(source, target)


def test_tied_weights_saved_under_both_names_are_loaded(tmp_path):
    source, target = Tied(), Tied()
    torch.save(source.state_dict(), tmp_path / "tied.pt")
    load_weights(target, tmp_path / "tied.pt")
    assert same(source, target)


def test_tied_weights_are_no_weights_for_a_model_that_ties_none(tmp_path):
    save_weights(Tied(), tmp_path / "tied.safetensors")
    untied = Tied()
    untied.second.weight = nn.Parameter(torch.zeros(3, 3))
    with pytest.raises(InputError, match=r"another architecture: it lacks second\.weight$"):
        load_weights(untied, tmp_path / "tied.safetensors")


def test_views_that_overlap_without_being_the_same_are_saved_each(tmp_path):
    def views() -> nn.Module:
        module, square = nn.Module(), torch.arange(9.0).view(3, 3)
        module.register_buffer("rows", square)
        module.register_buffer("columns", square.T)
        module.register_buffer("first", square[0])
        return module

    save_weights(views(), tmp_path / "views.safetensors")
    loaded = load_file(tmp_path / "views.safetensors")
    assert all(torch.equal(loaded[name], tensor) for name, tensor in views().state_dict().items())


def test_weights_laid_out_otherwise_are_saved_whole(tmp_path):
    source, target = model(1).to(memory_format=torch.channels_last), model(2)
    save_weights(source, tmp_path / "last.safetensors")
    load_weights(target, tmp_path / "last.safetensors")
    assert same(source, target)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_state_dict_is_loaded_however_it_was_wrapped(tmp_path, wrapper, prefix):
    source, target = model(1), model(2)
    state = {prefix + key: value for key, value in source.state_dict().items()}
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "m.pt")
    load_weights(target, tmp_path / "m.pt")
    assert same(source, target)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent.pt: there is no such file"):
        load_weights(model(), tmp_path / "absent.pt")


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt"])
@pytest.mark.parametrize("kept", [0, 7, 100, 2000])
def test_a_truncated_file_is_refused_in_one_line(tmp_path, name, kept):
    path = tmp_path / name
    save_weights(model(), path) if name == "m.safetensors" else torch.save(model().state_dict(), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="cannot be read, it may be truncated") as caught:
        load_weights(model(), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Anything(), "holds objects other than tensors"),
        ([torch.zeros(1)], "holds a list, not a state_dict"),
        ({"epoch": 3}, "'epoch' is of type int, not a tensor"),
    ],
    ids=["object", "list", "number"],
)
def test_a_file_of_anything_but_tensors_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(InputError, match=message):
        load_weights(model(), tmp_path / "m.pt")


def test_another_width_is_told_by_the_shapes(tmp_path):
    save_weights(model(width=8), tmp_path / "m.safetensors")
    with pytest.raises(
        InputError, match=r"another architecture.*stage1.conv.weight \(8, 1, 3, 3\) instead of "
    ):
        load_weights(model(width=4), tmp_path / "m.safetensors")


def test_another_family_is_told_by_the_keys_and_leaves_the_model_as_it_was(tmp_path):
    save_weights(build({"name": "mlp"}, (1, 8, 8), 10), tmp_path / "m.safetensors")
    target = model(5)
    with pytest.raises(
        InputError,
        match=r"it lacks stage1\.conv\.weight.* more; it has keys that the model does not: .*layer1",
    ) as caught:
        load_weights(target, tmp_path / "m.safetensors")
    assert "\n" not in str(caught.value)
    assert same(target, model(5))
