"""What every suite must hold: it can be read, every tier of it can be planned, and it sorts by something that its task scores."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from bench.conformance._tools import Checks
from bench.scheduling import tuning
from bench.spec import parse
from bench.suites import expand, read
from bench.suites.schema import Suite, TierName
from bench.suites.trial import Trial
from bench.training.build import open_task


def _first_rows(suite: Suite, tier: TierName) -> dict[str, Trial]:
    """Table -> its first trial at a tier."""
    return {row.workload: row for row in reversed(expand.expand(suite, tier))}


def check_tiers(name: str) -> None:
    """Every tier has rows, and what tunes them can be planned."""
    suite = read.load_suite(name)
    for tier, level in suite.tiers.items():
        rows = expand.expand(suite, tier)
        assert rows, f"{name}: the tier {tier} has no rows"
        tuning.count(tuning.prepare(rows, level), level)


def check_columns(name: str) -> None:
    """The column that ranks a table is scored, or told to be unavailable, at the smallest tier that scores by the suite's own metrics."""
    suite, root = read.load_suite(name), os.environ.get("GANBENCH_DATA")
    for table in suite.tables:
        own = parse(table.task).options.get("metrics")
        rows = [row for tier in suite.tiers if (row := _first_rows(suite, tier).get(table.name)) and row.task.options.get("metrics") == own]
        for row in rows[:1]:
            task = open_task(str(row.task), Path(root) if root else None, torch.device("cpu"))
            known = [*task.cards(), *(note.removeprefix("unavailable.") for note in task.notes() if note.startswith("unavailable."))]
            where = f"{name}, workload {table.name}" if table.name else name
            told = f"{where} sorts by {table.sort!r}, which the task {row.task.name} does not score; known: {', '.join(known)}"
            assert table.sort in known, told


def checks_of(name: str) -> Checks:
    """Title -> check."""
    return {"tiers": check_tiers, "columns": check_columns}
