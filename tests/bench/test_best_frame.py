"""Koehler's protocol on constructed data: restoration.md, section 11.6 and check 12."""

import numpy as np
import pytest
import torch
from PIL import Image

from bench import registry
from bench.judging.best_frame import PROTOCOL, align, best_of
from bench.judging.profiles import profile
from datasets.kohler import Kohler

METRICS = {name: registry.make("metric", getattr(profile("kohler"), name)) for name in ("psnr", "ssim")}
TASK = "deblur[data=kohler,profile=kohler,metrics=('psnr','ssim'),scenes=0,scene_share=0.0]"


def photo(seed, height=170, width=180):
    """A smooth random picture on 8 bits whose levels are even, so that half of it is 8 bits, too."""
    noise = torch.rand(1, 3, height // 10 + 1, width // 10 + 1, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(noise, size=(height, width), mode="bicubic", align_corners=False)[0].clamp(0, 1)
    return (smooth * 127).round() * 2 / 255


def moved(image, dy, dx):
    return torch.roll(image, (dy, dx), (1, 2))


def by_hand(z, x):
    """PSNR of one frame by brute force, in NumPy, on 0 .. 255."""
    z, x = (np.asarray(image, np.float64) * 255 for image in (z, x))
    z = np.round(z)
    z = z * (x * z).sum() / (z * z).sum()
    gray_z, gray_x = z.mean(0), x.mean(0)
    height, width = gray_x.shape
    shifts = [(dy, dx) for dy in range(-6, 7) for dx in range(-6, 7)]
    dy, dx = max(shifts, key=lambda s: (np.roll(gray_z, s, (0, 1)) * gray_x).sum())
    mask = np.zeros((height, width))
    mask[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = 1
    luma = [np.tensordot([0.299, 0.587, 0.114], image, 1) for image in (np.roll(z, (dy, dx), (1, 2)) * mask, x * mask)]
    return 10 * np.log10(255**2 / np.mean((luma[0] - luma[1]) ** 2))


@pytest.mark.parametrize("shift", [(0, 0), (3, -5), (-11, 2)])
def test_shifts_by_whole_pixels_are_found(shift):
    x = photo(0)
    z, frame = align(moved(x, *shift), x)
    overlap = torch.zeros_like(x, dtype=torch.bool)
    overlap[:, max(-shift[0], 0) : 170 - max(shift[0], 0), max(-shift[1], 0) : 180 - max(shift[1], 0)] = True
    gain = (z[overlap].sum() / frame[overlap].sum()).item()
    assert torch.allclose(z[overlap], gain * x.double()[overlap], rtol=1e-9)  # the gain is fitted to pictures that are not aligned yet
    assert torch.equal(frame[overlap], x.double()[overlap])
    assert not z[~overlap].any()
    assert not frame[~overlap].any()


def test_the_brightness_of_the_whole_picture_does_not_matter():
    x, z = photo(1), (photo(1) + photo(2)) / 2
    for gain in (0.25, 2.0):
        assert torch.allclose(align(gain * z, x)[0], align(z, x)[0], rtol=1e-12)
    assert best_of(x / 2, [x], METRICS)["psnr"] > 200  # float64's rounding of the gain is all that is left


def test_each_metric_takes_its_own_best_frame_and_equals_the_calculation_by_hand():
    x, others = photo(1), [photo(2), photo(3)]
    z = (moved(x, 2, 4) * 0.8 + 0.1 * others[0]).clamp(0, 1)
    frames = [others[0], x, others[1]]
    found = best_of(z, frames, METRICS)
    assert found["psnr"].item() == pytest.approx(max(by_hand(z, frame) for frame in frames), abs=1e-6)
    assert by_hand(z, x) == max(by_hand(z, frame) for frame in frames)
    assert found["ssim"] == max(best_of(z, [frame], METRICS)["ssim"] for frame in frames)


@pytest.fixture
def root(tmp_path):
    """Two blurred pictures with three and two frames; frame 30 of picture 1, kernel 3 fits best and is not to be used."""
    folder = tmp_path / "kohler"
    (folder / "BlurryImages").mkdir(parents=True)

    def store(image, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(path)

    for name, frames in {"1_3": (2, 9, 30), "1_12": (1, 10)}.items():
        picture, kernel = name.split("_")
        blurred = photo(30)
        store(blurred, folder / "BlurryImages" / f"Blurry{name}.png")
        for n in frames:
            store(
                moved(photo(30) if n == 30 else (photo(30) + photo(n)) / 2, n % 4, 0),
                folder / f"Image{picture}/Kernel{kernel}/GroundTruth{name}_{n}.png",
            )
    return tmp_path


def test_the_source_lists_frames_in_order_of_time_without_the_one_that_is_left_out(root):
    pictures = Kohler().open(root, "test")
    assert pictures.names == ["1_3", "1_12"]
    assert [file.stem for file in pictures[0].files] == ["GroundTruth1_3_2", "GroundTruth1_3_9"]
    assert [file.stem for file in pictures[1].files] == ["GroundTruth1_12_1", "GroundTruth1_12_10"]
    assert torch.equal(pictures[1].target, list(pictures[1].frames())[1])
    assert len(Kohler().open(root, "train")) == 0


def test_deblurring_is_scored_by_the_best_frame(root):
    task = registry.make("task", TASK)
    task.open(root, torch.device("cpu"))
    scores = task.score(registry.make("method", "identity")(task), lambda done, total: None)
    pictures = Kohler().open(root, "test")
    expected = [max(by_hand(picture.observed, frame) for frame in picture.frames()) for picture in pictures]
    assert scores.per_image["psnr"][0] == pictures.names
    assert scores.per_image["psnr"][1] == pytest.approx(expected, abs=1e-4)  # pictures are float32
    assert task.cards()["psnr"].protocol["frames"] == PROTOCOL
