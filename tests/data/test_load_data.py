import pytest

from kdsearch.data import load
from kdsearch.errors import InputError
from kdsearch.registry import parts

OWN = """
import torch
from kdsearch.data import Dataset, Images

def images(n=6, c=1, dtype=torch.uint8, labels=None):
    labels = torch.arange(n) % 2 if labels is None else torch.tensor(labels)
    return Images(torch.zeros(n, c, 4, 4, dtype=dtype), labels)

def good(*, n=6): return Dataset(images(n), None, ("a", "b"))
def floats(): return Dataset(images(dtype=torch.float32), None, ("a", "b"))
def empty(): return Dataset(images(), images(0), ("a", "b"))
def other_shape(): return Dataset(images(), images(c=3), ("a", "b"))
def out_of_range(): return Dataset(images(labels=[0, 1, 2, 0, 1, 2]), None, ("a", "b"))
def too_few_labels(): return Dataset(images(labels=[0, 1]), None, ("a", "b"))
def no_dataset(): return images()
def fails(): raise FileNotFoundError("no such disk")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_data.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)


def test_every_source_is_registered_with_documented_options():
    known = parts("dataset")
    assert set(known) == {
        "cifar10",
        "cifar100",
        "digits",
        "fashion_mnist",
        "image_folder",
        "mnist",
        "parquet",
    }
    for part in known.values():
        assert part.summary and not part.open
        assert all(option.doc for option in part.parameters.values()), part.name


def test_a_function_of_the_user_is_a_source(own):
    dataset = load({"source": "own_data:good", "n": 8})
    assert len(dataset.train) == 8 and dataset.test is None and dataset.shape == (1, 4, 4)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"source": "digit"}, "unknown dataset 'digit'; did you mean 'digits'"),
        ({"source": "digits", "root": "x"}, "dataset 'digits' cannot be loaded: .*root"),
        ({"source": "own_data:floats"}, r"train split: images must be \(N, C, H, W\) uint8.*float32"),
        ({"source": "own_data:empty"}, "test split: it has no images"),
        ({"source": "own_data:other_shape"}, r"test images have the shape \(3, 4, 4\), others \(1, 4, 4\)"),
        ({"source": "own_data:out_of_range"}, "labels must lie in 0 to 1; they lie in 0 to 2"),
        ({"source": "own_data:too_few_labels"}, r"labels must be \(6,\) int64; they are \(2,\)"),
        ({"source": "own_data:no_dataset"}, "is a Images, not a kdsearch.data.Dataset"),
        ({"source": "own_data:fails"}, "cannot be loaded: no such disk"),
    ],
    ids=lambda value: value["source"] if isinstance(value, dict) else "",
)
def test_what_is_not_a_dataset_is_refused_by_name(own, config, message):
    with pytest.raises(InputError, match=message):
        load(config)
