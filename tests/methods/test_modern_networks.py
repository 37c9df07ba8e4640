"""Networks of later papers: as many parameters as theirs, identities at the start, and their layers' own laws."""

import pytest
import torch

from bench import registry
from bench.conformance import checks
from bench.method import Batch
from methods.gan import sngan
from methods.gan._resnext import Block, Down, ResNeXtCritic, ResNeXtGenerator, Up
from methods.networks.nafnet import NAFBlock, NAFNetwork
from methods.networks.spectral import SpectralLinear, normalised
from methods.restoration import drunet, edsr, ffdnet


def count(network):
    return sum(p.numel() for p in network.parameters())


# -- NAFNet
@pytest.mark.parametrize(
    ("width", "encoder", "middle", "decoder", "parameters"),
    [
        (32, (1, 1, 1, 28), 1, (1, 1, 1, 1), 17_111_907),
        (16, (1, 1, 1, 28), 1, (1, 1, 1, 1), 4_347_827),
        (32, (2, 2, 4, 8), 12, (2, 2, 2, 2), 29_159_715),
    ],
)
def test_nafnet_is_as_large_as_the_authors(width, encoder, middle, decoder, parameters):
    with torch.device("meta"):
        assert count(NAFNetwork(3, width, encoder, middle, decoder)) == parameters


def test_nafnet_starts_from_the_identity():
    x = torch.rand(2, 4, 8, 8)
    assert torch.equal(NAFBlock(4)(x), x)
    network, picture = NAFNetwork(3, 4, (1, 1), 1, (1, 1)), torch.rand(1, 3, 8, 12)
    torch.nn.init.zeros_(network.ending.weight)
    torch.nn.init.zeros_(network.ending.bias)
    assert torch.equal(network(picture), picture)


def test_nafnet_descends_minus_the_psnr():
    m = checks.make("nafnet")
    batch = m.task.batch(3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        psnr = registry.make("metric", "psnr[quantize=none]")(m._apply(batch.observed), batch.truth)
        assert float(m.loss(batch)) == pytest.approx(-float(psnr.mean()), abs=1e-3)


def test_nafnets_gradients_are_shortened():
    m = checks.make("nafnet", clip=1e-3)
    next(m.train(iter([m.task.batch(2, torch.Generator().manual_seed(0))])))
    norm = torch.stack([p.grad.norm() for p in m.G.parameters() if p.grad is not None]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


# -- EDSR
@pytest.mark.parametrize(("scale", "parameters"), [(2, 1_369_859), (3, 1_554_499), (4, 1_517_571)])
def test_edsr_is_as_large_as_the_authors(scale, parameters):
    network = edsr._Network(scale, 64, 16, 1.0)
    assert count(network) == parameters
    small = edsr._Network(scale, 4, 1, 1.0)
    assert small(torch.rand(1, 3, 5, 7)).shape == (1, 3, 5 * scale, 7 * scale)


def test_edsr_draws_the_mean_colour_where_it_knows_nothing():
    network = edsr._Network(2, 4, 1, 1.0)
    torch.nn.init.zeros_(network.tail[1].weight)
    torch.nn.init.zeros_(network.tail[1].bias)
    colour = network(torch.rand(1, 3, 4, 4)).amax((0, 2, 3))
    torch.testing.assert_close(colour, torch.tensor(edsr._MEAN))


def test_edsrs_names_are_those_of_its_code():
    names = set(edsr._Network(4, 4, 2, 1.0).state_dict())
    assert {"head.0.weight", "body.0.body.0.weight", "body.1.body.2.bias", "body.2.weight", "tail.0.0.weight", "tail.0.2.bias"} <= names


# -- FFDNet and DRUNet
@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (lambda: ffdnet._Network(1, 15, 64), 485_316),
        (lambda: ffdnet._Network(3, 12, 96), 852_108),
        (lambda: drunet._Network(1, 64, 4), 32_638_656),
        (lambda: drunet._Network(3, 64, 4), 32_640_960),
    ],
)
def test_denoisers_are_as_large_as_the_authors(network, parameters):
    with torch.device("meta"):
        assert count(network()) == parameters


def test_a_network_without_biases_knows_no_scale():
    torch.manual_seed(0)
    network, x = drunet._Network(1, 4, 1).double(), torch.rand(1, 1, 16, 24, dtype=torch.float64)
    torch.testing.assert_close(network(3 * x, 0.3), 3 * network(x, 0.1))


@pytest.mark.parametrize("name", ["ffdnet", "drunet"])
@pytest.mark.parametrize("side", [15, 16])
def test_denoisers_hear_the_level_and_take_any_side(name, side):
    m = checks.make(name)
    x = torch.rand(1, 3, side, side + 1)
    quiet, loud = (m.restore(Batch(x, x, sigma=sigma)) for sigma in (0.0, 0.5))
    assert quiet.shape == x.shape
    assert not torch.equal(quiet, loud)


def test_ffdnets_odd_sides_go_on_with_their_last_pixels():
    torch.manual_seed(0)
    network, x = ffdnet._Network(1, 3, 4), torch.rand(1, 1, 7, 7)
    whole = network(torch.nn.functional.pad(x, (0, 1, 0, 1), mode="replicate"), 0.1)
    torch.testing.assert_close(network(x, 0.1), whole[..., :7, :7])


# -- SNGAN
def test_sngan_is_as_large_as_table_3():
    assert count(sngan._Generator(128, (3, 32, 32), 64)) == 3_812_355
    assert count(sngan._critic((3, 32, 32), 64)) == 2_935_873


