"""Eight Gaussians on a ring: a hard one, where a weak critic makes the plain GAN collapse, and an easy one that most methods learn."""

import math
import statistics
from types import SimpleNamespace

import pytest
import torch

from bench import registry
from bench.method import Samples
from bench.spec import Spec
from methods.networks.backbones import MLPGenerator, mlp_critic

ANGLES = torch.arange(8) * math.pi / 4
MODES = 2 * torch.stack([ANGLES.cos(), ANGLES.sin()], 1)  # 8 x 2
ADAM = "adam[lr=1e-3,betas=(0.5,0.999)]"


def _ring(std, rng):
    while True:
        mode = torch.randint(8, (256,), generator=rng)
        yield Samples(MODES[mode] + std * torch.randn(256, 2, generator=rng))


def _samples(name, options, seed, std, z_dim, critic):
    torch.manual_seed(seed)
    task = SimpleNamespace(shape=(2,), z_dim=z_dim, device=torch.device("cpu"), generator=lambda: MLPGenerator(z_dim, (2,)), critic=critic)
    m = registry.make("method", Spec(name, {"optimizer": ADAM, "batch_size": 256, **options}))(task)
    for _ in m.train(_ring(std, torch.Generator().manual_seed(seed))):
        pass
    return m.sample(2500)


def _nearest_modes(y):
    """How many modes are the nearest of at least 20 of 2500 samples."""
    return int((torch.cdist(y, MODES).argmin(1).bincount(minlength=8) >= 20).sum())


def _high_quality(y, std):
    """The modes within three standard deviations of a sample, and the share of samples within as much of a mode."""
    distance, mode = torch.cdist(y, MODES).min(1)
    good = distance < 3 * std
    return len(mode[good].unique()), good.float().mean().item()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "least", "most"),
    [
        ("gan", {"adversarial": "saturating", "steps": 1000}, 0, 4),
        ("unrolled_gan", {"k": 5, "steps": 1000}, 8, 8),
        ("gradient_regularized_gan", {"eta": 0.5, "steps": 2000}, 8, 8),
        ("consensus_gan", {"gamma": 10.0, "optimizer": "rmsprop[lr=1e-3]", "steps": 1000}, 8, 8),
        ("feature_matching_gan", {"steps": 2000}, 8, 8),
    ],
)
def test_collapse_ring(name, options, least, most):
    """Sections 8, 10, 12 and 16: those four reach every mode where the plain saturating GAN does not; median of three seeds."""

    options = {"init": "orthonormal[gain=0.8]", **options}

    def critic(outputs=1):
        return mlp_critic((2,), (128,), outputs, scale=4.0)

    assert least <= statistics.median(_nearest_modes(_samples(name, options, seed, 0.02, 64, critic)) for seed in range(3)) <= most


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("gan", {}), ("gan", {"adversarial": "saturating"}), ("label_smoothing_gan", {}), ("wgan_gp", {"adversarial": "wgan_gp[gp=0.1]"}),
     ("r1_gan", {"gamma": 1.0, "ema": 0.0}), ("r2_gan", {"gamma": 1.0, "ema": 0.0}), ("js_reg_gan", {"gamma": 0.1}),
     ("instance_noise_gan", {"sigma": 0.5}), ("reg_gan", {}), ("mdgan", {"lam": 0.2}), ("feature_matching_gan", {})],
)  # fmt: skip
def test_easy_ring(name, options):
    modes, share = _high_quality(
        _samples(name, {"steps": 3000, **options}, 0, 0.1, 16, lambda outputs=1: mlp_critic((2,), outputs=outputs)),
        0.1,
    )
    assert modes == 8
    assert share > 0.7
