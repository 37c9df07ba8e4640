"""Networks that papers brought along: parameter counts on the meta device, shapes, ranges, initialisation."""

import pytest
import torch
from torch import nn

from bench import registry
from bench.conformance import checks
from bench.errors import Unavailable
from methods.gan import dcgan, dcgan_keras
from methods.gan._pictures import coarsest
from methods.gan._resnet import ResNetGenerator, resnet_critic
from methods.networks.backbones import MLPGenerator, mlp_critic


def _count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.fixture
def meta():
    with torch.device("meta"):
        yield


@pytest.mark.parametrize(
    ("width", "kernel", "unit_norm", "generator", "critic"), [(128, 5, True, 18_885_760, 17_232_768), (64, 4, False, 3_576_704, 2_765_568)]
)
def test_parameters_of_dcgan(meta, width, kernel, unit_norm, generator, critic):
    G, D = dcgan._Generator(100, (3, 64, 64), width, kernel, unit_norm), dcgan._critic((3, 64, 64), width, kernel)
    assert (_count(G), _count(D)) == (generator, critic)
    assert D(G(torch.empty(2, 100))).shape == (2,)
    assert G(torch.empty(2, 100)).shape == (2, 3, 64, 64)


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 16, 16), (1, 8, 8)])
def test_dcgan_draws_every_side_in_the_unit_range(shape, kernel):
    torch.manual_seed(0)
    G, D = dcgan._Generator(5, shape, 4, kernel, True), dcgan._critic(shape, 4, kernel)
    y = G(10 * torch.randn(3, 5))
    assert y.shape == (3, *shape)
    assert 0 <= y.min() < 0.5 < y.max() <= 1
    assert D(y).shape == (3,)


def test_dcgan_starts_from_narrow_gaussians():
    m = checks.make("dcgan", ngf=64, ndf=64)  # PyTorch's own would be 0.014
    for network in (m.G, m.D):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.weight.numel() > 5000:
                assert layer.weight.std().item() == pytest.approx(0.02, abs=0.001)
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                assert layer.weight.mean().item() == pytest.approx(1, abs=0.01)
                assert layer.weight.std().item() == pytest.approx(0.02, abs=0.005)


def test_no_batch_norm_at_the_ends_of_dcgan():
    G, D = dcgan._Generator(5, (3, 32, 32), 4, 5, True), dcgan._critic((3, 32, 32), 4, 5)
    assert [type(m).__name__ for m in G.net][-2:] == ["ConvTranspose2d", "Tanh"]
    assert [type(m).__name__ for m in D.body][:2] == ["Conv2d", "LeakyReLU"]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in D.body) == 2


def test_parameters_of_the_keras_example(meta):
    G, D = dcgan_keras._Generator(100, (1, 28, 28), 256, 0.4), dcgan_keras._critic((1, 28, 28), 64, 0.4)
    averages = sum(b.numel() for b in G.buffers() if b.dim())
    assert (_count(G), _count(G) + averages, _count(D)) == (2_368_705, 2_394_241, 4_311_553)
    assert G(torch.empty(2, 100)).shape == (2, 1, 28, 28)
    assert D(torch.empty(2, 1, 28, 28)).shape == (2,)


def test_keras_counts_the_momentum_of_batch_norm_from_the_other_side():
    G = dcgan_keras._Generator(5, (1, 8, 8), 16, 0.0)
    assert {(m.momentum, m.eps) for m in G.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)} == {(0.1, 1e-3)}


def test_parameters_of_wgan_gp(meta):
    up = 2 * 128 + 128 * 128 * 9 + 2 * 128 + (128 * 128 * 9 + 128) + (128 * 128 + 128)
    same, first = 2 * (128 * 128 * 9 + 128), (3 * 9 * 128 + 128) + (128 * 128 * 9 + 128) + (3 * 128 + 128)
    G, D = ResNetGenerator(128, (3, 32, 32)), resnet_critic((3, 32, 32))
    assert _count(G) == (128 + 1) * 2048 + 3 * up + 2 * 128 + 128 * 3 * 9 + 3
    assert _count(D) == first + (same + 128 * 128 + 128) + 2 * same + 129
    assert G(torch.empty(2, 128)).shape == (2, 3, 32, 32)
    assert D(torch.empty(2, 3, 32, 32)).shape == (2,)


def test_parameters_of_the_networks_for_points(meta):
    assert (_count(MLPGenerator(2, (2,), (512,) * 3)), _count(mlp_critic((2,), (512,) * 3))) == (527_874, 527_361)


def test_the_residual_critic_treats_samples_separately():
    m = checks.make("wgan_gp", network="resnet", dim=4)
    x = torch.rand(3, 1, 16, 16)
    assert torch.allclose(m.D(x), torch.cat([m.D(x[i : i + 1]) for i in range(3)]), atol=1e-6)
    y = m.sample(5)
    assert y.shape == (5, 1, 16, 16)
    assert 0 <= y.min() <= y.max() <= 1


def test_parameters_of_infogan(meta):
    m = registry.make("method", "infogan")(_Shape((1, 28, 28)))
    assert [_count(n) for n in (m.G, m.D.body, m.D.head, m.Q)] == [6_652_481, 6_558_144, 1_025, 133_262]
    assert m.G(torch.empty(2, 74)).shape == (2, 1, 28, 28)
    assert m.Q(m.D.represent(torch.empty(2, 1, 28, 28))).shape == (2, 14)


@pytest.mark.parametrize(
    ("side", "expected"),
    [(64, (4, 4)), (32, (4, 3)), (28, (7, 2)), (16, (4, 2)), (8, (4, 1)), (4, (4, 0)), (30, (15, 1))],
)
def test_coarsest_map_and_doublings(side, expected):
    assert coarsest((1, side, side)) == expected


class _Shape:
    """A task that offers nothing but the shape of its samples."""

    device, z_dim = torch.device("cpu"), 8

    def __init__(self, shape):
        self.shape = shape

    def generator(self):
        return MLPGenerator(self.z_dim, self.shape)

    def critic(self, outputs=1):
        return mlp_critic(self.shape, outputs=outputs)


@pytest.mark.parametrize(
    ("method", "shape"),
    [("dcgan", (2,)), ("dcgan_keras", (2,)), ("dcgan_keras", (1, 30, 30)), ("wgan_gp[network=resnet]", (2,)), ("infogan", (3, 8, 16)),
     ("virtual_batchnorm_gan", (2,))],
)  # fmt: skip
def test_a_task_that_a_network_cannot_serve_is_skipped_with_the_reason(method, shape):
    with pytest.raises(Unavailable, match=r"square pictures|batch norm"):
        registry.make("method", method)(_Shape(shape))


@pytest.mark.parametrize("method", ["gan", "wgan", "wgan_gp", "lsgan", "fgan", "infogan", "feature_matching_gan", "label_smoothing_gan"])
def test_points_are_drawn_too(method):
    torch.manual_seed(0)
    assert registry.make("method", method)(_Shape((2,))).sample(5).shape == (5, 2)
