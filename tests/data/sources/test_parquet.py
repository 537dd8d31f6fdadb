import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from kdsearch.data import load
from kdsearch.errors import InputError


def png(image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def write(tmp_path, picture):
    """Ten pictures of two classes, in the layout of Hugging Face."""

    def write(name="train.parquet", images=None, labels=(0, 1) * 5, names=None, columns=("img", "label")):
        images = images or [{"bytes": png(picture(i)), "path": None} for i in range(len(labels))]
        table = pa.table(dict(zip(columns, (images, list(labels)), strict=True)))
        if names:
            features = {"info": {"features": {columns[1]: {"names": names, "_type": "ClassLabel"}}}}
            table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
        pq.write_table(table, tmp_path / name)
        return str(tmp_path / name)

    return write


def test_images_are_decoded_and_classes_named_by_the_metadata(write, picture):
    train, test = write(names=["cat", "dog"]), write("test.parquet", labels=(1, 0))
    dataset = load({"source": "parquet", "train": train, "test": test})
    assert dataset.classes == ("cat", "dog") and dataset.test.labels.tolist() == [1, 0]
    expected = np.asarray(picture(3)).transpose(2, 0, 1)
    assert torch.equal(dataset.train.images[3], torch.from_numpy(expected.copy()))


def test_without_a_test_file_a_fixed_fifth_is_held_out(write):
    dataset = load({"source": "parquet", "train": write()})
    assert (len(dataset.train), len(dataset.test)) == (8, 2)
    assert dataset.classes == ("0", "1")


def test_plain_bytes_and_labels_in_words_under_other_names_are_read(write, picture):
    images = [png(picture(i, grey=True)) for i in range(4)]
    path = write(images=images, labels=("dog", "cat") * 2, columns=("image", "kind"))
    dataset = load({"source": "parquet", "train": path, "image": "image", "label": "kind"})
    assert dataset.classes == ("cat", "dog") and dataset.shape == (1, 6, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": "image"}, "has no column 'image'; did you mean 'img'"),
        ({"label": "labels"}, "has no column 'labels'; did you mean 'label'"),
    ],
)
def test_a_column_that_is_not_there_is_named_with_the_nearest(write, options, message):
    with pytest.raises(InputError, match=message):
        load({"source": "parquet", "train": write(), **options})


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*absent.parquet"):
        load({"source": "parquet", "train": str(tmp_path / "absent.parquet")})


def test_a_file_that_is_not_parquet_is_named(tmp_path):
    (tmp_path / "t.parquet").write_text("not parquet")
    with pytest.raises(InputError, match=r"t.parquet cannot be read"):
        load({"source": "parquet", "train": str(tmp_path / "t.parquet")})


def test_a_picture_that_cannot_be_decoded_is_named_by_its_row(write, picture):
    images = [{"bytes": png(picture(0)), "path": None}, {"bytes": b"no image", "path": None}]
    with pytest.raises(InputError, match="row 1 of column 'img' cannot be decoded"):
        load({"source": "parquet", "train": write(images=images, labels=(0, 1))})


def test_pictures_of_two_sizes_are_refused(write, picture):
    images = [{"bytes": png(picture(size=size)), "path": None} for size in (6, 7)]
    with pytest.raises(InputError, match="row 1 of column 'img' is of 7x7 pixels"):
        load({"source": "parquet", "train": write(images=images, labels=(0, 1))})


def test_a_row_without_bytes_is_named(write, picture):
    images = [{"bytes": png(picture()), "path": None}, {"bytes": None, "path": "elsewhere.png"}]
    with pytest.raises(InputError, match="row 1 of column 'img' holds no bytes"):
        load({"source": "parquet", "train": write(images=images, labels=(0, 1))})


def test_labels_outside_of_the_classes_are_refused(write):
    with pytest.raises(InputError, match="labels must lie in 0 to 1; they lie in -1 to 1"):
        load({"source": "parquet", "train": write(labels=(0, 1, -1, -1, 1, 0) * 2)})


def test_labels_that_are_no_numbers_or_words_are_refused(write):
    with pytest.raises(InputError, match="column 'label' must hold integers or strings"):
        load({"source": "parquet", "train": write(labels=(0.5, 1.5))})


def test_the_real_cifar10_is_read(shared_data):
    dataset = load({"source": "parquet", "train": str(shared_data / "cifar10" / "test.parquet")})
    assert dataset.shape == (3, 32, 32) and len(dataset.train) == 8000
    assert dataset.test.labels.bincount().tolist() == [200] * 10
