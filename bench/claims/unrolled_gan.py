"""Unrolled Generative Adversarial Networks."""

from __future__ import annotations

import cmath
import math

import torch
from torch import Tensor, nn

from bench import registry
from bench.claim import Finding, Paper, claim
from bench.claims._scalar_game import Scalar, in_the_plane, spectrum_of_field
from bench.claims._tools import jensen_shannon, play, quantiles
from bench.figure import Line, Mark, Panel, Points
from bench.method import Samples
from bench.task import Stream
from methods.networks.backbones import MLPGenerator, mlp_critic

PAPER = Paper(
    title="Unrolled Generative Adversarial Networks",
    authors="Metz, Poole, Pfau, Sohl-Dickstein",
    venue="ICLR 2017",
    year=2017,
    arxiv="1611.02163",
    lesson="Against a fixed critic the generator's best answer is to put everything where the critic is most deceived: one mode, and the "
    "critic then chases it to the next. The theory assumes a critic that is at its best for every generator, which nobody can train "
    "to.\n\n"
    "Between the two lies a generator that looks K critic steps ahead and descends through them: its gradient knows how the critic would "
    "answer. K = 0 is the plain game; as K grows its objective becomes the divergence of the optimal critic. Looking ahead damps the "
    "rotation of the game and keeps the modes.",
)


@claim(
    place="Eq. 5-11, on the bilinear game f = theta psi",
    statement="Each step that the generator looks ahead damps the rotation of the game.",
    predicted="-K eta +- sqrt(K^2 eta^2 - 1): psi^K = psi + K eta theta, hence f_K = theta psi + K eta theta^2",
    how="the Jacobian of `unrolled_gan` with the loss `wgan` and inner steps `sgd[lr=0.1]` at the equilibrium, by differences",
    tolerance=1e-8,
)
def looking_ahead_damps() -> Finding:
    """Eigenvalues by K."""
    pairs, origin = {}, Samples(torch.zeros(2, 1, dtype=torch.float64))
    for k in (0, 1, 3, 5, 8, 12):
        G, D = Scalar(0.0, lambda theta, z: theta.expand(len(z), 1)), Scalar(0.0, lambda psi, x: psi * x[:, 0])
        m = play(f"unrolled_gan[k={k},adversarial='wgan[clip=1e9]',optimizer='sgd[lr=0.1]']", G, D)
        root = cmath.sqrt((0.1 * k) ** 2 - 1)
        pairs[f"K = {k}"] = ((-0.1 * k + root, -0.1 * k - root), spectrum_of_field(m, origin))
    return in_the_plane(pairs)


@claim(
    place="Eq. 8 and 9, K = 0",
    statement="Without steps ahead it is the plain minimax game.",
    predicted="no difference, in any bit",
    how="the largest difference between both players' gradients of `unrolled_gan[k=0]` and `gan[adversarial=saturating]`'s, three times",
)
def no_steps_is_the_plain_game() -> Finding:
    """Bitwise."""
    cases, slopes = {}, []
    for seed in range(3):
        torch.manual_seed(seed)
        G, D, batch = MLPGenerator(8, (2,), (32, 32)), mlp_critic((2,), (32,)), Samples(torch.randn(64, 2))
        ahead = play("unrolled_gan[k=0]", G, D, shape=(2,), z_dim=8)
        plain = play("gan[adversarial=saturating]", G, D, shape=(2,), z_dim=8, fake=(y := ahead.fake(64)))
        pairs = (
            (ahead.critic_loss_on(batch, y.detach()), plain.critic_loss(batch)),
            (ahead.generator_loss_on(batch, y), plain.generator_loss(batch)),
        )
        for player, network, losses in zip(("critic", "generator"), (D, G), pairs):
            slopes = [_gradient(loss, network) for loss in losses]
            cases[f"seed {seed}: {player}"] = (0.0, float((slopes[0] - slopes[1]).abs().max()))
    ends = slopes[0].min(), slopes[0].max()
    marks: list[Mark] = [Line(x=ends, y=ends, label="equal", theory=True), Points(x=slopes[0][::8], y=slopes[1][::8])]
    return Finding(cases, [Panel(marks=marks, x="generator's gradient, K = 0", y="of the plain game", square=True)])


