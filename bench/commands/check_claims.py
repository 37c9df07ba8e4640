"""The suite `claims`: check what the papers say, put every claim on record, render the page. The claims are in `bench/claims`."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import tempfile
import time
import uuid
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from bench import claim as claims
from bench.claim import Chapter, Checked, Claim, ClaimEntry
from bench.errors import UsageError
from bench.figure import FIGURE
from bench.running.environment import environment
from bench.scheduling.scheduler import graceful_stop
from bench.store.code_hash import tree_hash
from bench.store.identity import id_of
from bench.store.ledger import Ledger
from bench.store.record import TrialRecord
from bench.store.records import Records
from bench.store.run_dir import Held, RunDir
from bench.suites.read import CLAIMS, CLAIMS_TITLE
from bench.text import open_console

TIERS = {"quick": ("fast",), "standard": ("fast", "slow")}  # tier -> costs of the claims it checks
_MARK = {"holds": "✓", "holds with a deviation": "≈", "fails": "✗", "not checked": "–"}
_WAIT = 1.0  # seconds for a claim that another runner is at; then others come first


def run(tier: str, only: Sequence[str], out: Path, uri: str | None, fresh: bool) -> int:
    """Check the claims that are not on record, then render. Returns the exit code: 1 where a claim fails, 130 where the user stopped.

    Args:
        tier: quick (the fast claims) or standard (all).
        only: papers (`wgan`), claims (`wgan/clipping`) or patterns (`*/optimal_*`) instead of all.
        out: the output folder.
        uri: the tracking store, where not the default one.
        fresh: check again what is on record.

    Raises:
        UsageError: an unknown tier, paper or claim.
    """
    if tier not in TIERS:
        raise UsageError(f"suite {CLAIMS!r} has no tier {tier!r}; known: {', '.join(TIERS)}")
    chapters = claims.chapters()
    asked = [c for c in select(chapters, only) if c.cost in TIERS[tier]]
    if not asked:
        raise UsageError(f"tier {tier} has none of the claims {', '.join(only)}: they are slow; add --tier standard")
    console, code = open_console(), tree_hash()
    ledger = Ledger(CLAIMS, out, uri, console.print)
    before = ledger.folders.attempts()  # looked up first: what another runner ends from here on is not stale
    ledger.sync()
    done = ledger.done()
    outcomes = [done.get(id_of(_parts(c, code)), {}).get("outcome", "skipped") for c in asked]
    missing = [c for c, outcome in zip(asked, outcomes, strict=True) if fresh or outcome == "skipped"]  # what was missing may have come
    console.print(f"{CLAIMS_TITLE}\n{len(asked)} claims, tier {tier}")
    with graceful_stop() as stopped:
        queue, i = collections.deque(missing), 0
        while queue:
            if stopped():
                console.print("stopped; what was checked is on record: give the same command again to go on")
                return 130
            c = queue.popleft()
            folder = ledger.folders.of(id_of(_parts(c, code)))
            try:
                checked = _once(c, code, folder, before.get(folder.path.name))
            except Held:
                queue.append(c)
                continue
            ledger.put(folder)
            i += 1
            console.print(f"[{i}/{len(missing)}] {_MARK[checked.verdict]} {c.id}  {checked.reason}")
    if not missing:
        console.print(f"all {len(asked)} claims are on record already: nothing to check (--fresh checks again)")
    entries = report(console, ledger.records, out / CLAIMS / "report")
    wanted = {c.id for c in asked}
    return int(any(e.checked and e.checked.verdict == "fails" for e in entries if e.claim.id in wanted))


def select(chapters: Sequence[Chapter], only: Sequence[str]) -> list[Claim]:
    """The claims whose paper or id matches one of the patterns; all where there are none.

    Raises:
        UsageError: a pattern matches nothing.
    """
    every = [c for chapter in chapters for c in chapter.claims]
    for pattern in only:
        if not any(_matches(c, pattern) for c in every):
            raise UsageError(f"no claim or paper {pattern!r}; papers: {', '.join(c.name for c in chapters)}; a claim is paper/name")
    return [c for c in every if not only or any(_matches(c, pattern) for pattern in only)]


def report(console: Console, kept: Records, folder: Path) -> list[ClaimEntry]:
    """Render the newest record of every claim into a folder, and print the table.

    Raises:
        UsageError: nothing is on record, or a file cannot be written.
    """
    from reports import claims as rendered

    newest = {tags["label"]: trial_id for trial_id, tags in kept.done().items()}
    if not newest:
        raise UsageError(f"no claim is on record in {kept.uri}: run `runner.py --suite {CLAIMS}` first")
    with tempfile.TemporaryDirectory() as scratch:
        found = {r.label: _read(r) for r in kept.read(newest.values(), Path(scratch))}
    chapters = claims.chapters()
    entries = {chapter: [ClaimEntry(c, found.get(c.id)) for c in chapter.claims] for chapter in chapters}
    rendered.render(entries, folder, title=CLAIMS_TITLE, environment=environment("cpu"))
    console.width = max(console.width, 80)  # a table in less leaves columns out
    console.print(rendered.terminal(entries))
    console.print(f"report   {folder / 'index.html'}\nrecords  {kept.uri}")
    return [entry for part in entries.values() for entry in part]


def _matches(c: Claim, pattern: str) -> bool:
    return fnmatch(c.id, pattern) or fnmatch(c.id.partition("/")[0], pattern)


def _parts(c: Claim, code: str) -> dict[str, str]:
    """What decides the outcome: the project's code, the library that computes, and the data that a claim may find."""
    return {"claim": c.id, "code": code, "torch": torch.__version__, "data": os.environ.get("GANBENCH_DATA", "")}


