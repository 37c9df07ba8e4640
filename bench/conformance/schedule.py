"""What every schedule must hold: a finite factor that is never negative, a function of progress alone."""

from __future__ import annotations

import math

from bench import registry
from bench.conformance._tools import Checks

_PLACES = [i / 200 for i in range(201)]  # of progress, from 0 to 1


def check_factors(name: str) -> None:
    """The factor is a number at every progress, positive between the start and the end."""
    schedule = registry.make("schedule", name)
    for progress in _PLACES:
        factor = schedule(progress)
        assert isinstance(factor, (int, float)), f"{name}({progress}) returned {type(factor).__name__}, not a number"
        assert math.isfinite(factor), f"{name}({progress}) = {factor} is not finite"
        assert factor > 0 or (factor == 0 and progress in (0, 1)), f"{name}({progress}) = {factor}: only at 0 and 1 may nothing be learned"


def check_pure(name: str) -> None:
    """Whoever resumes a run asks from the middle on: the factor must not depend on what was asked before."""
    forward, backward = registry.make("schedule", name), registry.make("schedule", name)
    first = [forward(progress) for progress in _PLACES]
    again = [backward(progress) for progress in reversed(_PLACES)][::-1]
    assert first == again, f"{name} depends on what it was asked before: it must be a function of progress alone"


def checks_of(name: str) -> Checks:
    """Title -> check."""
    return {"factors": check_factors, "pure": check_pure}
