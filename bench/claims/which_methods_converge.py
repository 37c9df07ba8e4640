"""Which Training Methods for GANs do actually Converge?"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence

import numpy as np

from bench.analysis.game_dynamics import spectrum
from bench.claim import Finding, Paper, claim
from bench.claims import _dirac as game
from bench.claims._dirac_fields import ARRIVED, ROWS, compare
from bench.claims._scalar_game import in_the_plane
from bench.figure import Line, Panel, Points

PAPER = Paper(
    title="Which Training Methods for GANs do actually Converge?",
    authors="Mescheder, Geiger, Nowozin",
    venue="ICML 2018",
    year=2018,
    arxiv="1801.04406",
    lesson="Data at one point, samples at another, a linear critic: in this smallest of games, the Dirac-GAN, everything is known. The "
    "players circle around the equilibrium, because the eigenvalues of their vector field are purely imaginary there. Small steps taken "
    "at once spiral outwards; in turns they stay on a circle, and many critic steps or a critic kept Lipschitz do not change that.\n\n"
    "What pulls the eigenvalues to the left makes training converge: noise on the critic's inputs, or a penalty on the critic's gradient "
    "that is centred at zero (R1 on data, R2 on samples). A penalty that wants the gradient to be one (WGAN-GP) does not. Consensus "
    "optimisation converges near the equilibrium, but far from it may run away.",
)

_F1, _F2 = 0.5, -0.25  # f'(0), f''(0) of f(t) = -log(1 + exp(-t))
_ORDER = "the generator steps first in the authors' notebook, the critic in the registry: distances differ, what arrives does not"


@claim(
    place="Lemma 2.2; App.",
    statement="At its equilibrium the eigenvalues of the Dirac-GAN's field are purely imaginary, in every unregularised game.",
    predicted="+- f'(0) i: 0.5 i for the GAN's losses, i for WGAN's",
    how="the Jacobian, by automatic differentiation, of the losses of `gan` and `wgan` at (0, 0)",
    tolerance=1e-12,
)
def purely_imaginary() -> Finding:
    """Eigenvalues, and the field."""
    games = {
        "saturating": ("gan[adversarial=saturating]", _F1),
        "non-saturating": ("gan", _F1),
        "WGAN": ('wgan[adversarial="wgan[clip=1]"]', 1.0),
    }
    pairs = {}
    for name, (spec, slope) in games.items():
        m = game.dirac(spec)
        pairs[name] = ([slope * 1j, -slope * 1j], spectrum(m, game.batch_of(m)))
    finding = in_the_plane(pairs)
    a = np.linspace(0, 2 * math.pi, 100)
    circles = [Line(x=r * np.cos(a), y=r * np.sin(a), theory=True) for r in (0.4, 0.8, 1.2)]
    field = game.arrows(game.dirac(games["saturating"][0]))
    panel = Panel(marks=[field, *circles], x="theta", y="psi", title="The field of the GAN, and circles", square=True)
    return Finding(finding.cases, [panel, *finding.figure])


@claim(
    place="Lemma 2.3",
    statement="Along the flow of the Dirac-GAN's field the distance from the equilibrium never changes.",
    predicted="theta^2 + psi^2 of the start",
    how="the field of `gan[adversarial=saturating]`, integrated to t = 10 by 100 Runge-Kutta steps",
    tolerance=1e-6,
)
def conserved_radius() -> Finding:
    """Two orbits."""
    cases, marks = {}, []
    for start in ((0.3, 0.0), (1.0, 1.0)):
        m = game.dirac("gan[adversarial=saturating]", start)
        orbit = [start, *game.flow(m, 0.1, 100)]
        cases[f"from {start[0]:g}, {start[1]:g}"] = (math.hypot(*start) ** 2, game.radius(orbit) ** 2)
        marks.append(game.line(orbit, f"from {start[0]:g}, {start[1]:g}"))
    return Finding(cases, [Panel(marks=marks, x="theta", y="psi", title="Orbits of the continuous game", square=True)])


@claim(
    place="Lemma 2.4",
    statement="Simultaneous steps of any size move away from the equilibrium.",
    predicted="|1 +- h f'(0) i| = sqrt(1 + h^2 / 4) > 1",
    how="the eigenvalues of one simultaneous update, by `consensus_gan` with gamma = 0, of short vectors",
    tolerance=1e-7,
)
def simultaneous_steps() -> Finding:
    """A factor a step."""
    cases, steps = {}, (0.05, 0.2, 0.5, 1.0, 2.0)
    for h in steps:
        one = game.update(game.dirac("consensus_gan[adversarial=saturating,gamma=0]", step=h))
        cases[f"h = {h:g}"] = (math.sqrt(1 + (h * _F1) ** 2), float(np.abs(np.linalg.eigvals(game.turn(one))).max()))
    predicted, measured = zip(*cases.values())
    theory = Line(x=steps, y=predicted, label="sqrt(1 + h² / 4)", theory=True)
    return Finding(cases, [Panel(marks=[theory, Points(x=steps, y=measured, label="measured")], x="h", y="factor a step")])


@claim(
    place="Lemma 2.5",
    statement="Alternating steps stay on a circle while a = sqrt(n_d) h f'(0) <= 2, and move away beyond; more critic steps do not help.",
    predicted="eigenvalues 1 - a^2 / 2 +- sqrt((1 - a^2 / 2)^2 - 1), of modulus 1 up to a = 2",
    how="the eigenvalues of one update of `gan[adversarial=saturating]` with n_d critic steps, of short vectors",
    tolerance=1e-6,
)
def alternating_steps() -> Finding:
    """Moduli on both sides of a = 2."""
    cases, found = {}, list[complex]()
    for a in (0.2, 1.0, 1.9, 2.25):
        for n in (1, 5):
            one = game.update(game.dirac(f"gan[adversarial=saturating,n_critic={n}]", step=a / (math.sqrt(n) * _F1)))
            found += (pair := np.linalg.eigvals(game.turn(one)).tolist())
            half = 1 - a * a / 2
            cases[f"a = {a:g}, n_d = {n}"] = (max(abs(half + s * cmath.sqrt(half * half - 1)) for s in (1, -1)), max(map(abs, pair)))
    angle = np.linspace(0, 2 * math.pi, 200)
    circle = Line(x=np.cos(angle), y=np.sin(angle), label="unit circle", theory=True)
    measured = Points(x=np.real(found), y=np.imag(found), label="measured")
    return Finding(cases, [Panel(marks=[circle, measured], x="Re", y="Im", title="Eigenvalues of an update", square=True)])


@claim(
    place="Sec. 2; App.",
    statement="The non-saturating game does converge, but slower than any exponential.",
    predicted="1 / r^2 = 1 / r_0^2 + t / 8, from averaging (r^2)' = -2 u tanh(u / 2), u = theta psi, over a turn; so r^2 -> 8 / t",
    how="the field of `gan`, integrated from (1, 1) by Runge-Kutta steps of 0.5",
    tolerance=0.02,
    relative=True,
)
def sublinear() -> Finding:
    """The distance against time."""
    m = game.dirac("gan", game.START)
    distances = [game.radius([place]) ** 2 for place in game.flow(m, 0.5, 400)]
    cases = {f"t = {t}": (1 / (0.5 + t / 8), distances[2 * t - 1]) for t in (25, 50, 100, 200)}
    t = np.arange(1, 201)
    marks = [Line(x=t, y=1 / (0.5 + t / 8), label="1 / (1/2 + t/8)", theory=True), Line(x=t, y=distances[1::2], label="measured")]
    return Finding(cases, [Panel(marks=marks, x="t", y="r²", log="xy")])


@claim(
    place="Lemma 3.2",
    statement="Instance noise makes the equilibrium attract; beyond a critical size the rotation stops.",
    predicted="f''(0) s^2 +- sqrt(f''(0)^2 s^4 - f'(0)^2), critical at s = sqrt 2",
    how="the Jacobian of the losses of `instance_noise_gan[adversarial=saturating]`, the noise replaced by quantiles of variance 1",
    tolerance=1e-6,
)
def instance_noise() -> Finding:
    """Eigenvalues as the noise grows."""
    with game.even_noise():
        return _locus("instance_noise_gan[sigma={:g}]", "sigma", (0.3, 0.7, 1.0, 1.4, 2.0), lambda s: _F2 * s * s)


@claim(
    place="Lemma 3.3, Eq. 9 and 10",
    statement="Zero-centred gradient penalties make the equilibrium attract; beyond gamma = 2 f'(0) = 1 the rotation stops.",
    predicted="-gamma / 2 +- sqrt(gamma^2 / 4 - f'(0)^2)",
    how="the Jacobian of the losses of `r1_gan` and `r2_gan` with adversarial=saturating",
    tolerance=1e-6,
)
def gradient_penalties() -> Finding:
    """Eigenvalues as the penalty grows."""
    spec, gammas = "_gan[adversarial=saturating,ema=0,gamma={:g}]", (0.1, 0.3, 0.6, 0.9, 1.0, 2.0)
    r1, r2 = (_locus(name + spec, f"{name}, gamma", gammas, lambda gamma: -gamma / 2) for name in ("r1", "r2"))
    return Finding({**r1.cases, **r2.cases}, r1.figure)


@claim(
    place="App., after arXiv:1705.10461",
    statement="Consensus optimisation moves the eigenvalues to the left and leaves the speed of rotation as it is.",
    predicted="-gamma f'(0)^2 +- f'(0) i",
    how="the Jacobian of the regularised losses of `consensus_gan[adversarial=saturating]`",
    tolerance=1e-9,
)
def consensus_eigenvalues() -> Finding:
    """Eigenvalues as gamma grows."""
    return _locus("consensus_gan[adversarial=saturating,gamma={:g}]", "gamma", (0.3, 1.0, 2.0), lambda g: -g * _F1**2, steady=True)


@claim(
    place="Sec. 2 and 3, figures of the Dirac-GAN",
    statement="Simultaneous steps: GAN, WGAN and WGAN-GP stay away; noise, R1 and consensus arrive.",
    predicted="the paper's fields, iterated 500 times with h = 0.2 from (1, 1): the final distance (below 1e-12: arrived)",
    how="500 simultaneous updates by the losses of the registered methods",
    tolerance=1e-6,
    relative=True,
    cost="slow",
)
def simultaneous_paths() -> Finding:
    """Eight methods, both players at once."""
    return compare(0)


@claim(
    place="Sec. 2 and 3, figures of the Dirac-GAN",
    statement="Alternating steps, one each: the same methods stay away, the same arrive.",
    predicted="as for simultaneous steps, the critic's step first",
    how="500 updates of the registry's own loop",
    tolerance=1e-6,
    relative=True,
    cost="slow",
    deviation=_ORDER,
)
def alternating_paths() -> Finding:
    """Eight methods, in turns."""
    return compare(1)


@claim(
    place="Sec. 2 and 3, figures of the Dirac-GAN",
    statement="Five critic steps for one of the generator: GAN, WGAN and WGAN-GP stay away all the same.",
    predicted="as for simultaneous steps, five critic steps first",
    how="500 updates of the registry's own loop with five critic steps each; for consensus see `consensus_is_local`",
    tolerance=1e-6,
    relative=True,
    cost="slow",
    deviation=_ORDER,
)
def five_critic_steps() -> Finding:
    """Seven methods, five critic steps."""
    return compare(5, [name for name in ROWS if name != "consensus 1"])


@claim(
    place="App., Dirac-GAN",
    statement="Consensus optimisation converges only locally: with five critic steps it arrives from nearby and runs away from (1, 1).",
    predicted="the paper's field v - gamma grad |v|^2 / 2, iterated: the final distance (below 1e-12: arrived)",
    how="500 updates of `consensus_gan[gamma=1]` by the registry's loop with five critic steps",
    tolerance=1e-6,
    relative=True,
    cost="slow",
)
def consensus_is_local() -> Finding:
    """Two starts."""
    row, cases, marks = ROWS["consensus 1"], {}, []
    for start in ((0.2, 0.2), game.START):
        name, m = f"from {start[0]:g}, {start[1]:g}", game.dirac(row.spec, start)
        predicted, measured = row.follow(5, start), game.path(m, game.alternately(m, 5))
        cases[name] = (max(game.radius(predicted), ARRIVED), max(game.radius(measured), ARRIVED))
        marks += [game.line(predicted, f"{name}, predicted", theory=True), game.line(measured, name)]
    return Finding(cases, [Panel(marks=marks, x="theta", y="psi", square=True)])


def _locus(spec: str, name: str, values: Sequence[float], centre: Callable[[float], float], steady: bool = False) -> Finding:
    """Eigenvalues centre +- root as a strength grows, root^2 = centre^2 - f'(0)^2, or -f'(0)^2 where the rotation is steady."""
    pairs, rates = {}, list[tuple[float, float]]()
    for value in values:
        c = centre(value)
        r = cmath.sqrt((0 if steady else c * c) - _F1**2)
        m = game.dirac(spec.format(value))
        s = spectrum(m, game.batch_of(m))
        pairs[f"{name} = {value:g}"] = ([c + r, c - r], s)
        rates.append((-c - r.real, -float(s.eigenvalues.real.max())))
    predicted, measured = zip(*rates)
    theory = Line(x=values, y=predicted, label="predicted", theory=True)
    slowest = Panel(marks=[theory, Points(x=values, y=measured, label="measured")], x=name, y="rate of attraction")
    finding = in_the_plane(pairs)
    return Finding(finding.cases, [*finding.figure, slowest])
