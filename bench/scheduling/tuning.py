"""Hyper-parameters for the rows of a suite, all on one budget, and the grids that show how much they matter.

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

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.scheduling import search_rules
from bench.scheduling.component_options import component_of, fixed_options, space_of, with_options
from bench.scheduling.search_rules import History, Hyperparameters
from bench.spec import Spec
from bench.store.identity import id_of
from bench.store.record import TrialRecord
from bench.store.validation import final, higher_is_better
from bench.suites.grid import kind_of
from bench.suites.schema import Sensitivity, Space, Tier, Tuning
from bench.suites.trial import Trial

Run = Callable[[Sequence[Trial]], list[TrialRecord]]


@dataclasses.dataclass
class _Study:
    """One search for one row: what it tried so far."""

    row: Trial
    space: Space
    number: int
    records: list[TrialRecord] = dataclasses.field(default_factory=list)
    tried: list[Hyperparameters] = dataclasses.field(default_factory=list)

    @property
    def history(self) -> History:
        """The trials with their values."""
        return [(hyperparameters, _value(record)) for hyperparameters, record in zip(self.tried, self.records, strict=True)]

    @property
    def best(self) -> int | None:
        """The index of the best trial; where all diverged, of the one that held out longest; None where all failed."""
        judged = [i for i, record in enumerate(self.records) if record.outcome != "failed"]
        return max(judged, key=lambda i: (_value(self.records[i]), self.records[i].summary.get("steps", 0.0), -i), default=None)


def prepare(rows: Sequence[Trial], tier: Tier) -> list[Trial]:
    """Check what the suite says about tuning against its rows before anything runs; rows that are tuned or varied get their `plan`.

    Raises:
        UsageError: a row without a space or fixed options, an option that its part lacks, a seed that both tunes and judges.
        Unavailable: optuna is asked for and not installed.
    """
    tuning, sensitivity = tier.tuning, tier.sensitivity
    for option, rules in _named_components(tuning, sensitivity):
        if kind_of(option) not in registry.FOLDERS:
            raise UsageError(f"[tuning] and [sensitivity] option: {option!r} is no hyper-parameter that holds a part, such as optimizer")
        for rule in rules:
            registry.find(kind_of(option), rule)
    if tuning and tuning.rule == "optuna" and not importlib.util.find_spec("optuna"):
        raise Unavailable("the tuning rule optuna needs the package optuna: pip install 'ganbench[tune]', or use the rule quasirandom")
    if tuning and tuning.searches and (both := {r.seed for r in rows if tuning.seed <= r.seed < tuning.seed + tuning.studies}):
        raise UsageError(f"seed {min(both)} would both tune and judge: choose other --seeds, or another [tuning] seed")
    return [_plan(row, tuning, sensitivity) for row in rows]


def _named_components(tuning: Tuning | None, sensitivity: Sensitivity | None) -> Iterator[tuple[str, list[str]]]:
    """(hyper-parameter, the parts named for it)."""
    if tuning:
        yield (
            tuning.option,
            [rule for space in tuning.spaces.values() for rule in space.rules] + [key.rpartition("/")[2] for key in tuning.fixed],
        )
    if sensitivity:
        yield sensitivity.option, sensitivity.rules


def _plan(row: Trial, tuning: Tuning | None, sensitivity: Sensitivity | None) -> Trial:
    how: list[Tuning | Sensitivity] = []
    if tuning and component_of(row, tuning.option):
        if tuning.rule == "fixed":
            row = with_options(row, tuning.option, fixed_options(row, tuning))
        if tuning.searches:
            with_options(row, tuning.option, {k: low for k, (low, _) in space_of(row, tuning).ranges.items()})  # the part has these options
            how.append(tuning)
    if sensitivity and component_of(row, sensitivity.option) in sensitivity.rules:
        with_options(row, sensitivity.option, {sensitivity.key: sensitivity.low})
        how.append(sensitivity)
    parts = {"spec": str(row.spec), "task": str(_without_test(row).task), "tier": row.tier} | {
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
    propose = search_rules.RULES[tuning.rule]
    tuned = {_row_of(row): row for row in reversed(rows) if component_of(row, tuning.option)}  # the first seed of each
    studies = {key: [_Study(row, space_of(row, tuning), j) for j in range(tuning.studies)] for key, row in reversed(tuned.items())}
    every = [study for group in studies.values() for study in group]
    while pending := [(s, point) for s in every for point in propose(s.space, tuning.trials, tuning.seed + s.number, s.history)]:
        records = run(
            [_serving_trial(s.row, "tuning", tuning.option, {"study": s.number, **point}, tuning.seed + s.number) for s, point in pending]
        )
        for (study, point), record in zip(pending, records, strict=True):
            study.tried.append(point)
            study.records.append(record)
    return [_apply_best(row, studies[_row_of(row)], tuning.option) if _row_of(row) in studies else row for row in rows]


def sensitivity_trials(rows: Sequence[Trial], sensitivity: Sensitivity | None) -> list[Trial]:
    """The grid of one option for the chosen rules on the chosen workloads, each rule at its other settings as the suite has them.

    Args:
        rows: from `prepare`, before `tune`.
        sensitivity: the tier's.
    """
    if sensitivity is None:
        return []
    return [
        _serving_trial(row, "sensitivity", sensitivity.option, {sensitivity.key: value}, seed)
        for row in _sensitivity_rows(rows, sensitivity)
        for value in _sensitivity_values(sensitivity)
        for seed in sensitivity.seeds
    ]


def count(rows: Sequence[Trial], tier: Tier) -> int:
    """How many trials a run has, at most, with those that tune and vary; none of these is made."""
    tuning, sensitivity, labels = tier.tuning, tier.sensitivity, {_row_of(row): row for row in rows}
    searched = (
        sum(bool(component_of(row, tuning.option)) for row in labels.values()) * tuning.trials * tuning.studies
        if tuning and tuning.searches
        else 0
    )
    varied = (
        len(_sensitivity_rows(rows, sensitivity)) * len(_sensitivity_values(sensitivity)) * len(sensitivity.seeds) if sensitivity else 0
    )
    return len(rows) + searched + varied


def _sensitivity_values(sensitivity: Sensitivity) -> list[float]:
    return search_rules.half_decades(sensitivity.low, sensitivity.high, sensitivity.per_decade)


def _sensitivity_rows(rows: Sequence[Trial], sensitivity: Sensitivity) -> list[Trial]:
    """The first seed of every row that the grid is trained for."""
    first = {_row_of(row): row for row in reversed(rows)}
    workloads = {*sensitivity.workloads} or {row.workload for row in rows}
    return [
        row for row in reversed(first.values()) if row.workload in workloads and component_of(row, sensitivity.option) in sensitivity.rules
    ]


def _serving_trial(row: Trial, role: Any, option: str, tried: Mapping[str, float], seed: int) -> Trial:
    hyperparameters = {k: v for k, v in tried.items() if k != "study"}
    return dataclasses.replace(_without_test(with_options(row, option, hyperparameters)), seed=seed, role=role, tried=dict(tried))


def _apply_best(row: Trial, studies: Sequence[_Study], option: str) -> Trial:
    """The row at the settings of its median study (the worse of the middle two), with the cost of all of them."""
    found = [(s, s.best) for s in studies]
    winners = sorted(((_value(s.records[i]), s.number, s.tried[i]) for s, i in found if i is not None), key=lambda w: (w[0], w[1]))
    if not winners:
        failed = studies[0].records
        raise UsageError(f"{row.title}: no trial that tunes it came to a result, all of them failed, the first with: {failed[0].reason}")
    hyperparameters = winners[(len(winners) - 1) // 2][2]
    return dataclasses.replace(with_options(row, option, hyperparameters), costs=cost(r for s in studies for r in s.records))


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


def _row_of(row: Trial) -> tuple[str, str]:
    return row.base_workload, row.label


def _without_test(row: Trial) -> Trial:
    """Without its test set: validation chooses settings."""
    task = Spec(row.task.name, {k: v for k, v in row.task.options.items() if k != "test"})
    return dataclasses.replace(row, task=task, workload=row.base_workload, test="")
