"""Pictures of bundled and of made-up sets, found a second time without the code that reads them."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import registry
from bench.dataset import SPLITS


def package(name):
    return Path(find_spec(name).origin).parent


@pytest.mark.oracle("dataset", "faces")
def test_faces_are_those_of_the_file():
    stored = np.load(package("skimage") / "data/lfw_subset.npy")
    source = registry.make("dataset", "faces[size=25]")
    found = np.concatenate([source.open(None, split).x.numpy() for split in SPLITS])
    assert found.shape == (100, 1, 25, 25)
    assert np.abs(found[:, 0] / 255 - stored[:100]).max() < 0.5 / 255 + 1e-6


@pytest.mark.oracle("dataset", "photo_patches")
def test_patches_are_cut_from_halved_photographs():
    """The first patch of three training photographs, in NumPy: each gives as many patches as the others."""
    patches = registry.make("dataset", "photo_patches[size=8,stride=4]").open(None, "train").x
    firsts = patches[:: len(patches) // 6]  # of the six photographs to train on
    for patch, name in zip(firsts, ("astronaut.png", "motorcycle_left.png", "rocket.jpg")):
        photo = np.asarray(Image.open(package("skimage") / "data" / name).convert("RGB"), np.float64)
        halved = (photo[::2, ::2][:8, :8] + photo[1::2, ::2][:8, :8] + photo[::2, 1::2][:8, :8] + photo[1::2, 1::2][:8, :8]) / 4
        assert np.abs(patch.numpy().transpose(1, 2, 0) - halved).max() <= 0.51


@pytest.mark.oracle("dataset", "kohler")
def test_a_shaken_picture_stands_beside_the_middle_of_its_frames(tmp_path):
    def paint(name, level):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), (level, 0, 255 - level)).save(tmp_path / name)

    paint("kohler/BlurryImages/Blurry1_2.png", 100)
    for n in (1, 2, 3):
        paint(f"kohler/Image1/Kernel2/GroundTruth1_2_{n}.png", 10 * n)
    pictures = registry.make("dataset", "kohler").open(tmp_path, "test")
    assert pictures.names == ["1_2"]
    picture = pictures[0]
    assert (picture.observed[:, 3, 4] * 255).tolist() == pytest.approx([100, 0, 155], abs=1e-3)
    assert (picture.target[:, 3, 4] * 255).tolist() == pytest.approx([20, 0, 235], abs=1e-3)
    assert [round(float(frame[0, 0, 0]) * 255) for frame in picture.frames()] == [10, 20, 30]
