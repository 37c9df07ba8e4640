"""What a user sees while a suite runs: three bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.record import TrialRecord
from bench.suite import Trial

_EVERY = 15.0  # seconds between plain lines of one trial


class SuiteDisplay:
    """Shows the suite, the running trial (updates, images/s, losses, time left) and its evaluation. Use as a context manager."""

    def __init__(self, console: Console, total: int, headline: Sequence[str]) -> None:
        self.console, self.total, self.headline = console, total, headline
        self.passed = 0  # trials of the phases before this one: tuning, rows, sensitivity
        columns = (TextColumn("{task.description}"), BarColumn(28), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        note = TextColumn("{task.fields[note]}")
        self.bars = Progress(*columns, note, console=console, transient=True, disable=not console.is_terminal)
        self.suite = self.bars.add_task("suite", total=total, note="")
        self.trial = self.bars.add_task("train", total=None, note="", visible=False)
        self.judge = self.bars.add_task("judge", total=None, note="", visible=False)
        self.steps, self.said, self.began = 0, 0.0, 0.0

    def __enter__(self) -> SuiteDisplay:
        self.bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.bars.stop()

    def start(self, trial: Trial, index: int, total: int, why: str) -> None:
        """A trial begins, the one at `index` of its phase."""
        at = self.passed + index
        self.steps = int(trial.steps)
        self.said = self.began = time.monotonic()
        self.bars.update(self.suite, completed=at, note=f"{trial.title}, seed {trial.seed}")
        self.bars.reset(self.trial, total=self.steps or None, visible=self.steps > 0, note="")
        self.bars.reset(self.judge, visible=False)
        self._line(f"[{at + 1}/{self.total}] {trial.title}, seed {trial.seed}{f': re-run, {why}' if why else ''}")

    def update(self, step: int, images_per_s: float, values: dict[str, float]) -> None:
        """A window of updates is done."""
        note = f"{images_per_s:,.1f} images/s  " + "  ".join(f"{k} {v:.4g}" for k, v in values.items())
        self.bars.update(self.trial, completed=step, note=note)
        if not self.console.is_terminal and time.monotonic() - self.said > _EVERY:
            self._line(f"    update {step}/{self.steps}  {note}")
            self.said = time.monotonic()

    def evaluating(self, done: int, total: int) -> None:
        """Pictures judged so far."""
        self.bars.update(self.judge, completed=done, total=total, visible=True)

    def end(self, trial: Trial, record: TrialRecord) -> None:
        """A trial is on record."""
        self.bars.advance(self.suite)
        scores = "  ".join(f"{k} {v:.4g}" for k, v in record.final.items() if k in self.headline)
        self._line(f"    {record.outcome}{f': {record.reason}' if record.reason else ''}  {scores}  ({time.monotonic() - self.began:.0f} s)")

    def _line(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
