"""Networks of later papers: as many parameters as theirs, identities at the start, and their layers' own laws."""

import pytest
import torch
import torch.nn.functional as F

from bench import registry
from bench.conformance import checks
from bench.method import Batch
from methods.gan import sngan
from methods.gan._resnext import Block, Down, ResNeXtCritic, ResNeXtGenerator, Up
from methods.networks.nafnet import NAFBlock, NAFNetwork
from methods.networks.spectral import SpectralLinear, normalised
from methods.restoration import drunet, edsr, ffdnet


def seeded(network):
    """The network with every weight drawn anew, gains and biases too, in float64; and its weights as a function of their names."""
    rng = torch.Generator().manual_seed(0)
    for x in network.parameters():
        x.data = 0.3 * torch.randn(x.shape, generator=rng, dtype=torch.float64)
    return network, network.state_dict().__getitem__


def convolved(w, name, x, **options):
    """One layer of a network's weights, with its bias where it has one."""
    try:
        bias = w(f"{name}.bias")
    except KeyError:
        bias = None
    return F.conv2d(x, w(f"{name}.weight"), bias, **options)


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


def naf_block(w, name, x):
    def norm(x, which):
        mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)
        gain, offset = (w(f"{name}.{which}.{part}")[:, None, None] for part in ("weight", "bias"))
        return (x - mean) / (variance + 1e-6).sqrt() * gain + offset

    c = x.shape[1]
    h = convolved(w, f"{name}.conv2", convolved(w, f"{name}.conv1", norm(x, "norm1")), padding=1, groups=2 * c)
    h = h[:, :c] * h[:, c:]
    h = h * convolved(w, f"{name}.sca.1", h.mean((2, 3), keepdim=True))
    x = x + w(f"{name}.beta") * convolved(w, f"{name}.conv3", h)
    h = convolved(w, f"{name}.conv4", norm(x, "norm2"))
    return x + w(f"{name}.gamma") * convolved(w, f"{name}.conv5", h[:, :c] * h[:, c:])


def test_nafnet_written_out():
    network, w = seeded(NAFNetwork(3, 4, (1, 1), 1, (1, 1)))
    x = torch.rand(2, 3, 8, 12, dtype=torch.float64)
    one = naf_block(w, "encoders.0.0", convolved(w, "intro", x, padding=1))
    two = naf_block(w, "encoders.1.0", convolved(w, "downs.0", one, stride=2))
    h = naf_block(w, "middle_blks.0", convolved(w, "downs.1", two, stride=2))
    h = naf_block(w, "decoders.0.0", F.pixel_shuffle(convolved(w, "ups.0.0", h), 2) + two)
    h = naf_block(w, "decoders.1.0", F.pixel_shuffle(convolved(w, "ups.1.0", h), 2) + one)
    torch.testing.assert_close(network(x), x + convolved(w, "ending", h, padding=1))


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


def test_edsr_written_out():
    network, w = seeded(edsr._Network(4, 4, 1, 0.5))
    x, mean = torch.rand(1, 3, 5, 6, dtype=torch.float64), torch.tensor(edsr._MEAN, dtype=torch.float64)[:, None, None]
    head = convolved(w, "head.0", 255 * (x - mean), padding=1)
    block = convolved(w, "body.0.body.2", convolved(w, "body.0.body.0", head, padding=1).relu(), padding=1)
    h = head + convolved(w, "body.1", head + 0.5 * block, padding=1)
    for name in ("tail.0.0", "tail.0.2"):
        h = F.pixel_shuffle(convolved(w, name, h, padding=1), 2)
    torch.testing.assert_close(network(x), convolved(w, "tail.1", h, padding=1) / 255 + mean)


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


def test_drunet_written_out():
    network, w = seeded(drunet._Network(1, 2, 1))
    x = torch.rand(1, 1, 16, 8, dtype=torch.float64)

    def residual(name, x):
        return x + convolved(w, f"{name}.res.2", convolved(w, f"{name}.res.0", x, padding=1).relu(), padding=1)

    scales = [convolved(w, "m_head", torch.cat([x, torch.full_like(x, 0.1)], 1), padding=1)]
    for name in ("m_down1", "m_down2", "m_down3"):
        scales.append(convolved(w, f"{name}.1", residual(f"{name}.0", scales[-1]), stride=2))
    h = residual("m_body.0", scales[3])
    for name, skip in (("m_up3", scales[3]), ("m_up2", scales[2]), ("m_up1", scales[1])):
        h = residual(f"{name}.1", F.conv_transpose2d(h + skip, w(f"{name}.0.weight"), stride=2))
    torch.testing.assert_close(network(x, 0.1), convolved(w, "m_tail", h + scales[0], padding=1))


def test_ffdnet_written_out():
    network, w = seeded(ffdnet._Network(1, 3, 2))
    x = torch.rand(1, 1, 4, 6, dtype=torch.float64)
    parts = [x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
    h = torch.cat([*parts, torch.full_like(parts[0], 0.2)], 1)
    h = convolved(w, "model.2", convolved(w, "model.0", h, padding=1).relu(), padding=1).relu()
    four, y = convolved(w, "model.4", h, padding=1), torch.empty_like(x)
    for k, (i, j) in enumerate((i, j) for i in (0, 1) for j in (0, 1)):
        y[..., i::2, j::2] = four[:, k : k + 1]
    torch.testing.assert_close(network(x, 0.2), y)


@pytest.mark.parametrize("name", ["ffdnet", "drunet"])
def test_denoisers_are_told_the_level_in_training(name):
    m, x = checks.make(name), torch.rand(2, 3, 8, 8)
    batch = Batch(x, 1 - x, sigma=0.5)
    with torch.no_grad():
        assert float(m.loss(batch)) == pytest.approx(float((m.G(x, 0.5) - (1 - x)).abs().mean()))


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
