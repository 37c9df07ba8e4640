"""Set5 and its siblings: both layouts, pairs, what is missing."""

import os
from pathlib import Path

import pytest
from PIL import Image

from bench import registry
from bench.errors import Unavailable

DATA = os.environ.get("GANBENCH_DATA")


def lay_out(folder, scale, numbers=(1, 2)):
    folder.mkdir(parents=True, exist_ok=True)
    for n in numbers:
        Image.new("RGB", (12 * scale, 8 * scale), (n, 0, 0)).save(folder / f"img_{n:03}_SRF_{scale}_HR.png")
        Image.new("RGB", (12, 8), (0, n, 0)).save(folder / f"img_{n:03}_SRF_{scale}_LR.png")
        Image.new("RGB", (12 * scale, 8 * scale)).save(
            folder / f"img_{n:03}_SRF_{scale}_bicubic.png",
        )  # the authors' results lie there, too


@pytest.mark.oracle("dataset", "set5", "set14", "bsd100", "urban100")
@pytest.mark.parametrize("name", ["set5", "set14", "bsd100", "urban100"])
@pytest.mark.parametrize("nested", [True, False])
def test_layouts(tmp_path, name, nested):
    published = {"set5": "Set5", "set14": "Set14", "bsd100": "BSD100", "urban100": "Urban100"}[name]
    lay_out(tmp_path / published / "image_SRF_2" if nested else tmp_path / f"{name}_x2", 2)
    found = registry.make("dataset", f"{name}[scale=2]").open(tmp_path, "test")
    assert found.names == ["img_001", "img_002"]
    assert found[1].target.shape == (3, 16, 24)
    assert found[1].small.shape == (3, 8, 12)
    assert found[1].small[:, 0, 0].mul(255).round().tolist() == [0, 2, 0]
    assert len(registry.make("dataset", f"{name}[scale=2]").open(tmp_path, "train")) == 0


def test_a_scale_that_is_not_there(tmp_path):
    lay_out(tmp_path / "Set5/image_SRF_4", 4)
    with pytest.raises(Unavailable, match="_SRF_2_HR"):
        registry.make("dataset", "set5[scale=2]").open(tmp_path, "test")


@pytest.mark.skipif(not DATA or not Path(DATA, "set5_x4").is_dir(), reason="needs GANBENCH_DATA with set5_x4")
def test_the_real_set5():
    sizes = [p.target.shape[1:] for p in registry.make("dataset", "set5").open(Path(DATA), "test")]
    assert sizes == [(512, 512), (288, 288), (256, 256), (280, 280), (344, 228)]
