"""Content losses against NumPy; the perceptual loss against a network built by hand."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench import registry
from bench.errors import Unavailable, UsageError

SQUEEZENET = Path(os.environ.get("GANBENCH_DATA", "")) / "weights/squeezenet1_0_imagenet_rgb01.safetensors"
RNG = np.random.default_rng(0)
A, B = RNG.uniform(-1, 1, (2, 2, 3, 32, 32)).astype(np.float32)


@pytest.mark.oracle("content", "charbonnier", "l1", "mse")
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("l1", np.abs(A - B).mean()),
        ("mse", ((A - B) ** 2).mean()),
        ("charbonnier", np.sqrt((A - B) ** 2 + 1e-6).mean()),
        ("charbonnier[eps=0.5]", np.sqrt((A - B) ** 2 + 0.25).mean()),
    ],
)
def test_pixel_losses_agree_with_numpy(spec, expected):
    assert registry.make("content", spec)(torch.from_numpy(A), torch.from_numpy(B)).item() == pytest.approx(float(expected), rel=1e-5)


def test_random_vgg19_is_conv3_3_before_its_relu():
    loss = registry.make("content", "perceptual[net=random_vgg19]")
    kinds = [type(m) for m in loss._features]
    assert len(kinds) == 15
    assert kinds[-1] is nn.Conv2d
    assert kinds.count(nn.MaxPool2d) == 2
    a, b = torch.from_numpy(A), torch.from_numpy(B)
    assert loss.features(a).shape == (2, 256, 8, 8)
    assert loss(a, b).item() == pytest.approx(float(((loss.features(a) - loss.features(b)) ** 2).mean()))


def test_random_vgg19_neither_vanishes_nor_explodes():
    loss = registry.make("content", "perceptual[net=random_vgg19]")
    power = loss.features(torch.from_numpy(A)).square().mean().item()
    assert 0.1 < power / float((A**2).mean()) < 10


def test_random_vgg19_follows_its_seed_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, again, other = (registry.make("content", f"perceptual[net=random_vgg19,layer=2,seed={s}]")._features for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first[0].weight, again[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)


def test_gradients_reach_the_image_and_no_weight():
    loss = registry.make("content", "perceptual[net=random_vgg19,layer=4]")
    x_hat = torch.from_numpy(A).requires_grad_()
    loss(x_hat, torch.from_numpy(B)).backward()
    assert x_hat.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in loss._features.parameters())


def test_normalisation_is_imagenets():
    raw, normalised = (registry.make("content", f"perceptual[net=random_vgg19,layer=2,normalize={flag}]") for flag in ("false", "true"))
    mean, std = (np.array(v, dtype=np.float32).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    assert torch.allclose(normalised.features(torch.from_numpy(A)), raw.features(torch.from_numpy(((A + 1) / 2 - mean) / std)), atol=1e-5)


def test_missing_weights_are_said_to_be_missing(monkeypatch, tmp_path):
    for name in ("GANBENCH_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("GANBENCH_DATA", raising=False)
    with pytest.raises(Unavailable, match="vgg19"):
        registry.make("content", "perceptual")


@pytest.mark.parametrize(
    "spec", ["perceptual[net=random_vgg19,layer=99]", "perceptual[net=squeezenet,normalize=true]", "perceptual[net=resnet]"]
)
def test_bad_options_are_refused(spec):
    with pytest.raises(UsageError, match="perceptual"):
        registry.make("content", spec)


@pytest.mark.oracle("content", "perceptual")
def test_vgg_weights_are_read_by_torchvisions_keys(monkeypatch):
    from torchvision.models import vgg

    torch.manual_seed(0)
    whole = vgg.make_layers(vgg.cfgs["E"])
    monkeypatch.setattr("bench.external.weights.load_state_dict", lambda name: {f"features.{k}": v for k, v in whole.state_dict().items()})
    x = torch.from_numpy(A)
    assert torch.allclose(registry.make("content", "perceptual[net=vgg19]").features(x), whole[:15](x))


@pytest.mark.skipif(not SQUEEZENET.is_file(), reason="GANBENCH_DATA has no SqueezeNet weights")
def test_squeezenet_sees_rgb_in_unit_range():
    from safetensors.torch import load_file
    from torchvision.models import squeezenet1_0

    net = squeezenet1_0().eval()
    net.load_state_dict({k: v.float() for k, v in load_file(SQUEEZENET).items()})
    x = torch.from_numpy(A)
    with torch.no_grad():
        assert torch.allclose(registry.make("content", "perceptual[net=squeezenet]").features(x), net.features[:5]((x + 1) / 2), atol=1e-4)
