"""The suite `claims`: check what the papers say, put every claim on record, render the page. The claims are in `bench/claims`."""

from __future__ import annotations

import dataclasses
import os
import time
import uuid
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from rich.console import Console

from bench import claim as claims
from bench.claim import Chapter, Checked, Claim, ClaimEntry
from bench.errors import UsageError
from bench.figure import FIGURE
from bench.running.environment import environment
from bench.scheduling.scheduler import graceful_stop, run_once
from bench.store.code_hash import tree_hash
from bench.store.identity import id_of
from bench.store.ledger import Ledger
from bench.store.run_dir import RunDir
from bench.store.stored import ClaimCheck
from bench.suites.read import CLAIMS, CLAIMS_TITLE
from bench.text import open_console
from bench.training.loop import Interrupted

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
    asked = _claims_of_tier(tier, only)
    console, code = open_console(), tree_hash()
    ledger = Ledger(CLAIMS, out, uri, console.print)
    before = ledger.folders.attempts()  # looked up first: what another runner ends from here on is not replaced
    ledger.sync()
    known = ledger.runs()
    ids = {c.id: id_of(_facts(c, code)) for c in asked}
    outcomes = {c.id: known.get(ids[c.id], {}).get("outcome", "skipped") for c in asked}
    missing = [c for c in asked if fresh or outcomes[c.id] == "skipped"]  # what was missing may have come
    console.print(f"{CLAIMS_TITLE}\n{len(asked)} claims, tier {tier}")

    def check(c: Claim) -> Checked:
        folder = ledger.folders.of(ids[c.id])
        return _check_once(c, code, folder, before.get(ids[c.id], {}).get(ids[c.id]))

    try:
        with graceful_stop() as stopped:
            for i, (c, checked) in enumerate(run_once(missing, check, stopped), 1):
                ledger.put(ledger.folders.of(ids[c.id]))
                console.print(f"[{i}/{len(missing)}] {_MARK[checked.verdict]} {c.id}  {checked.reason}")
    except Interrupted:
        console.print("stopped; what was checked is on record: give the same command again to go on")
        return 130
    if not missing:
        console.print(f"all {len(asked)} claims are on record already: nothing to check (--fresh checks again)")
    entries = report(console, ledger, out / CLAIMS / "report")
    return int(any(e.checked and e.checked.verdict == "fails" for e in entries if e.claim.id in ids))


def _claims_of_tier(tier: str, only: Sequence[str]) -> list[Claim]:
    if tier not in TIERS:
        raise UsageError(f"suite {CLAIMS!r} has no tier {tier!r}; known: {', '.join(TIERS)}")
    asked = [c for c in select(claims.chapters(), only) if c.cost in TIERS[tier]]
    if not asked:
        raise UsageError(f"tier {tier} has none of the claims {', '.join(only)}: they are slow; add --tier standard")
    return asked


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


def report(console: Console, ledger: Ledger, folder: Path) -> list[ClaimEntry]:
    """Render the newest record of every claim into a folder, and print the table.

    Raises:
        UsageError: nothing is on record, or a file cannot be written.
    """
    from reports import claims as rendered

    newest = {tags["claim"]: run_id for run_id, tags in ledger.runs().items() if tags["kind"] == ClaimCheck.kind}
    if not newest:
        raise UsageError(f"no claim is on record in {ledger.records.uri}: run `runner.py --suite {CLAIMS}` first")
    found = {check.claim: _read(check) for check in ledger.claims(newest.values())}
    chapters = claims.chapters()
    entries = {chapter: [ClaimEntry(c, found.get(c.id)) for c in chapter.claims] for chapter in chapters}
    rendered.render(entries, folder, title=CLAIMS_TITLE, environment=environment("cpu"))
    console.width = max(console.width, 80)  # a table in less leaves columns out
    console.print(rendered.terminal(entries))
    console.print(f"report   {folder / 'index.html'}\nrecords  {ledger.records.uri}")
    return [entry for part in entries.values() for entry in part]


def _matches(c: Claim, pattern: str) -> bool:
    return fnmatch(c.id, pattern) or fnmatch(c.id.partition("/")[0], pattern)


def _facts(c: Claim, code: str) -> dict[str, str]:
    """What decides the outcome: the project's code, and the data that a claim may find."""
    return {"claim": c.id, "code": code, "data": os.environ.get("GANBENCH_DATA", "")}


def _check_once(c: Claim, code: str, folder: RunDir, replaces: str | None) -> Checked:
    """Check a claim and write its record, unless another runner has done so since `replaces`, the attempt that lay there.

    Raises:
        Locked: another runner is at it.
    """
    with folder.lock(_WAIT):
        if folder.attempt() not in (None, replaces):
            made = folder.read()
            assert isinstance(made, ClaimCheck)
            return _read(made)
        checked = c.check()
        folder.clear()
        folder.close(_record(c, checked, code))
        return checked


def _record(c: Claim, checked: Checked, code: str) -> ClaimCheck:
    facts = _facts(c, code)
    params = {"place": c.place, "statement": c.statement, "predicted": c.predicted, "how": c.how, "tolerance": f"{c.tolerance:g}"}
    cases = [f"{name}: " * bool(name) + f"{predicted:.6g} | {measured:.6g}" for name, predicted, measured in checked.cases]
    plain = dataclasses.asdict(dataclasses.replace(checked, figure=[])) | {"figure": FIGURE.dump_python(checked.figure, mode="json")}
    one = checked.cases[0][1:] if len(checked.cases) == 1 else ()
    return ClaimCheck(
        id=id_of(facts), suite=CLAIMS, claim=c.id, tier=c.cost, facts=facts,
        outcome="skipped" if checked.verdict == "not checked" else "finished",
        reason=checked.reason, params=params | {"cases": "; ".join(cases)}, checked=plain, tags={"verdict": checked.verdict},
        summary=dict(zip(("predicted", "measured"), one)), costs={"seconds": checked.seconds}, environment=environment("cpu"),
        attempt=uuid.uuid4().hex, ended=time.time(),
    )  # fmt: skip


def _read(check: ClaimCheck) -> Checked:
    data = check.checked
    cases = tuple((str(name), float(predicted), float(measured)) for name, predicted, measured in data["cases"])
    return Checked(**data | {"cases": cases, "figure": FIGURE.validate_python(data["figure"])})
