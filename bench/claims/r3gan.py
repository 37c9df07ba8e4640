"""The GAN is dead; long live the GAN! A Modern GAN Baseline."""

from __future__ import annotations

import cmath

from bench.analysis.game_dynamics import spectrum
from bench.claim import Finding, Paper, claim
from bench.claims import _dirac as game
from bench.claims._dirac_fields import ARRIVED, DiracMethod, slope
from bench.claims._scalar_game import in_the_plane
from bench.figure import Panel

PAPER = Paper(
    title="The GAN is dead; long live the GAN! A Modern GAN Baseline",
    authors="Huang, Gokaslan, Kuleshov, Tompkin",
    venue="NeurIPS 2024",
    year=2024,
    arxiv="2501.05441",
    lesson="A game that holds every fake against a real sample has no bad local optima, but like every unregularised game it circles. "
    "A penalty on the critic's gradient at real samples (R1) and one at fakes (R2) each pull towards the equilibrium; both together pull "
    "twice as hard, and training needs none of the tricks that held earlier GANs together.",
)

_F1 = 0.5  # f'(0) of f(t) = -log(1 + exp(-t))
_GAMMA = 0.3


@claim(
    place="local convergence; on the Dirac-GAN of arXiv:1801.04406",
    statement="The relativistic pairing game circles; R1 and R2 together make its equilibrium attract, and end the rotation at half "
    "the weight that R1 alone needs.",
    predicted="-gamma +- sqrt(gamma^2 - 1/4) with both, critical at gamma = 1/2; -gamma / 2 +- sqrt(gamma^2 / 4 - 1/4) with R1",
    how="the Jacobian of the losses of `r3gan`, and of `r1_gan` with adversarial=relativistic_pairing, at (0, 0)",
    tolerance=1e-6,
)
def eigenvalues() -> Finding:
    """Eigenvalues as the penalties grow."""
    pairs = {}
    for gamma in (0.0, 0.1, 0.3, 0.5, 1.0):
        both, one = f"r3gan[gamma={gamma:g}]", f"r1_gan[adversarial=relativistic_pairing,ema=0,gamma={gamma:g}]"
        for name, spec, centre in (("R1 + R2", both, -gamma), ("R1", one, -gamma / 2)):
            root, m = cmath.sqrt(centre**2 - _F1**2), game.dirac(spec)
            pairs[f"{name}, gamma = {gamma:g}"] = ([centre + root, centre - root], spectrum(m, game.batch_of(m)))
    return in_the_plane(pairs)


@claim(
    place="local convergence; on the Dirac-GAN of arXiv:1801.04406",
    statement="From afar as well: with both penalties the pairing game arrives, with R1 it comes half as fast, with none it stays away.",
    predicted="steps of 0.2 along (-psi s(theta psi), theta s(-theta psi) - c psi), s the sigmoid, c = 2 gamma, gamma, 0: the final "
    "distance (below 1e-12: arrived)",
    how="500 simultaneous updates from (1, 1) by the losses of `r3gan` and `r1_gan`, gamma = 0.3",
    tolerance=1e-6,
    relative=True,
    cost="slow",
)
def paths() -> Finding:
    """Three paths."""
    specs = {
        "R1 + R2": (f"r3gan[gamma={_GAMMA}]", 2 * _GAMMA),
        "R1": (f"r1_gan[adversarial=relativistic_pairing,ema=0,gamma={_GAMMA}]", _GAMMA),
        "no penalty": ("r3gan[gamma=0.0]", 0.0),
    }
    cases, marks = {}, []
    for name, (spec, pull) in specs.items():
        row = DiracMethod(spec, lambda t, p, c=pull: (-p * slope(-t * p), t * slope(t * p) - c * p))  # type: ignore[misc]
        m = game.dirac(spec, game.START)
        predicted, measured = row.follow(0), game.path(m, game.simultaneously(m))
        cases[name] = (max(game.radius(predicted), ARRIVED), max(game.radius(measured), ARRIVED))
        marks.append(game.line(measured, name))
    return Finding(cases, [Panel(marks=marks, x="theta", y="psi", square=True)])
