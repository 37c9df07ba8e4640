"""The f-divergences of f-GAN (arXiv:1606.00709, Tables 1, 2, 5 and 6) as data: D_f(P || Q) = E_Q f(p / q) >= E_P T - E_Q f*(T).

Activations are the increasing ones of Table 2 (Table 6 prints exp(v) for exp(-v)): a large v always means real. Where the tables name a
divergence by a formula that differs from its generator by a factor (Jensen-Shannon: one half) the generator is what counts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import UsageError

Fn = Callable[[Tensor], Tensor]
sp = F.softplus


@dataclasses.dataclass(frozen=True, kw_only=True)
class Divergence:
    """One divergence of the table. All functions act entry by entry."""

    f: Fn  # u = p / q > 0 -> f(u), convex, f(1) = 0 but for the GAN's, where it is -log 4
    slope: Fn  # u -> f'(u) = T*(u), the critic at which the bound is tight; f'(1) is the threshold between real and fake (Sec. 3.2)
    activation: Fn  # v, any real number -> g_f(v), in the domain of f*
    conjugate: Fn  # t in the domain -> f*(t)
    composed: Fn  # v -> f*(g_f(v)), in a form that neither overflows nor cancels
    domain: tuple[float, float] = (-math.inf, math.inf)  # of f*


def alpha_divergence(alpha: float) -> Divergence:
    """f(u) = (u^a - 1 - a (u - 1)) / (a (a - 1)).

    Raises:
        UsageError: alpha is 0 or 1 (reverse KL and KL are its limits).
    """
    if alpha in (0, 1):
        raise UsageError(f"fgan: alpha must not be {alpha}: take divergence={'kl' if alpha else 'reverse_kl'}")
    power, top = alpha / (alpha - 1), 1 / (1 - alpha)

    def f(u: Tensor) -> Tensor:
        return (u**alpha - 1 - alpha * (u - 1)) / (alpha * (alpha - 1))

    def slope(u: Tensor) -> Tensor:
        return (u ** (alpha - 1) - 1) / (alpha - 1)

    def star(t: Tensor) -> Tensor:
        return ((1 + (alpha - 1) * t).clamp(min=0) ** power - 1) / alpha

    if alpha > 1:
        return Divergence(f=f, slope=slope, activation=lambda v: v, conjugate=star, composed=star)
    return Divergence(
        f=f, slope=slope, activation=lambda v: top - sp(-v), conjugate=star,
        composed=lambda v: (torch.exp(power * (math.log(1 - alpha) + _log_sp(v))) - 1) / alpha, domain=(-math.inf, top),
    )  # fmt: skip


def weighted_jensen_shannon(pi: float) -> Divergence:
    """f(u) = pi u log u - (1 - pi + pi u) log(1 - pi + pi u): the entropy of the mixture less the mixed entropies; P weighs pi.

    Raises:
        UsageError: pi is not in (0, 1).
    """
    if not 0 < pi < 1:
        raise UsageError(f"fgan: pi must be in (0, 1), not {pi}")
    top = -pi * math.log(pi)

    def composed(v: Tensor) -> Tensor:
        log_rest = torch.log(-torch.expm1(-sp(-v.clamp(max=20)) / pi)) - F.relu(v - 20)  # log(1 - sigmoid(v)^(1/pi)): as in _log_sp
        return (1 - pi) * (math.log(1 - pi) - log_rest)

    return Divergence(
        f=lambda u: pi * u * u.log() - (1 - pi + pi * u) * (1 - pi + pi * u).log(),
        slope=lambda u: pi * (u / (1 - pi + pi * u)).log(),
        activation=lambda v: top - sp(-v),
        conjugate=lambda t: (1 - pi) * (math.log(1 - pi) - torch.log1p(-pi * torch.exp(t / pi))),
        composed=composed,
        domain=(-math.inf, top),
    )


def _log_sp(v: Tensor) -> Tensor:
    """The logarithm of softplus(-v), which falls like -v: beyond 20 it is taken to."""
    return sp(-v.clamp(max=20)).log() - F.relu(v - 20)


def _omega_star(t: Tensor) -> Tensor:
    """Jeffrey's conjugate w + 1/w + t - 2 with w = W(exp(1 - t)), never forming that exponential: x = log w solves x + exp(x) = 1 - t.

    The last two of Newton's steps carry the graph, which makes the first three derivatives exact (the first is 1/w); higher ones are not.
    """
    z = 1 - t
    with torch.no_grad():
        x = torch.where(z > 1, z.clamp(min=1).log(), z)  # right of the root, from where Newton's method descends to it
        for _ in range(20):
            x = x - (x + x.exp() - z) / (1 + x.exp())
    for _ in range(2):
        x = x - (x + x.exp() - z) / (1 + x.exp())
    return x.exp() + (-x).exp() + t - 2


DIVERGENCES: dict[str, Divergence] = {
    "kl": Divergence(
        f=lambda u: u * u.log(), slope=lambda u: 1 + u.log(),
        activation=lambda v: v, conjugate=lambda t: (t - 1).exp(), composed=lambda v: (v - 1).exp(),
    ),
    "reverse_kl": Divergence(
        f=lambda u: -u.log(), slope=lambda u: -1 / u,
        activation=lambda v: -(-v).exp(), conjugate=lambda t: -1 - (-t).log(), composed=lambda v: v - 1, domain=(-math.inf, 0),
    ),
    "pearson": Divergence(  # the tables' f*; the supremum over u >= 0 is -1 where t < -2, which no T* reaches
        f=lambda u: (u - 1) ** 2, slope=lambda u: 2 * (u - 1),
        activation=lambda v: v, conjugate=lambda t: t * t / 4 + t, composed=lambda v: v * v / 4 + v,
    ),
    "neyman": Divergence(
        f=lambda u: (1 - u) ** 2 / u, slope=lambda u: 1 - u**-2,
        activation=lambda v: 1 - (-v).exp(), conjugate=lambda t: 2 - 2 * (1 - t).sqrt(), composed=lambda v: -2 * torch.expm1(-v / 2),
        domain=(-math.inf, 1),
    ),
    "hellinger": Divergence(
        f=lambda u: (u.sqrt() - 1) ** 2, slope=lambda u: 1 - u**-0.5,
        activation=lambda v: 1 - (-v).exp(), conjugate=lambda t: t / (1 - t), composed=torch.expm1, domain=(-math.inf, 1),
    ),
    "jeffrey": Divergence(
        f=lambda u: (u - 1) * u.log(), slope=lambda u: 1 + u.log() - 1 / u,
        activation=lambda v: v, conjugate=_omega_star, composed=_omega_star,
    ),
    "js": Divergence(
        f=lambda u: u * u.log() - (1 + u) * ((1 + u) / 2).log(), slope=lambda u: (2 * u / (1 + u)).log(),
        activation=lambda v: math.log(2) - sp(-v), conjugate=lambda t: -(2 - t.exp()).log(), composed=lambda v: sp(v) - math.log(2),
        domain=(-math.inf, math.log(2)),
    ),
    "gan": Divergence(
        f=lambda u: u * u.log() - (u + 1) * (u + 1).log(), slope=lambda u: (u / (1 + u)).log(),
        activation=lambda v: -sp(-v), conjugate=lambda t: -torch.log1p(-t.exp()), composed=sp, domain=(-math.inf, 0),
    ),
    "tv": Divergence(
        f=lambda u: (u - 1).abs() / 2, slope=lambda u: torch.sign(u - 1) / 2,
        activation=lambda v: v.tanh() / 2, conjugate=lambda t: t, composed=lambda v: v.tanh() / 2, domain=(-0.5, 0.5),
    ),
}  # fmt: skip
"""Those without a parameter."""
