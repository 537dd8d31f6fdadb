import numpy as np
import pytest
import torch
from PIL import Image

from kdsearch.data import load
from kdsearch.errors import InputError


@pytest.fixture
def folder(tmp_path, picture):
    """Five pictures of each of two classes."""
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for i in range(5):
            picture(10 * label + i).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_a_folder_a_class_gives_a_fixed_test_fifth_of_each_class(folder, picture):
    dataset = load({"source": "image_folder", "path": str(folder)})
    assert dataset.classes == ("cat", "dog") and dataset.shape == (3, 6, 6)
    assert dataset.train.labels.bincount().tolist() == [4, 4]
    assert dataset.test.labels.bincount().tolist() == [1, 1]
    everything = torch.cat([dataset.train.images, dataset.test.images]).tolist()
    assert np.asarray(picture(10)).transpose(2, 0, 1).tolist() in everything


@pytest.mark.parametrize("test", ["test", "val"])
def test_train_and_test_folders_are_kept_apart(tmp_path, picture, test):
    for split, n in (("train", 3), (test, 2)):
        for label in ("a", "b"):
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(n):
                picture(i, grey=True).save(tmp_path / split / label / f"{i}.png")
    dataset = load({"source": "image_folder", "path": str(tmp_path)})
    assert (len(dataset.train), len(dataset.test), dataset.shape) == (6, 4, (1, 6, 6))


def test_a_size_resizes_the_shorter_side_and_keeps_the_centre(tmp_path):
    (tmp_path / "a").mkdir()
    striped = np.zeros((10, 30, 3), np.uint8)
    striped[:, 10:20] = 200
    for i in range(5):
        Image.fromarray(striped).save(tmp_path / "a" / f"{i}.png")
    dataset = load({"source": "image_folder", "path": str(tmp_path), "size": 10})
    assert dataset.shape == (3, 10, 10)
    assert (dataset.train.images == 200).all()


def test_one_picture_in_colours_makes_all_of_them_so(folder, picture):
    for i in range(5):
        picture(i, grey=True).save(folder / "cat" / f"{i}.png")
    dataset = load({"source": "image_folder", "path": str(folder)})
    cats = dataset.train.images[dataset.train.labels == 0]
    assert dataset.shape == (3, 6, 6) and (cats[:, 0] == cats[:, 2]).all()


def test_an_empty_class_folder_is_named(folder):
    (folder / "emu").mkdir()
    with pytest.raises(InputError, match=r"class folder .*emu has no images"):
        load({"source": "image_folder", "path": str(folder)})


def test_a_folder_without_classes_is_named(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path} has no class folders"):
        load({"source": "image_folder", "path": str(tmp_path)})


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder .*absent"):
        load({"source": "image_folder", "path": str(tmp_path / "absent")})


def test_a_class_that_only_the_test_folder_has_is_named(tmp_path, picture):
    for place in ("train/a", "test/a", "test/b"):
        (tmp_path / place).mkdir(parents=True)
        picture().save(tmp_path / place / "0.png")
    with pytest.raises(InputError, match=r"test has classes that .*train lacks: b"):
        load({"source": "image_folder", "path": str(tmp_path)})


@pytest.mark.parametrize("kept", [0, 30, 80])
def test_a_picture_that_cannot_be_decoded_is_named(folder, kept):
    path = folder / "dog" / "2.png"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"dog/2.png cannot be decoded"):
        load({"source": "image_folder", "path": str(folder)})


def test_pictures_of_two_sizes_need_a_size(folder, picture):
    picture(size=9).save(folder / "dog" / "2.png")
    with pytest.raises(InputError, match=r"dog/2.png is of 9x9 pixels and .* 6x6; give a `size`"):
        load({"source": "image_folder", "path": str(folder)})
    assert load({"source": "image_folder", "path": str(folder), "size": 6}).shape == (3, 6, 6)


def test_a_picture_of_sixteen_bits_is_refused_rather_than_cut(folder):
    Image.fromarray(np.full((6, 6), 40_000, np.uint16)).save(folder / "dog" / "2.png")
    with pytest.raises(InputError, match=r"dog/2.png has I;16 pixels; images of 8 bits"):
        load({"source": "image_folder", "path": str(folder)})
