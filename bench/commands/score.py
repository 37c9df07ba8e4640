"""`runner.py score`: pictures, samples or maps that exist already, beside the real ones, as rows of a suite that is written for them."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import registry
from bench.commands.arguments import RunOptions
from bench.commands.options import data_root_of, resolve_device
from bench.commands.run import run_suite
from bench.commands.score_kinds import request_of
from bench.commands.score_requests import Request
from bench.commands.use_arguments import ScoreOptions
from bench.errors import UsageError
from bench.store.mlflow_store import Store
from bench.store.record import TrialRecord
from bench.text import one_line, open_console
from bench.training.build import open_task

_TIER = "quick"  # the suite has one; what is judged was trained elsewhere


def score(options: ScoreOptions) -> int:
    """Score what lies in files, log it, print and render the table of all that was scored beside the same truth.

    Returns:
        The exit code of the run.

    Raises:
        UsageError: files that do not belong together, or cannot be read; nothing is on record then.
    """
    for plugin in options.plugins:
        registry.load_plugin(plugin)
    request, console = request_of(options), open_console()
    for remark in request.remarks:
        console.print(f"note: {remark}")
    file = _write_suite(request, _columns(request, options), options.out)
    run = RunOptions(
        suite=str(file),
        tier=_TIER,
        out=options.out,
        tracking_uri=options.tracking_uri,
        device=options.device,
        data_root=options.data_root,
        plugins=options.plugins,
    )
    code = run_suite(run, console)
    with tempfile.TemporaryDirectory() as scratch:
        records = Store(file.stem, options.out, options.tracking_uri).leaderboard_records(_TIER, Path(scratch))
    for table in _write_per_image(records, options.out / file.stem / "report"):
        console.print(f"per image {table}", soft_wrap=True)
    if len(labels := dict.fromkeys(record.label for record in records)) > 1:
        pair = shlex.join(["runner.py", "compare", *list(labels)[:2], "--suite", str(file), "--out", str(options.out)])
        console.print(f"compare  {pair}", soft_wrap=True)
    if options.profile == "all":
        from bench.commands.conventions import print_conventions

        print_conventions(records)
    return code


def _columns(request: Request, options: ScoreOptions) -> list[str]:
    """The headline of the request, of what can be computed here: the first column ranks."""
    known = open_task(str(request.task), data_root_of(options.data_root), resolve_device(options.device)).cards()
    return [column for column in request.headline if column in known] or list(known)


def _write_suite(request: Request, columns: Sequence[str], out: Path) -> Path:
    """The suite of what is compared with one truth in one way: its rows are those of this call, its table has the earlier ones, too."""
    key = hashlib.sha256(f"{request.truth.resolve()} {request.task}".encode("utf-8", "surrogatepass")).hexdigest()[:6]
    slug = re.sub(r"[^A-Za-z0-9]+", "_", request.truth.stem).strip("_")[:40] or "truth"
    lines = [
        f"title = {json.dumps(one_line(request.title)[:200])}",
        f"task = {json.dumps(str(request.task))}",
        f"sort = {json.dumps(columns[0])}",
        f"headline = {json.dumps(columns)}",
        f"methods = {json.dumps([str(row) for row in request.rows])}",
        f"[tiers.{_TIER}]\nevaluations = 1",
    ]
    file = out / f"score_{slug}_{key}.toml"
    try:
        out.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}; give another --out") from error
    return file


def _write_per_image(records: Sequence[TrialRecord], folder: Path) -> list[Path]:
    """Every picture's scores as CSV and parquet, a row each; no files where the scores are of whole sets."""
    import pandas as pd

    frames = [record.per_image.assign(row=record.label) for record in records if len(record.per_image)]
    if not frames:
        return []
    table = pd.concat(frames).pivot_table(index=["row", "image"], columns="column", values="value", sort=False, dropna=False)
    table = table.reset_index().rename_axis(columns=None)
    files = [folder / "per_image.csv", folder / "per_image.parquet"]
    table.to_csv(files[0], index=False)
    table.to_parquet(files[1], index=False)
    return files
