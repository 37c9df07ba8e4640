"""What the paper's formulas say of the Dirac-GAN: the field of every training method, and where its steps lead.

With f(t) = -log(1 + exp(-t)) the critic ascends L = f(theta psi) + f(0) and the generator descends it: v = (-psi f', theta f') at theta
psi.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from bench.claim import Finding
from bench.claims._dirac import NOISE, START, STEP, STEPS, Place, alternately, dirac, even_noise, line, path, radius, simultaneously
from bench.claims._tools import quantiles
from bench.figure import Line, Panel

ARRIVED = 1e-12  # closer to the equilibrium than this is there


def slope(t: float) -> float:
    """Of f at t: f'."""
    return 1 / (1 + math.exp(t))


def bend(t: float) -> float:
    """Of f at t: f''."""
    return -slope(t) * slope(-t)


@dataclasses.dataclass(frozen=True)
class DiracMethod:
    """A training method: its spec here, its field (theta, psi) -> v by the paper, and the bound on psi."""

    spec: str
    field: Callable[[float, float], Place]
    clip: float = math.inf

    def follow(self, n_critic: int, start: Place = START, n: int = STEPS) -> list[Place]:
        """The paper's field with steps of `STEP`: the critic's first, `n_critic` of them; 0 for both players at once."""
        (theta, psi), places = start, [start]
        for _ in range(n):
            toward, _ = self.field(theta, psi)
            for _ in range(max(n_critic, 1)):
                psi = max(-self.clip, min(self.clip, psi + STEP * self.field(theta, psi)[1]))
            theta += STEP * (self.field(theta, psi)[0] if n_critic else toward)
            places.append((theta, psi))
        return places


def noisy(sigma: float) -> Callable[[float, float], Place]:
    """Instance noise on data and samples."""
    e = np.asarray(quantiles(NOISE))
    e *= sigma / np.sqrt(np.mean(e**2))

    def field(theta: float, psi: float) -> Place:
        fake, real = 1 / (1 + np.exp((theta + e) * psi)), 1 / (1 + np.exp(-e * psi))
        return -psi * float(np.mean(fake)), float(np.mean((theta + e) * fake) - np.mean(e * real))

    return field


def penalised(gamma: float) -> Callable[[float, float], Place]:
    """R1, and R2, which is the same here."""
    return lambda theta, psi: (-psi * slope(theta * psi), theta * slope(theta * psi) - gamma * psi)


def consensus(gamma: float) -> Callable[[float, float], Place]:
    """The field v - gamma grad |v|^2 / 2, where |v|^2 = (theta^2 + psi^2) f'^2."""

    def field(theta: float, psi: float) -> Place:
        f1, f2, r2 = slope(theta * psi), bend(theta * psi), theta**2 + psi**2
        return -psi * f1 - gamma * (theta * f1**2 + psi * r2 * f1 * f2), theta * f1 - gamma * (psi * f1**2 + theta * r2 * f1 * f2)

    return field


ROWS = {
    "GAN": DiracMethod("gan[adversarial=saturating]", lambda t, p: (-p * slope(t * p), t * slope(t * p))),
    "non-saturating": DiracMethod("gan", lambda t, p: (-p * slope(-t * p), t * slope(t * p))),
    "WGAN, clip 1": DiracMethod('wgan[adversarial="wgan[clip=1]"]', lambda t, p: (-p, t), clip=1.0),
    "WGAN-GP 0.7": DiracMethod(  # the paper's penalty has a half
        'wgan_gp[adversarial="wgan_gp[gp=0.35]"]', lambda t, p: (-p, t - 0.7 * math.copysign(1, p) * (abs(p) - 1))
    ),
    "instance noise 0.7": DiracMethod("instance_noise_gan[sigma=0.7]", noisy(0.7)),
    "R1 0.3": DiracMethod("r1_gan[adversarial=saturating,gamma=0.3,ema=0]", penalised(0.3)),
    "R1 1": DiracMethod("r1_gan[adversarial=saturating,gamma=1,ema=0]", penalised(1.0)),
    "consensus 1": DiracMethod("consensus_gan[adversarial=saturating,gamma=1]", consensus(1.0)),
}
"""The paper's table: the spec here, and the field by its formula."""


def compare(n_critic: int, names: Sequence[str] = tuple(ROWS)) -> Finding:
    """Every row from `START`: by its formula and by its method; 0 critic steps for both players at once. Final distances, and paths."""
    cases, panels = {}, {False: list[Line](), True: list[Line]()}
    with even_noise():
        for name in names:
            predicted, m = ROWS[name].follow(n_critic), dirac(ROWS[name].spec, START)
            measured = path(m, alternately(m, n_critic) if n_critic else simultaneously(m))
            cases[name] = (max(radius(predicted), ARRIVED), max(radius(measured), ARRIVED))
            panels[radius(predicted) < 1e-3].append(line(measured, name))
    titles = {False: "Those that are not there yet", True: "Those that arrive"}
    return Finding(cases, [Panel(marks=marks, x="theta", y="psi", title=titles[arrived], square=True) for arrived, marks in panels.items()])