def _once(c: Claim, code: str, folder: RunDir, stale: str | None) -> Checked:
    """Check a claim and write its record, unless another runner has done so since `stale`, the attempt that lay there.

    Raises:
        Held: another runner is at it.
    """
    with folder.held(_WAIT):
        if folder.attempt() not in (None, stale):
            return _read(folder.read())
        checked = c.check()
        _write(c, checked, code, folder)
        return checked


def _write(c: Claim, checked: Checked, code: str, folder: RunDir) -> None:
    parts = _parts(c, code)
    params = {"place": c.place, "statement": c.statement, "predicted": c.predicted, "how": c.how, "tolerance": f"{c.tolerance:g}"}
    cases = [f"{name}: " * bool(name) + f"{predicted:.6g} | {measured:.6g}" for name, predicted, measured in checked.cases]
    record = TrialRecord(
        suite=CLAIMS, task=c.id.partition("/")[0], label=c.id, spec=c.id, seed=0, tier=c.cost, trial_id=id_of(parts), parts=parts,
        outcome="skipped" if checked.verdict == "not checked" else "finished", reason=checked.reason,
        params=params | {"cases": "; ".join(cases)},
        tags={"verdict": checked.verdict}, costs={"seconds": checked.seconds}, environment=environment("cpu"),
        attempt=uuid.uuid4().hex, ended=time.time(),
    )  # fmt: skip
    if len(checked.cases) == 1:
        record.final = {"predicted": checked.cases[0][1], "measured": checked.cases[0][2]}
    folder.clear()
    (folder.results / "gallery").mkdir(parents=True)
    plain = dataclasses.asdict(dataclasses.replace(checked, figure=[])) | {"figure": FIGURE.dump_python(checked.figure, mode="json")}
    (folder.results / "gallery" / "checked.json").write_text(json.dumps(plain), encoding="utf-8")
    folder.close(record)


def _read(record: TrialRecord) -> Checked:
    assert record.gallery
    data: dict[str, Any] = json.loads((record.gallery / "checked.json").read_text(encoding="utf-8"))
    cases = tuple((str(name), float(predicted), float(measured)) for name, predicted, measured in data["cases"])
    return Checked(**data | {"cases": cases, "figure": FIGURE.validate_python(data["figure"])})
