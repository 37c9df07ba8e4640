"""Games whose players have one weight each, and how their eigenvalues compare with a formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from bench.analysis.game_dynamics import Spectrum
from bench.claim import Finding
from bench.figure import Line, Panel, Points
from bench.method import Samples


class Scalar(nn.Module):
    """A player of one weight, float64: x -> f(weight, x)."""

    def __init__(self, weight: float, f: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.weight, self.f = nn.Parameter(torch.tensor(weight, dtype=torch.float64)), f

    def forward(self, x: Tensor) -> Tensor:
        return self.f(self.weight, x)


def field(m: Any, batch: Samples, at: Tensor) -> Tensor:
    """Where both players are drawn from a critic and a generator `at` these weights: minus the gradients that training would follow."""
    vector_to_parameters(at, [m.D.weight, m.G.weight])
    critic, generator = m.losses(batch)
    (by_critic,) = torch.autograd.grad(critic, m.D.weight, retain_graph=True)
    return -torch.stack([by_critic, *torch.autograd.grad(generator, m.G.weight)])


def spectrum_of_field(m: Any, batch: Samples, step: float = 1e-4) -> Spectrum:
    """At the players' weights, the field's Jacobian by central differences.

    Unlike `bench.analysis.game_dynamics` it sees what a loss wrongly detaches.
    """
    weights = [m.D.weight, m.G.weight]
    here = parameters_to_vector(weights).detach().clone()
    columns = [(field(m, batch, here + e) - field(m, batch, here - e)) / (2 * step) for e in step * torch.eye(2, dtype=here.dtype)]
    vector_to_parameters(here, weights)
    jacobian = torch.stack(columns, 1)
    if not jacobian.isfinite().all():
        raise ValueError("the field is not finite")  # LAPACK would crash the process
    values = sorted(torch.linalg.eigvals(jacobian).tolist(), key=lambda c: (-c.real, abs(c.imag)))
    return Spectrum(torch.tensor(values, dtype=torch.complex128), True, None, 1e-6)


def in_the_plane(pairs: Mapping[str, tuple[Sequence[complex], Spectrum]]) -> Finding:
    """Predicted and measured pairs of eigenvalues; those that are conjugate count as one."""
    cases: dict[str, tuple[float, float]] = {}
    for name, (predicted, spectrum) in pairs.items():
        (p, other), (m, also) = sorted(predicted, key=lambda c: -c.real), spectrum.eigenvalues.tolist()
        cases |= {f"{name}: real part": (p.real, m.real), f"{name}: imaginary part": (abs(p.imag), abs(m.imag))}
        if not p.imag:
            cases[f"{name}: the other one"] = (other.real, also.real)
    expected = [c for predicted, _ in pairs.values() for c in predicted]
    theory = Points(x=[c.real for c in expected], y=[c.imag for c in expected], label="predicted", theory=True)
    found = [Points(x=s.eigenvalues.real, y=s.eigenvalues.imag, label=name) for name, (_, s) in pairs.items()]
    height = max(abs(c.imag) for c in expected)
    axis = Line(x=[0, 0], y=[-height, height], label="stable to the left", theory=True)
    return Finding(cases, [Panel(marks=[axis, theory, *found], x="real part", y="imaginary part")])
