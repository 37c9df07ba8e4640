"""The dynamics of a game against closed forms on linear games, two ways to a spectrum against each other, the command on a tiny run."""

import math
import shutil
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import runner
from bench import registry
from bench.analysis.game_dynamics import Game, Spectrum, spectrum
from bench.conformance import checks
from bench.errors import UsageError
from bench.method import Samples
from bench.spec import Spec
from methods.networks.backbones import MLPGenerator, mlp_critic
from methods.two_player import TwoPlayer
from runner import main

LINEAR = "wgan[clip=1e9]"
POINT = Samples(torch.zeros(2, 1, dtype=torch.float64))


class Theta(nn.Module):
    def __init__(self, theta):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(theta, dtype=torch.float64))

    def forward(self, z):
        return self.theta.expand(len(z), 1)


class Psi(nn.Module):
    def __init__(self, psi):
        super().__init__()
        self.psi = nn.Parameter(torch.tensor(psi, dtype=torch.float64))

    def forward(self, x):
        return self.psi * x[:, 0]


def make(name, generator, critic, shape=(1,), z_dim=1, **options):
    task = SimpleNamespace(
        shape=shape, z_dim=z_dim, device=torch.device("cpu"), generator=lambda: generator, critic=lambda outputs=1: critic
    )
    return registry.make("method", Spec(name, options))(task)


def dirac(name, theta=0.0, psi=0.0, **options):
    return make(name, Theta(theta), Psi(psi), **options)


def small(name="gan", **options):
    torch.manual_seed(0)
    generator, critic = MLPGenerator(3, (2,), (6,)).double(), mlp_critic((2,), (5,)).double()
    return make(name, generator, critic, (2,), 3, **options), Samples(torch.randn(20, 2).double())


def close(spectrum, *expected):
    found = sorted(spectrum.eigenvalues.tolist(), key=lambda c: (round(c.real, 9), c.imag))
    assert found == [pytest.approx(c, abs=1e-9) for c in sorted(expected, key=lambda c: (c.real, c.imag))]


# -- closed forms
def test_the_bilinear_game_only_rotates():
    s = spectrum(dirac("gan", 0.7, -0.4, adversarial=LINEAR), POINT)
    close(s, 1j, -1j)
    assert s.antisymmetry == 1
    assert s.rotation.tolist() == [1, 1]
    assert not s.attracts
    assert s.largest_step == 0


def test_the_dirac_gan_rotates_by_half_at_its_equilibrium():
    for adversarial in ("saturating", "nonsaturating"):
        close(spectrum(dirac("gan", adversarial=adversarial), POINT), 0.5j, -0.5j)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
def test_consensus_on_the_bilinear_game(gamma):
    s = spectrum(dirac("consensus_gan", adversarial=LINEAR, gamma=gamma), POINT)
    close(s, -gamma + 1j, -gamma - 1j)
    assert s.attracts
    assert s.largest_step == pytest.approx(2 * gamma / (gamma**2 + 1))
    assert s.rotation.tolist() == pytest.approx([1 / math.hypot(1, gamma)] * 2)


def test_unrolling_and_r1():
    a = 0.5  # f = theta psi seen k = 5 steps of 0.1 ahead
    turn = 1j * (1 - a * a) ** 0.5
    close(spectrum(dirac("unrolled_gan", adversarial=LINEAR, k=5, optimizer="sgd[lr=0.1]"), POINT), -a + turn, -a - turn)
    close(spectrum(dirac("r1_gan", gamma=2.0), POINT), -1 - 0.75**0.5, -1 + 0.75**0.5)


def test_no_rotation_without_a_game():
    """Each player alone: the Jacobian is a negative Hessian."""
    m, batch = small()
    m.losses = lambda batch: (m.D(batch.x).square().mean(), m.G(torch.ones(4, 3).double()).square().mean())
    s = spectrum(m, batch)
    assert s.antisymmetry == pytest.approx(0, abs=1e-20)
    assert s.eigenvalues.imag.abs().max() < 1e-9


def test_flat_directions_count_neither_for_nor_against():
    s = Spectrum(torch.tensor([1e-12, -0.5 + 1j, -0.5 - 1j], dtype=torch.complex128), True, None, 1e-8)
    assert len(s.moving) == 2
    assert s.attracts
    assert s.largest_step == pytest.approx(0.8)