def test_the_power_iteration_finds_the_largest_singular_value():
    w, u = torch.diag(torch.tensor([3.0, 1.0], dtype=torch.float64)), torch.tensor([0.6, 0.8], dtype=torch.float64)
    for _ in range(20):
        normalised(w, u, step=True)
    torch.testing.assert_close(normalised(w, u, step=False), w / 3)


def test_gradients_of_a_normalised_weight_are_those_of_w_over_its_norm():
    torch.manual_seed(0)
    w = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    u, probe = torch.randn(5, dtype=torch.float64), torch.randn(5, 7, dtype=torch.float64)
    for _ in range(200):
        normalised(w, u, step=True)
    ours = torch.autograd.grad((normalised(w, u, step=True) * probe).sum(), w)
    theirs = torch.autograd.grad((w / torch.linalg.matrix_norm(w, 2) * probe).sum(), w)
    torch.testing.assert_close(ours, theirs)


def test_a_critic_of_normalised_layers_stretches_nothing():
    torch.manual_seed(0)
    critic = torch.nn.Sequential(
        SpectralLinear(3, 16), torch.nn.LeakyReLU(0.1), SpectralLinear(16, 16), torch.nn.ReLU(), SpectralLinear(16, 1)
    )
    for _ in range(100):
        critic(torch.zeros(1, 3))
    a, b = torch.randn(2, 500, 3)
    assert ((critic.eval()(a) - critic(b)).abs().squeeze(1) <= (a - b).norm(dim=1) * (1 + 1e-5)).all()


def test_evaluation_leaves_the_iteration_alone():
    layer = SpectralLinear(3, 4)
    before = layer.u.clone()
    layer.eval()(torch.randn(2, 3))
    assert torch.equal(layer.u, before)
    layer.train()(torch.randn(2, 3))
    assert not torch.equal(layer.u, before)


# -- R3GAN
def test_r3gan_is_as_large_as_the_authors():
    with torch.device("meta"):
        G, D = ResNeXtGenerator(64, (3, 32, 32), 768, 2), ResNeXtCritic((3, 32, 32), 768, 2)
    assert (count(G), count(D)) == (20_732_160, 20_683_776)


def test_r3gans_blocks_start_as_identities_and_small():
    torch.manual_seed(0)
    x, block = torch.randn(2, 64, 4, 4), Block(64, total=16)
    assert torch.equal(block(x), x)
    for layer, fan_in in ((block.expand, 64), (block.mix, 16 * 9)):
        assert float(layer.weight.detach().std()) == pytest.approx((2 / 1.04 / fan_in) ** 0.5 / 2, rel=0.03)  # 16^(-1/4) = 1/2


def test_r3gans_resampling_keeps_what_is_flat_and_weighs_neighbours():
    ramp = torch.arange(6.0).expand(1, 1, 6, 6).clone()
    up, down = Up(1)(ramp), Down(1)(ramp)
    assert up.shape == (1, 1, 12, 12)
    assert up[0, 0, 2, :11].tolist() == [x / 2 for x in range(11)]  # beyond the border is nothing
    assert down.shape == (1, 1, 3, 3)
    assert down[0, 0, 1, 1:].tolist() == [2.0, 4.0]
    flat = torch.ones_like(ramp)
    assert (Up(1)(flat)[..., :11, :11] == 1).all()
    assert (Down(1)(flat)[..., 1:, 1:] == 1).all()


@pytest.mark.parametrize("side", [8, 14, 28])
def test_r3gan_draws_every_side(side):
    m = checks.make("r3gan")
    m.G, m.D = ResNeXtGenerator(m.task.z_dim, (1, side, side), 8, 1), ResNeXtCritic((1, side, side), 8, 1)
    y = m.sample(3)
    assert y.shape == (3, 1, side, side)
    assert 0 <= y.min() < y.max() <= 1
    assert m.D(y).shape == (3,)


def test_r3gan_plays_the_pairing_game_and_penalises_both_sides():
    """D(x) = <a, x> on pictures in [0, 1]: its gradient in [-1, 1] is a / 2."""
    m = checks.make("r3gan", gamma=0.3, gamma_end=0.1, steps=2)
    batch = m.task.batch(4, torch.Generator().manual_seed(0))
    a, y = torch.randn(batch.x[0].numel()), torch.rand_like(batch.x)
    m.D, m.fake = lambda x: x.flatten(1) @ a, lambda n: y
    game = torch.nn.functional.softplus((y - batch.x).flatten(1) @ a).mean()
    for t, gamma in ((0, 0.3), (1, 0.2), (2, 0.1)):
        m.t = t
        torch.testing.assert_close(m.critic_loss(batch), game + gamma / 2 * 2 * a.square().sum() / 4)
    torch.testing.assert_close(m.generator_loss(batch), torch.nn.functional.softplus((batch.x - y).flatten(1) @ a).mean())


def test_points_of_r3gan_are_neither_scaled_nor_cut():
    m = checks.make("r3gan", gamma=2.0)
    m.D = lambda x: 3 * x[:, 0]
    assert float(m.penalty(torch.zeros(5, 2))) == pytest.approx(9)


@pytest.mark.parametrize("options", [{"width": 12}, {"width": 4}, {"blocks": 0}])
def test_r3gans_groups_fill_its_blocks(options):
    with pytest.raises(ValueError, match="width must be a multiple of 8 and blocks >= 1"):
        checks.make("r3gan", **options)
