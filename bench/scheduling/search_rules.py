"""What a study tries next, given what it tried; nothing once its budget is spent. See `bench.scheduling.tuning`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from bench.statistics.effects import cap_infinite
from bench.suites.schema import Space

Hyperparameters = dict[str, float]
History = Sequence[tuple[Hyperparameters, float]]
"""What was tried, and its value: higher is better, -inf where it diverged, NaN where it failed."""


def quasirandom(space: Space, trials: int, seed: int, history: History) -> list[Hyperparameters]:
    """Propose all points at once: the first of a scrambled Sobol sequence, log-uniform in the space, to three digits."""
    from scipy.stats import qmc

    points = qmc.Sobol(len(space.ranges), scramble=True, rng=seed).random_base2(math.ceil(math.log2(trials)))[len(history) : trials]
    ends = np.log([list(ends) for ends in space.ranges.values()])
    values = np.exp(ends[:, 0] + points * (ends[:, 1] - ends[:, 0]))
    return [{key: _round(v, *space.ranges[key]) for key, v in zip(space.ranges, row, strict=True)} for row in values.tolist()]


def optuna(space: Space, trials: int, seed: int, history: History) -> list[Hyperparameters]:
    """Propose one point, by a sampler that is shown all values so far. A function of its arguments, so that studies resume alike."""
    if len(history) >= trials:
        return []
    import optuna as library

    library.logging.set_verbosity(library.logging.WARNING)
    sampler = library.samplers.TPESampler(seed=1000 * seed + len(history), n_startup_trials=math.ceil(trials / 3))
    study = library.create_study(direction="maximize", sampler=sampler)
    axes = {key: library.distributions.FloatDistribution(low, high, log=True) for key, (low, high) in space.ranges.items()}
    (values,) = cap_infinite([value for _, value in history])
    worst = min(filter(math.isfinite, values.tolist()), default=0.0)  # in place of what diverged
    shown = np.nan_to_num(values, nan=np.nan, posinf=worst + 1, neginf=worst).tolist()
    for (hyperparameters, _), value in zip(history, shown, strict=True):
        if not math.isnan(value):
            study.add_trial(library.trial.create_trial(params=hyperparameters, distributions=axes, value=value))
    point = study.ask(axes).params
    return [{key: _round(point[key], *ends) for key, ends in space.ranges.items()}]


RULES: dict[str, Callable[[Space, int, int, History], list[Hyperparameters]]] = {"quasirandom": quasirandom, "optuna": optuna}
"""Name -> rule: (space, trials of the budget, seed, history) -> the points that come next."""


def half_decades(low: float, high: float, per_decade: int = 2) -> list[float]:
    """Values from low to high in equal factors: 1e-3, 3.16e-3, 1e-2, ... for two a decade."""
    start, end = math.log10(low), math.log10(high)
    return [_round(10 ** (start + i / per_decade)) for i in range(math.floor((end - start) * per_decade + 1e-6) + 1)]


def _round(value: float, low: float = 0.0, high: float = math.inf) -> float:
    """The value to three digits, but not beyond the ends."""
    return min(max(float(f"{value:.3g}"), low), high)