# -- the field
def test_the_field_is_minus_each_players_own_gradient():
    m, batch = small()
    game = Game(m, batch, seed=3)
    torch.manual_seed(3)
    torch.set_default_dtype(torch.float64)
    try:
        z = m.z(20)
    finally:
        torch.set_default_dtype(torch.float32)
    real, fake = m.D(batch.x), m.D(m.G(z))
    d = torch.autograd.grad(-real.sigmoid().log().mean() - (1 - fake.sigmoid()).log().mean(), list(m.D.parameters()), retain_graph=True)
    g = torch.autograd.grad(-fake.sigmoid().log().mean(), list(m.G.parameters()))
    assert game.field.tolist() == pytest.approx([-x for t in (*d, *g) for x in t.flatten().tolist()], abs=1e-12)
    norms = [math.sqrt(sum(float(t.square().sum()) for t in side)) for side in (d, g)]
    assert game.gradient_norms == pytest.approx(norms)
    assert game.sizes == (sum(t.numel() for t in d), sum(t.numel() for t in g))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gan", {}), ("consensus_gan", {}), ("r2_gan", {}), ("wgan_gp", {}), ("js_reg_gan", {}), ("feature_matching_gan", {}),
        ("gradient_regularized_gan", {}), ("historical_averaging_gan", {}), ("unrolled_gan", {"k": 2, "optimizer": "sgd[lr=0.1]"}),
        ("fgan", {"divergence": "jeffrey"}), ("instance_noise_gan", {}),
    ],
)  # fmt: skip
def test_the_jacobian_against_finite_differences(name, options):
    """Also where a loss detaches what depends on the other player."""
    m, batch = small(name, **options)
    jacobian = Game(m, batch).jacobian()
    weights = [*m.D.parameters(), *m.G.parameters()]
    start = nn.utils.parameters_to_vector(weights).detach()
    direction = torch.randn(len(start), generator=torch.Generator().manual_seed(0)).double()
    fields = []
    for e in (1e-6, -1e-6):
        nn.utils.vector_to_parameters(start + e * direction, weights)
        fields.append(Game(m, batch).field.detach())
    slope = (fields[0] - fields[1]) / 2e-6
    assert (jacobian @ direction - slope).norm() < 1e-5 * slope.norm()


def test_third_derivatives_of_batch_norm():
    m = checks.make("consensus_gan")  # its toy generator has batch norm
    for network in m.modules().values():
        network.double()
    batch = Samples(m.task.batch(6, torch.Generator().manual_seed(1)).x.double())
    weights = [*m.D.parameters(), *m.G.parameters()]
    start, game = nn.utils.parameters_to_vector(weights).detach(), Game(m, batch)
    u, direction = torch.randn(2, len(start), generator=torch.Generator().manual_seed(0)).double()
    fields = []
    for e in (1e-7, -1e-7):
        nn.utils.vector_to_parameters(start + e * direction, weights)
        fields.append(Game(m, batch).field.detach())
    assert (game.pull(u) @ direction).item() == pytest.approx(((fields[0] - fields[1]) / 2e-7 @ u).item(), rel=1e-5)


def test_the_field_is_the_same_with_torchs_own_batch_norm():
    m = checks.make("gan")
    batch = m.task.batch(6, torch.Generator().manual_seed(1))
    game = Game(m, batch)
    torch.manual_seed(0)
    d = torch.autograd.grad(m.losses(batch)[0], list(m.D.parameters()))
    assert torch.allclose(game.field[: game.sizes[0]], -torch.cat([g.flatten() for g in d]), atol=1e-5)


def test_consensus_steps_along_the_field():
    m, batch = small("consensus_gan", optimizer="sgd[lr=0.1]", gamma=0.7)
    z = torch.randn(20, 3).double()
    m.fake = lambda n: m.G(z)
    weights = [*m.D.parameters(), *m.G.parameters()]
    before, field = nn.utils.parameters_to_vector(weights).detach(), Game(m, batch).field.detach()
    next(m.train(iter([batch])))
    after = nn.utils.parameters_to_vector(weights).detach()
    assert torch.allclose(after - before, 0.1 * field, atol=1e-12)


def test_in_a_zero_sum_game_the_players_see_each_other_with_opposite_signs():
    m, batch = small(adversarial="saturating")
    game = Game(m, batch)
    n = game.sizes[0]
    jacobian = game.jacobian()
    assert jacobian[:n, n:].norm() > 0.1
    assert torch.allclose(jacobian[:n, n:], -jacobian[n:, :n].T, atol=1e-12)


# -- exact against Krylov
@pytest.mark.parametrize("name", ["gan", "consensus_gan"])
def test_krylov_finds_the_leading_eigenvalues(name):
    m, batch = small(name, adversarial="saturating")
    every, leading = (spectrum(m, batch, exact=exact, leading=4) for exact in (True, False))
    assert (every.exact, leading.exact) == (True, False)
    assert len(leading.eigenvalues) < len(every.eigenvalues)
    for value in leading.eigenvalues:
        assert (every.eigenvalues - value).abs().min() < 1e-8
    for most in (lambda s: s.eigenvalues.abs().max(), lambda s: s.eigenvalues.real.max(), lambda s: s.eigenvalues.imag.max()):
        assert most(leading).item() == pytest.approx(most(every).item(), abs=1e-8)
    assert leading.antisymmetry is None
    pairs = leading.eigenvalues[leading.eigenvalues.imag.abs() > 1e-9]
    assert all((pairs - value.conj()).abs().min() < 1e-8 for value in pairs)
    distances = (leading.eigenvalues[:, None] - leading.eigenvalues).abs() + torch.eye(len(leading.eigenvalues))
    assert distances.min() > 1e-8


