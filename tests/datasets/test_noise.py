"""Noise: its moments against closed forms, its seeds, both conventions; the sets that it is put on."""

import os

import pytest
import torch
from PIL import Image
from scipy import stats

from bench import registry
from bench.errors import UsageError
from datasets.bsd68 import BSD68
from datasets.cbsd68 import CBSD68
from datasets.cc15 import CC15
from datasets.degrade.gaussian import Gaussian
from datasets.degrade.mixture import Mixture
from datasets.degrade.poisson import Poisson
from datasets.kodak24 import Kodak24
from datasets.set12 import Set12
from datasets.train400 import Train400

DATA = os.environ.get("GANBENCH_DATA")
KINDS = ("gaussian", "poisson", "mixture")


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def flat(level=0.5, n=1, side=400):
    return torch.full((n, 1, side, side), level)


@pytest.mark.parametrize("name", KINDS)
def test_same_seed_same_noise(name):
    noise, x = registry.make("degradation", f"{name}[sigma=30]"), flat(n=2, side=16)
    assert torch.equal(noise.apply(x, rng(1)), noise.apply(x, rng(1)))
    assert not torch.equal(noise.apply(x, rng(1)), noise.apply(x, rng(2)))
    torch.manual_seed(5)
    first = noise.apply(x)
    torch.manual_seed(5)
    assert torch.equal(first, noise.apply(x))
    assert (noise.apply(x, rng())[0] != noise.apply(x, rng())[1]).any()


@pytest.mark.parametrize(
    ("noise", "x", "std"),
    [
        (Gaussian(sigma=25), 0.5, 25 / 255),
        (Gaussian(sigma=50), 0.1, 50 / 255),
        (Poisson(sigma=25), 1.0, 25 / 255),
        (Poisson(sigma=25), 0.25, 12.5 / 255),
        (Mixture(sigma=25), 0.5, (0.1 * 25**2 / 3 + 0.2 + 0.007) ** 0.5 / 255),
    ],
)
def test_mean_and_deviation(noise, x, std):
    y = noise.apply(flat(x), rng()).double()
    assert y.mean().item() == pytest.approx(x, abs=4 * std / 400)
    assert y.std().item() == pytest.approx(std, rel=0.02)
    assert noise.std == pytest.approx(0.0 if isinstance(noise, Poisson) else std)


def test_gaussian_noise_is_normal_and_white():
    v = Gaussian(sigma=25).apply(flat(), rng())[0, 0].double() - 0.5
    assert stats.kstest(v.flatten().numpy() * 255 / 25, "norm").pvalue > 0.01
    for a, b in ((v[1:], v[:-1]), (v[:, 1:], v[:, :-1])):
        assert abs((a * b).mean() / v.var()) < 4 / 400


def test_poisson_noise_counts_photons():
    """100 photons at white: counts are whole, and their law is Poisson's."""
    counts = Poisson(sigma=25.5).apply(flat(0.04), rng()).double() * 100
    assert torch.allclose(counts, counts.round(), atol=1e-3)
    seen = torch.bincount(counts.round().long().flatten())[:10].numpy()
    assert seen == pytest.approx(160_000 * stats.poisson(4).pmf(range(10)), abs=4 * 160)


def test_mixture_has_its_three_parts():
    """Beyond 5 of 255 there is uniform noise alone, 10 % x 20 / 25; beyond 0.5 the middle part too."""
    v = (Mixture(sigma=25).apply(flat(), rng()) - 0.5).abs() * 255
    assert (v > 5).double().mean().item() == pytest.approx(0.1 * 0.8, rel=0.03)
    middle = 0.1 * 0.98 + 0.2 * 2 * stats.norm.sf(0.5)
    assert (v > 0.5).double().mean().item() == pytest.approx(middle, rel=0.03)


def test_a_range_draws_a_level_a_picture():
    y = Gaussian(sigma=(10.0, 40.0)).apply(flat(n=60, side=64), rng())
    levels = (y - 0.5).flatten(1).std(1) * 255
    assert 9 < levels.min() < 14
    assert 36 < levels.max() < 42
    assert Gaussian(sigma=(10.0, 40.0)).std == 0


def test_both_conventions():
    x = torch.linspace(0, 1, 256).view(1, 1, 16, 16).repeat(1, 1, 8, 8)
    free, stored = (Gaussian(sigma=25, clip=clip).apply(x, rng()) for clip in (False, True))
    assert free.min() < 0
    assert free.max() > 1
    assert torch.equal(stored, (free.clamp(0, 1) * 255).round() / 255)


@pytest.mark.parametrize("sigma", [-1, 300, (20, 10)])
def test_senseless_levels(sigma):
    with pytest.raises(UsageError, match="sigma must be"):
        registry.make("degradation", f"gaussian[sigma={sigma}]")


def test_real_noise_is_never_made():
    with pytest.raises(UsageError, match="adds nothing"):
        registry.make("degradation", "real").apply(flat())


# the sets


def paint(path, mode="L", level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (20, 16), level).save(path)


@pytest.mark.oracle("dataset", "bsd68", "set12", "cbsd68", "kodak24")
@pytest.mark.parametrize("source", [BSD68, Set12, CBSD68, Kodak24])
def test_a_flat_folder_is_a_test_set(source, tmp_path):
    for number in (2, 1):
        paint(tmp_path / source.folders[0] / f"{number}.png")
    assert source().open(tmp_path, "test").names == ["1", "2"]
    assert len(source().open(tmp_path, "validation")) == len(source().open(tmp_path, "train")) == 0
    for folder in source.training[:1]:
        paint(tmp_path / folder / "a.png")
        assert source().open(tmp_path, "train").names == ["a"]
        assert source().open(tmp_path, "test").names == ["1", "2"]


@pytest.mark.oracle("dataset", "train400")
def test_train400_is_for_training(tmp_path):
    paint(tmp_path / "Train400" / "a.png")
    assert [len(Train400().open(tmp_path, split)) for split in ("train", "validation", "test")] == [1, 0, 0]


@pytest.mark.oracle("dataset", "cc15")
def test_cc15_pairs_noise_with_its_mean(tmp_path):
    for camera, noisy, mean in (("5dmark3_iso3200_1", 10, 20), ("d800_iso1600_2", 30, 40)):
        paint(tmp_path / "cc15" / f"{camera}_real.png", level=noisy)
        paint(tmp_path / "cc15" / f"{camera}_mean.png", level=mean)
    pictures = CC15().open(tmp_path, "test")
    assert pictures.names == ["5dmark3_iso3200_1", "d800_iso1600_2"]
    assert [round(float(p[0, 0, 0]) * 255) for p in (pictures[1].observed, pictures[1].target)] == [30, 40]
    (tmp_path / "cc15" / "d800_iso1600_2_mean.png").unlink()
    with pytest.raises(UsageError, match=r"d800_iso1600_2_real\.png has no"):
        CC15().open(tmp_path, "test")


@pytest.mark.skipif(not DATA, reason="needs the real data sets: set GANBENCH_DATA")
@pytest.mark.parametrize(("source", "test", "train"), [(BSD68, 68, 400), (Set12, 12, 400)])
def test_real_counts(source, test, train):
    from pathlib import Path

    assert [source().count(Path(DATA), split) for split in ("test", "train")] == [test, train]
