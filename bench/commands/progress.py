"""What a user sees while a suite runs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from typing_extensions import override

from bench.running.job import Job
from bench.store.record import TrialRecord
from bench.training.progress import Progress

_EVERY = 15.0  # seconds between plain lines of one trial


class SuiteDisplay:
    """A context manager that shows the suite and every running trial: updates, images/s, losses, time left, evaluation."""

    def __init__(self, console: Console, total: int, headline: Sequence[str], several: bool = False) -> None:
        self.console, self.total, self.headline, self.several = console, total, headline, several
        self.passed = self.started = 0  # trials of the phases before this one: tuning, rows, sensitivity; and all that began to run
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        note = TextColumn("{task.fields[note]}", markup=False)
        self.bars = rich.progress.Progress(*columns, note, console=console, transient=True, disable=not console.is_terminal)
        self.suite = self.bars.add_task("suite", total=total, note="")

    def __enter__(self) -> SuiteDisplay:
        self.bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.bars.stop()

    def start(self, job: Job, total: int) -> JobDisplay:
        """A job begins, its first trial the one at `index` of its phase."""
        self.started += 1
        at, trial = self.passed + job.index, job.trial
        place = f"[{at + 1}/{self.total}]"
        if not self.several:
            self.bars.update(self.suite, completed=at)
        self.line(f"{place} {trial.title}, seed {trial.seed}{f': {job.why}' if job.why else ''}")
        return JobDisplay(self, job, place if self.several else "   ")

    def line(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


class JobDisplay(Progress):
    """Shows one running job."""

    def __init__(self, suite: SuiteDisplay, job: Job, place: str) -> None:
        self.suite, self.steps, self.place, self.several = suite, int(job.trial.steps), place, len(job.trials) > 1
        self.said = self.began = time.monotonic()
        self.title = f"{job.trial.title}, seed {job.trial.seed}"
        self.bar = suite.bars.add_task("train", total=self.steps or None, note=self.title)

    @override
    def update(self, step: int, images_per_s: float, values: Mapping[str, float]) -> None:
        note = f"{images_per_s:,.1f} images/s  " + "  ".join(f"{k} {v:.4g}" for k, v in values.items())
        self.suite.bars.update(self.bar, description="train", completed=step, total=self.steps, note=f"{self.title}  {note}")
        if not self.suite.console.is_terminal and time.monotonic() - self.said > _EVERY:
            self.suite.line(f"{self.place} update {step}/{self.steps}  {note}")
            self.said = time.monotonic()

    @override
    def evaluating(self, done: int, total: int) -> None:
        self.suite.bars.update(self.bar, description="judge", completed=done, total=total, note=self.title)

    @override
    def ended(self, records: Sequence[TrialRecord]) -> None:
        self.suite.bars.remove_task(self.bar)
        self.suite.bars.advance(self.suite.suite, len(records))
        for record in records:
            scores = "  ".join(f"{k} {v:.4g}" for k, v in record.final.items() if k in self.suite.headline)
            of = f"{record.test}: " if self.several else ""
            told = f"{of}{record.outcome}{f': {record.reason}' if record.reason else ''}  {scores}  ({time.monotonic() - self.began:.0f} s)"
            self.suite.line(f"{self.place} {told}")