def test_krylov_needs_room():
    m, batch = small()
    with pytest.raises(UsageError, match="too small for Krylov"):
        spectrum(m, batch, exact=False, leading=40)


# -- the whole registry
GAMES = [
    name for name in registry.names("method") if isinstance(part := registry.find("method", name), type) and issubclass(part, TwoPlayer)
]


@pytest.mark.parametrize("name", GAMES)
def test_every_two_player_method_has_a_field_and_looking_at_it_changes_nothing(name):
    options = {"init": "default"} if name == "virtual_batchnorm_gan" else {}
    m = checks.make(name, **options)
    batch = m.task.batch(4, torch.Generator().manual_seed(1))
    m.prepare(iter(lambda: m.task.batch(64, torch.Generator().manual_seed(1)), None))
    state, random = checks.fingerprint(m), torch.get_rng_state()
    game, again = Game(m, batch), Game(m, batch)
    assert checks.fingerprint(m) == state
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(game.field, again.field)
    assert all(0 < norm < math.inf for norm in game.gradient_norms)


class Refuses(torch.autograd.Function):
    """The identity, without a derivative."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        raise RuntimeError("no more")


class Once(Refuses):
    """The identity, with one derivative."""

    @staticmethod
    def backward(ctx, g):
        return Refuses.apply(g)


def test_what_is_no_game_and_what_torch_cannot_differentiate():
    with pytest.raises(UsageError, match="UNet is no game of two players"):
        Game(checks.make("unet"), None)
    m, batch = small()
    m.generate = lambda z: Once.apply(m.G(z))
    with pytest.raises(UsageError, match="the game has gradients but no spectrum: no more"):
        spectrum(m, batch)


# -- the command
@pytest.fixture(scope="module")
def runs(tmp_path_factory, database):
    out = tmp_path_factory.mktemp("diagnose") / "runs"
    out.mkdir()
    shutil.copy(database, out / "mlflow.db")
    words = ["--suite", "toy2d", "--tier", "smoke", "--methods", "gan", "vae", "gan[steps=0]", "--out", str(out), "--device", "cpu"]
    assert main([*words, "--set", "width=4", "metrics=('modes',)", "watched=1"]) == 0
    from bench.store.mlflow_store import Store

    return out, {tags["label"]: trial for trial, tags in Store("toy2d", out).trials().items()}


def test_diagnose(runs, capsys):
    out, trials = runs
    assert main(["diagnose", trials["gan"], "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("gan, suite toy2d, tier smoke, seed 0: update 8, 16 real samples")
    assert [line.split()[0] for line in lines[1:4]] == ["weights", "gradients", "eigenvalues"]
    assert lines[-1].startswith("verdict      simultaneous gradient descent would")


def test_diagnose_looks_at_the_recorded_weights(runs, monkeypatch):
    from safetensors.torch import load_file

    from bench.commands import diagnose
    from bench.store.mlflow_store import Store

    out, trials = runs
    seen = []
    monkeypatch.setattr(diagnose, "_print", lambda console, game, spectrum: seen.append(game))
    main(["diagnose", trials["gan"], "--out", str(out), "--samples", "5"])
    training = Store("toy2d", out).trials()[trials["gan"]]["training_id"]
    recorded = load_file(out / "toy2d" / "trials" / training / "record" / "last.safetensors")
    recorded = {key: value for key, value in recorded.items() if value.dim()}  # the tensors of networks, but for those of an average
    weights = torch.cat([w.flatten() for w in seen[0]._weights])
    assert weights.dtype == torch.float64
    expected = torch.cat([recorded[key].flatten() for key in sorted(recorded)])
    assert sorted(weights.tolist()) == pytest.approx(sorted(expected.double().tolist()))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nonsense"], "'nonsense' is neither a trial's id"),
        (["0123456789abcdef"], "no finished run 0123456789abcdef on record"),
        (["0123456789abcdef0123456789abcdef"], "no finished run 0123456789abcdef0123456789abcdef on record"),
        (["vae"], "vae is no game of two players"),
        (["gan[steps=0]"], r"left no weights: it is recorded as finished"),
        (["gan", "--samples", "1"], "--samples 1: give at least 2"),
    ],
)
def test_diagnose_tells_what_is_wrong(runs, capsys, words, says):
    out, trials = runs
    assert main(["diagnose", trials.get(words[0], words[0]), *words[1:], "--out", str(out)]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: ")
    assert complaint.count("\n") == 1
    assert says in complaint


def test_diagnose_without_a_store(tmp_path, capsys):
    assert runner.main(["diagnose", "0123456789abcdef", "--out", str(tmp_path)]) == 2
    assert "nothing on record below" in capsys.readouterr().err


def test_weights_that_blew_up_are_told():
    with pytest.raises(UsageError, match="not finite"):
        Game(dirac("gan", math.inf, math.nan), POINT)