@claim(
    place="Eq. 8, K to infinity",
    statement="The more steps ahead, the closer the generator's objective and its gradient come to those under the optimal critic.",
    predicted="-log 4 + 2 JSD of N(0, 1) and N(theta, 1), and its derivative by theta, by quadrature",
    how="the generator's loss of `unrolled_gan[k=60]` and its derivative by theta; a linear critic from 0, inner steps `sgd[lr=1.5]`",
    tolerance=1e-3,
)
def many_steps_are_the_best_critic() -> Finding:
    """The value and its slope."""
    real, cases = Samples(quantiles(2000)[:, None]), {}
    for theta in (0.5, 1.0, 2.0):
        for name, predicted, found in zip(("value", "slope"), _best(theta), _ahead(60, theta, real)):
            cases[f"theta = {theta:g}: {name}"] = (predicted, found)
    shifts, panels = [0.25 * i for i in range(13)], []
    best = [_best(theta) for theta in shifts]
    curves = {k: [_ahead(k, theta, real) for theta in shifts] for k in (0, 1, 3, 10, 60)}
    for i, name in enumerate(("value", "slope")):
        theory = Line(x=shifts, y=[b[i] for b in best], label="best critic", theory=True)
        lines = [Line(x=shifts, y=[c[i] for c in curve], label=f"K = {k}") for k, curve in curves.items()]
        panels.append(Panel(marks=[theory, *lines], x="theta", y=name))
    return Finding(cases, panels)


@claim(
    place="App. A: eight Gaussians on a ring",
    statement="With a weak critic the plain game keeps a few modes, a generator that looks five steps ahead finds all eight.",
    predicted="at least 8 modes with K = 5; at least 4 of them missed with K = 0",
    how="`modes/nearest` of 2,500 samples of `unrolled_gan` on `toy2d[z_dim=64,critic_layers=1,critic_scale=4]` after 1,000 updates of "
    "256, `adam[lr=1e-3]`, seed 0",
    relation=">=",
    cost="slow",
)
def ring() -> Finding:
    """Modes that are found and missed."""
    task = registry.make("task", "toy2d[z_dim=64,critic_layers=1,critic_scale=4.0]")
    metric, real = task.bind_metric(registry.make("metric", "modes")), task.real("test", 500)
    found, panels = {}, []
    for k in (0, 5):
        torch.manual_seed(0)
        m = registry.make("method", f"unrolled_gan[k={k},steps=1000,batch_size=256,optimizer='adam[lr=1e-3,betas=(0.5,0.999)]']")(task)
        for _ in m.train(Stream(task, 0, 256)):
            pass
        y = m.sample(2500)
        found[k] = float(metric(y, real)["modes/nearest"])
        data = Points(x=real[:300, 0], y=real[:300, 1], label="data", theory=True)
        panels.append(Panel(marks=[data, Points(x=y[:300, 0], y=y[:300, 1], label="samples")], title=f"K = {k}", square=True))
    return Finding({"modes found with K = 5": (8.0, found[5]), "modes missed with K = 0": (4.0, 8 - found[0])}, panels)


def _gradient(loss: Tensor, network: nn.Module) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)])


def _ahead(k: int, theta: float, real: Samples) -> tuple[float, float]:
    """The generator's objective f_K and its derivative, the generator being z + theta, z ~ N(0, 1)."""
    linear = nn.Linear(1, 1, dtype=torch.float64)
    m = play(
        f"unrolled_gan[k={k},optimizer='sgd[lr=1.5]']", Scalar(theta, lambda theta, z: z + theta), nn.Sequential(linear, nn.Flatten(0))
    )
    nn.init.zeros_(linear.weight)
    value = m.generator_loss_on(real, m.generate(real.x))
    (slope,) = torch.autograd.grad(value, m.G.weight)
    return value.item(), slope.item()


def _best(theta: float) -> tuple[float, float]:
    """The value -log 4 + 2 JSD of N(0, 1) and N(theta, 1), and its derivative by theta."""
    x, mean = torch.linspace(-12, 15, 5001, dtype=torch.float64), torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    p, q = (torch.exp(-((x - centre) ** 2) / 2) / math.sqrt(2 * math.pi) for centre in (0.0, mean))
    value = 2 * jensen_shannon(p, q, x) - math.log(4)
    (slope,) = torch.autograd.grad(value, mean)
    return value.item(), slope.item()
