"""Settings for the rows of a suite, all on one budget, and the grids that show how much the settings matter.

Four rules. `oneshot` takes the parts' defaults, `fixed` those of the suite file. `quasirandom` is AlgoPerf's (Dahl et al. 2023, Sec.
4.4): a study draws k points of a family's search space from a scrambled Sobol sequence, the same unit points for every family, trains
them under a seed of its own and keeps the best on validation; the row gets the settings of the median study, so a lucky one counts for no
more than it is likely. `optuna` lets a tree-structured Parzen estimator (Bergstra et al. 2011) choose each point after the last, on the
same budget.

These trials are ordinary ones: identified, recorded, resumed, never run twice. They never see the test split and are no rows of a table;
their cost stands on the row that they served.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.spec import Spec, parse
from bench.statistics.effects import cap_infinite
from bench.store.identity import id_of
from bench.store.record import TrialRecord
from bench.store.validation import final, higher_is_better
from bench.suites.components import check_method
from bench.suites.grid import kind_of
from bench.suites.schema import Sensitivity, Space, Tier, Tuning
from bench.suites.trial import Trial

Settings = dict[str, float]
Run = Callable[[Sequence[Trial]], list[TrialRecord]]
Told = Sequence[
    tuple[Settings, float]
]  # what was tried, and what came of it: higher is better, -inf where it diverged, NaN where it failed


@dataclasses.dataclass
class _Study:
    """One search for one row: what it tried so far."""

    row: Trial
    space: Space
    number: int
    records: list[TrialRecord] = dataclasses.field(default_factory=list)
    tried: list[Settings] = dataclasses.field(default_factory=list)

    @property
    def told(self) -> Told:
        """The trials with their values."""
        return [(settings, _value(record)) for settings, record in zip(self.tried, self.records, strict=True)]

    @property
    def best(self) -> int | None:
        """The best trial; where all diverged, the one that held out longest; None where all failed, which says nothing of their settings."""
        judged = [i for i, record in enumerate(self.records) if record.outcome != "failed"]
        return max(judged, key=lambda i: (_value(self.records[i]), self.records[i].summary.get("steps", 0.0), -i), default=None)


def prepare(rows: Sequence[Trial], tier: Tier) -> list[Trial]:
    """Check what the suite says about tuning against its rows before anything runs; rows that are tuned or varied get their `plan`.

    Raises:
        UsageError: a row without a space or fixed options, an option that its part lacks, a seed that both tunes and judges.
        Unavailable: optuna is asked for and not installed.
    """
    tuning, sensitivity = tier.tuning, tier.sensitivity
    for option, rules in _named(tuning, sensitivity):
        if kind_of(option) not in registry.FOLDERS:
            raise UsageError(f"[tuning] and [sensitivity] option: {option!r} is no hyper-parameter that holds a part, such as optimizer")
        for rule in rules:
            registry.find(kind_of(option), rule)
    if tuning and tuning.rule == "optuna" and not importlib.util.find_spec("optuna"):
        raise Unavailable("the tuning rule optuna needs the package optuna: pip install 'ganbench[tune]', or use the rule quasirandom")
    if tuning and tuning.searches and (both := {r.seed for r in rows if tuning.seed <= r.seed < tuning.seed + tuning.studies}):
        raise UsageError(f"seed {min(both)} would both tune and judge: choose other --seeds, or another [tuning] seed")
    return [_prepared(row, tuning, sensitivity) for row in rows]


def _named(tuning: Tuning | None, sensitivity: Sensitivity | None) -> Iterator[tuple[str, list[str]]]:
    """(hyper-parameter, the parts named for it)."""
    if tuning:
        yield (
            tuning.option,
            [rule for space in tuning.spaces.values() for rule in space.rules] + [key.rpartition("/")[2] for key in tuning.fixed],
        )
    if sensitivity:
        yield sensitivity.option, sensitivity.rules


def _prepared(row: Trial, tuning: Tuning | None, sensitivity: Sensitivity | None) -> Trial:
    how: list[Tuning | Sensitivity] = []
    if tuning and _rule(row, tuning.option):
        if tuning.rule == "fixed":
            row = with_options(row, tuning.option, _fixed(row, tuning))
        if tuning.searches:
            with_options(row, tuning.option, {k: low for k, (low, _) in _space(row, tuning).ranges.items()})  # the part has these options
            how.append(tuning)
    if sensitivity and _rule(row, sensitivity.option) in sensitivity.rules:
        with_options(row, sensitivity.option, {sensitivity.key: sensitivity.low})
        how.append(sensitivity)
    parts = {"spec": str(row.spec), "task": str(_untested(row).task), "tier": row.tier} | {
        type(h).__name__: h.model_dump_json() for h in how
    }
    return dataclasses.replace(row, plan=id_of(parts)) if how else row


def tune(rows: Sequence[Trial], tuning: Tuning | None, run: Run) -> list[Trial]:
    """The rows with the settings that their studies chose, and what that cost.

    Args:
        rows: from `prepare`.
        tuning: the tier's.
        run: trains what is not on record yet.

    Raises:
        UsageError: every trial that tuned a row failed.
    """
    if tuning is None or not tuning.searches:
        return list(rows)
    propose = {"quasirandom": quasirandom, "optuna": optuna}[tuning.rule]
    tuned = {_key(row): row for row in reversed(rows) if _rule(row, tuning.option)}  # the first seed of each
    studies = {key: [_Study(row, _space(row, tuning), j) for j in range(tuning.studies)] for key, row in reversed(tuned.items())}
    every = [study for group in studies.values() for study in group]
    while pending := [(s, point) for s in every for point in propose(s.space, tuning.trials, tuning.seed + s.number, s.told)]:
        records = run(
            [_attempt(s.row, "tuning", tuning.option, {"study": s.number, **point}, tuning.seed + s.number) for s, point in pending]
        )
        for (study, point), record in zip(pending, records, strict=True):
            study.tried.append(point)
            study.records.append(record)
    return [_settled(row, studies[_key(row)], tuning.option) if _key(row) in studies else row for row in rows]


def sensitivity_trials(rows: Sequence[Trial], sensitivity: Sensitivity | None) -> list[Trial]:
    """The grid of one option for the chosen rules on the chosen workloads, each rule at its other settings as the suite has them.

    Args:
        rows: from `prepare`, before `tune`.
        sensitivity: the tier's.
    """
    if sensitivity is None:
        return []
    return [
        _attempt(row, "sensitivity", sensitivity.option, {sensitivity.key: value}, seed)
        for row in _varied(rows, sensitivity)
        for value in _values(sensitivity)
        for seed in sensitivity.seeds
    ]


def count(rows: Sequence[Trial], tier: Tier) -> int:
    """How many trials a run has, at most, with those that tune and vary; none of these is made."""
    tuning, sensitivity, labels = tier.tuning, tier.sensitivity, {_key(row): row for row in rows}
    searched = (
        sum(bool(_rule(row, tuning.option)) for row in labels.values()) * tuning.trials * tuning.studies
        if tuning and tuning.searches
        else 0
    )
    varied = len(_varied(rows, sensitivity)) * len(_values(sensitivity)) * len(sensitivity.seeds) if sensitivity else 0
    return len(rows) + searched + varied


# -- the rules: what a study tries next, given what it tried; nothing when its budget is spent
def quasirandom(space: Space, trials: int, seed: int, told: Told) -> list[Settings]:
    """All points at once: the first of a scrambled Sobol sequence, log-uniform in the space, to three digits."""
    from scipy.stats import qmc

    points = qmc.Sobol(len(space.ranges), scramble=True, rng=seed).random_base2(math.ceil(math.log2(trials)))[len(told) : trials]
    ends = np.log([list(ends) for ends in space.ranges.values()])
    values = np.exp(ends[:, 0] + points * (ends[:, 1] - ends[:, 0]))
    return [{key: _rounded(v, *space.ranges[key]) for key, v in zip(space.ranges, row, strict=True)} for row in values.tolist()]


def optuna(space: Space, trials: int, seed: int, told: Told) -> list[Settings]:
    """One point, by a sampler that is shown all values so far: a function of its arguments, so a study that was stopped goes on as it would have."""
    if len(told) >= trials:
        return []
    import optuna as library

    library.logging.set_verbosity(library.logging.WARNING)
    sampler = library.samplers.TPESampler(seed=1000 * seed + len(told), n_startup_trials=math.ceil(trials / 3))
    study = library.create_study(direction="maximize", sampler=sampler)
    axes = {key: library.distributions.FloatDistribution(low, high, log=True) for key, (low, high) in space.ranges.items()}
    (values,) = cap_infinite([value for _, value in told])
    worst = min(filter(math.isfinite, values.tolist()), default=0.0)  # in place of what diverged
    shown = np.nan_to_num(values, nan=np.nan, posinf=worst + 1, neginf=worst).tolist()
    for (settings, _), value in zip(told, shown, strict=True):
        if not math.isnan(value):
            study.add_trial(library.trial.create_trial(params=settings, distributions=axes, value=value))
    point = study.ask(axes).params
    return [{key: _rounded(point[key], *ends) for key, ends in space.ranges.items()}]


def half_decades(low: float, high: float, per_decade: int = 2) -> list[float]:
    """From low to high in equal factors: 1e-3, 3.16e-3, 1e-2, ... for two a decade."""
    start, end = math.log10(low), math.log10(high)
    return [_rounded(10 ** (start + i / per_decade)) for i in range(math.floor((end - start) * per_decade + 1e-6) + 1)]


def _values(sensitivity: Sensitivity) -> list[float]:
    return half_decades(sensitivity.low, sensitivity.high, sensitivity.per_decade)


def _varied(rows: Sequence[Trial], sensitivity: Sensitivity) -> list[Trial]:
    """The first seed of every row that the grid is trained for."""
    first = {_key(row): row for row in reversed(rows)}
    workloads = {*sensitivity.workloads} or {row.workload for row in rows}
    return [row for row in reversed(first.values()) if row.workload in workloads and _rule(row, sensitivity.option) in sensitivity.rules]


def _rounded(value: float, low: float = 0.0, high: float = math.inf) -> float:
    """To three digits, but not beyond the ends."""
    return min(max(float(f"{value:.3g}"), low), high)


# -- trials
def with_options(trial: Trial, option: str, settings: Mapping[str, Any]) -> Trial:
    """The trial with options of one of its method's parts changed.

    Raises:
        UsageError: the part has no such option, or not that value.
    """
    hp = registry.find("method", trial.spec.name).HP(**trial.spec.options)
    part = parse(getattr(hp, option))
    options = registry.bind(registry.find(kind_of(option), part.name), {**part.options, **settings}, f"{kind_of(option)} {part.name!r}")
    changed = Spec(part.name, options)
    return dataclasses.replace(trial, spec=check_method(Spec(trial.spec.name, {**trial.spec.options, option: str(changed)})))


def _attempt(row: Trial, role: Any, option: str, tried: Mapping[str, float], seed: int) -> Trial:
    settings = {k: v for k, v in tried.items() if k != "study"}
    return dataclasses.replace(_untested(with_options(row, option, settings)), seed=seed, role=role, tried=dict(tried))


def _settled(row: Trial, studies: Sequence[_Study], option: str) -> Trial:
    """The row at the settings of its median study (the worse of the middle two), with the cost of all of them."""
    found = [(s, s.best) for s in studies]
    winners = sorted(((_value(s.records[i]), s.number, s.tried[i]) for s, i in found if i is not None), key=lambda w: (w[0], w[1]))
    if not winners:
        failed = studies[0].records
        raise UsageError(f"{row.title}: no trial that tunes it came to a result, all of them failed, the first with: {failed[0].reason}")
    settings = winners[(len(winners) - 1) // 2][2]
    return dataclasses.replace(with_options(row, option, settings), costs=cost(r for s in studies for r in s.records))


def cost(records: Iterable[TrialRecord]) -> dict[str, float]:
    """What tuning took: trials, how many of them diverged, updates, seconds of training."""
    spent = list(records)
    diverged = sum(r.outcome == "diverged" for r in spent)
    updates, seconds = sum(r.summary.get("steps", 0.0) for r in spent), sum(r.costs.get("train_seconds", 0.0) for r in spent)
    return {"tuning_trials": float(len(spent)), "tuning_diverged": float(diverged), "tuning_updates": updates, "tuning_seconds": seconds}


def _value(record: TrialRecord) -> float:
    """The final validation score, turned so that higher is better; -inf for a trial without one, NaN for one that failed."""
    if record.outcome == "failed":
        return math.nan
    score = final(record)
    return -math.inf if math.isnan(score) else score if higher_is_better(record) else -score


def _key(row: Trial) -> tuple[str, str]:
    return row.base_workload, row.label


def _untested(row: Trial) -> Trial:
    """Without its test set: validation chooses settings."""
    task = Spec(row.task.name, {k: v for k, v in row.task.options.items() if k != "test"})
    return dataclasses.replace(row, task=task, workload=row.base_workload, test="")


def _rule(row: Trial, option: str) -> str:
    """The name of the part that the row's method has as this option; empty where it has none."""
    hp = registry.find("method", row.spec.name).HP(**row.spec.options)
    value = getattr(hp, option, "")
    return parse(value).name if isinstance(value, str) and value else ""


def _space(row: Trial, tuning: Tuning) -> Space:
    rule = _rule(row, tuning.option)
    for space in tuning.spaces.values():
        if rule in space.rules:
            return space
    raise UsageError(f"[tuning] spaces: none holds {rule!r}, the {tuning.option} of the row {row.label!r}")


def _fixed(row: Trial, tuning: Tuning) -> dict[str, Any]:
    rule = _rule(row, tuning.option)
    for key in (f"{row.base_workload}/{rule}", f"{row.spec.name}/{rule}", rule):
        if key in tuning.fixed:
            return tuning.fixed[key]
    raise UsageError(
        f"[tuning] fixed: no options for {rule!r}, the {tuning.option} of the row {row.label!r} (an empty table takes its defaults)"
    )
