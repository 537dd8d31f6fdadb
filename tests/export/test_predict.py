"""Labels of image files."""

import numpy as np
import pytest
import torch
from PIL import Image

from kdsearch.data.sources.digits import digits
from kdsearch.errors import InputError
from kdsearch.export.predict import predict, read_image


@pytest.mark.parametrize("name", ["torch", "fp16", "onnx", "int8"])
def test_the_label_of_a_file_is_that_of_its_image(exported, tmp_path, name):
    export, test = exported(name), digits().test
    paths = [tmp_path / f"{i}.png" for i in range(20)]
    for path, image in zip(paths, test.images, strict=False):
        Image.fromarray(image[0].numpy()).save(path)
    form = export.form()
    with torch.inference_mode():
        logits = torch.cat([form(image[None]) for image in test.images[:20]]).double().numpy()
    share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    told = list(predict(export, paths))
    assert [found.path for found in told] == paths
    assert [found.label for found in told] == [str(i) for i in share.argmax(1)]
    np.testing.assert_allclose([found.probability for found in told], share.max(1), rtol=1e-4)
    assert np.mean([int(f.label) == int(y) for f, y in zip(told, test.labels, strict=False)]) > 0.7


def test_colours_become_grey_as_pillow_makes_them_and_grey_becomes_colours(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "colour.png")
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    found = read_image(tmp_path / "colour.png", (1, 16, 16))
    assert found.dtype == torch.uint8 and np.array_equal(found[0].numpy(), grey)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    found = read_image(tmp_path / "grey.png", (3, 16, 16))
    assert found.shape == (3, 16, 16) and all(np.array_equal(channel.numpy(), grey) for channel in found)
    assert np.array_equal(read_image(tmp_path / "colour.png", (3, 16, 16)).numpy(), pixels.transpose(2, 0, 1))


def test_an_image_of_another_size_is_scaled_and_its_centre_taken(tmp_path):
    Image.new("L", (40, 20), 77).save(tmp_path / "wide.png")
    found = read_image(tmp_path / "wide.png", (1, 8, 8))
    assert found.shape == (1, 8, 8) and bool((found == 77).all())
    with pytest.raises(InputError, match="is of 40x20 pixels, not 12x8"):
        read_image(tmp_path / "wide.png", (1, 8, 12))


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    for path, message in (
        (tmp_path / "text.png", "cannot be decoded as an image"),
        (tmp_path / "none.png", "there is no such file"),
        (tmp_path, "there is no such file"),
    ):
        with pytest.raises(InputError, match=message):
            read_image(path, (1, 8, 8))
    Image.new("L", (8, 8)).save(tmp_path / "grey.png")
    with pytest.raises(InputError, match="has 1 channels, and the student takes 4"):
        read_image(tmp_path / "grey.png", (4, 8, 8))
