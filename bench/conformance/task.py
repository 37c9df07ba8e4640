"""What every task must hold: batches are a function of (seed, i), every score has a card, and judging does not change training.

A task of a shipped suite is looked at as its smoke tier has it; any other with the options given.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench import registry
from bench.conformance import checks
from bench.conformance._tools import Checks, generator, leaves_no_trace, place, same
from bench.conformance.toy_methods import TOY_METHODS
from bench.errors import Unavailable, UsageError
from bench.evaluation import evaluation_mode
from bench.method import Method
from bench.spec import Spec, parse
from bench.suites import expand, read
from bench.task import Scores, Task

_STEPS = 3


def _pair(name: str) -> tuple[Task, Task]:
    """Two tasks of the kind, each with its data attached; opened once for all checks."""
    return _opened(registry.find("task", parse(name).name), name, os.environ.get("GANBENCH_DATA"), place())


@functools.lru_cache(maxsize=1)
def _opened(part: type, name: str, root: str | None, device: torch.device) -> tuple[Task, Task]:
    spec = parse(name)
    spec = spec if spec.options else _smallest().get(name, spec)
    one, other = (registry.make("task", spec) for _ in range(2))
    for task in (one, other):
        task.open(Path(root) if root else None, device)
    return one, other


@functools.cache
def _smallest() -> dict[str, Spec]:
    """Task -> the one of a shipped suite's first row at its smallest tier."""
    found: dict[str, Spec] = {}
    for name in read.suite_names():
        suite = read.load_suite(name)
        if "smoke" in suite.tiers:
            for trial in expand.expand(suite, "smoke"):
                found.setdefault(trial.task.name, trial.task)
    return found


def _method(task: Task, seed: int = 0) -> Method:
    if task.verb not in TOY_METHODS:
        raise Unavailable(f"no toy method can {task.verb}")
    torch.manual_seed(seed)
    with place():
        return TOY_METHODS[task.verb](task, steps=_STEPS, batch_size=2, optimizer="sgd[lr=1e-3]")


def check_declared(name: str) -> None:
    """What it says of itself is the same for two of a kind, and the parts that it names exist."""
    task, other = _pair(name)
    assert task.verb in TOY_METHODS, f"{name}: no method is asked to {task.verb!r}; known: {', '.join(TOY_METHODS)}"
    assert not (unknown := task.judging_options - task.options().keys()), (
        f"{name}: judging_options name {min(unknown)!r}, which is no option"
    )
    assert task.offers == other.offers, f"{name}: what it offers changes"
    assert all(isinstance(what, str) for what in task.offers), f"{name} offers something that is no word"
    assert task.fingerprint() == other.fingerprint(), f"{name}: the fingerprint of its data changes"
    for kind, spec in task.components():
        registry.find(kind, parse(spec).name)
    cards, again = task.cards(), other.cards()
    assert {k: card.hash for k, card in cards.items()} == {k: card.hash for k, card in again.items()}, f"{name}: its cards change"
    assert cards, f"{name} has no card: nothing would be scored"


def check_batches(name: str) -> None:
    """A batch is a function of its random numbers: drawn again, after others, or by another task of the kind, it has the same bits."""
    task, kin = _pair(name)
    with leaves_no_trace(f"{name}: batch"):
        first = list(_tensors(task.batch(2, generator(1))))
        task.batch(3, generator(2))
        again = list(_tensors(task.batch(2, generator(1))))
    other = list(_tensors(kin.batch(2, generator(1))))
    assert len(first) == len(again) == len(other), f"{name}: batches do not always hold the same"
    assert all(map(same, first, again)), f"{name}: a batch depends on those before it: it must be a function of `rng` alone"
    assert all(map(same, first, other)), f"{name}: another task of the kind draws other batches from the same random numbers"


def _tensors(batch: Any) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif hasattr(batch, "__dict__"):
        yield from (value for value in vars(batch).values() if isinstance(value, Tensor))


def check_scores(name: str) -> None:
    """Every number that `score` returns has a card; `validate` puts a column with a card first; both say the same when asked again."""
    task, _ = _pair(name)
    method = _method(task)
    with evaluation_mode(method):
        scores = task.score(method, lambda done, total: None)
    with evaluation_mode(method):
        again = task.score(method, lambda done, total: None)
    assert isinstance(scores, Scores), f"{name}: score returned {type(scores).__name__}, not Scores"
    cards = task.cards()
    if without := sorted((scores.values.keys() | scores.per_image.keys()) - cards.keys()):
        raise AssertionError(f"{name} scores {without[0]}, which has no card; it has those of {', '.join(cards)}")
    differ = [column for column, value in scores.values.items() if value == value and value != again.values[column]]
    assert not differ, f"{name}: {differ[0]} of the same method differs when it is scored again" if differ else ""
    with evaluation_mode(method):
        validated = task.validate(method)
    assert validated, f"{name}: validate returned nothing"
    assert next(iter(validated)) in cards, f"{name}: validate puts {next(iter(validated))!r} first, which has no card"
    assert task.ranked_by().hash == cards[next(iter(validated))].hash, f"{name}: `ranked_by` is not the card of what validate puts first"


def check_neutral(name: str) -> None:
    """A method that is validated at every update and scored in between ends on the bits of one that is not."""
    ends = []
    for task, evaluations in zip(_pair(name), (1, _STEPS), strict=True):
        method = _method(task)
        if evaluations > 1:
            with evaluation_mode(method):
                task.score(method, lambda done, total: None)
        with tempfile.TemporaryDirectory() as folder:
            torch.manual_seed(0)
            checks.train(method, Path(folder), evaluations=evaluations)
        ends.append(checks.fingerprint(method))
    assert ends[0] == ends[1], f"{name}: judging changes training: it must not move the method, nor torch's global random numbers"


def check_untrained(name: str) -> None:
    """A task that judges what exists says so where a batch is asked for."""
    task, _ = _pair(name)
    told = ""
    try:
        task.batch(2, generator(1))
    except UsageError as error:
        told = str(error)
    assert "outputs" in told, f"{name} offers files alone: refuse to draw a batch, and say that outputs[path=...] brings what is judged"


def checks_of(name: str) -> Checks:
    """Title -> check: fewer of a task that offers nothing to train on."""
    if _pair(name)[0].offers == {"files"}:
        return {"declared": check_declared, "untrained": check_untrained}
    return {"declared": check_declared, "batches": check_batches, "scores": check_scores, "judging-neutral": check_neutral}
