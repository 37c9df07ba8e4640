"""What `runner.py score` is asked for, as a task and its rows: files are matched and looked at before anything is scored."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from bench import registry
from bench.commands.use_arguments import ScoreOptions
from bench.errors import UsageError
from bench.spec import Spec, split
from datasets.reading.matching import match_pictures, remarks_on
from datasets.reading.sets_in_files import count_samples

_METRICS = ("psnr", "ssim", "gmsd", "haarpsi", "lpips")
_SET_METRICS = ("fid", "kid", "prdc", "fd[net=squeezenet1_0]", "sliced_wasserstein")
_MOST_REAL = 50_000  # samples that sets are compared with


@dataclasses.dataclass(frozen=True)
class Request:
    """A suite to be written: one task, a row for each set of results.

    Attributes:
        headline: the columns that the terminal shows, those that can be computed; the first of them ranks. Empty: all.
        remarks: what is said before anything is scored.
    """

    title: str
    truth: Path
    task: Spec
    headline: Sequence[str]
    rows: Sequence[Spec]
    remarks: Sequence[str] = ()


def request_pictures(options: ScoreOptions) -> Request:
    """Restored pictures beside the true ones."""
    truth = truth_of(options, "pictures")
    without = match_pictures(options.results, truth, options.match, options.allow_missing)
    metrics = metrics_of(options) or _METRICS
    task = task_beside(truth, metrics, without, observed=options.observed) | {"profile": options.profile}
    request = request_rows(options, "restored pictures", truth, Spec("pictures", task), metrics[:2])
    return dataclasses.replace(request, remarks=remarks_on([truth, *options.results]))


def request_samples(options: ScoreOptions) -> Request:
    """Samples beside a set of real ones: a data set by its spec, or files."""
    if not options.real:
        raise UsageError("say what the real samples are: --real FOLDER, FILE or DATASET (see `runner.py data`)")
    place = Path(options.real).expanduser()
    data = str(Spec("sample_files", {"path": str(place.resolve())})) if place.exists() else options.real
    if not place.exists() and options.real.partition("[")[0].strip() not in registry.names("dataset"):
        raise UsageError(f"--real {options.real}: no such folder or file, and no data set of that name (see `runner.py data`)")
    counts = {path: count_samples(path) for path in options.results}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{path}: {n}" for path, n in counts.items())
        raise UsageError(f"scores of sets depend on their sizes: score sets of one size together ({told})")
    n = next(iter(counts.values()))
    task = {"data": data, "metrics": metrics_of(options) or _SET_METRICS, "samples": n, "references": max(n, _MOST_REAL)}
    rows = [Spec("samples", {"path": str(path.resolve()), "name": name}) for path, name in _named_results(options)]
    return Request(f"Scored: samples beside {options.real}", place, Spec("generate", task), (), rows)


def request_rows(options: ScoreOptions, what: str, truth: Path, task: Spec, headline: Sequence[str]) -> Request:
    """A row of `outputs` for each set of results."""
    rows = [Spec("outputs", {"path": str(p.resolve()), "match": options.match, "name": n}) for p, n in _named_results(options)]
    return Request(f"Scored: {what} beside {truth}", truth, task, headline, rows)


def task_beside(truth: Path, metrics: Sequence[str], without: Sequence[str], **besides: Path | None) -> dict[str, object]:
    """The options of a task whose truth is files; `besides` are further places, of which those that are given count."""
    given = {name: str(path.resolve()) for name, path in besides.items() if path is not None}
    return {"truth": str(truth.resolve()), "metrics": tuple(metrics), **given, **({"without": tuple(without)} if without else {})}


def truth_of(options: ScoreOptions, what: str) -> Path:
    """Where the truth is. Raises UsageError where it is not given."""
    if options.truth is None:
        raise UsageError(f"say where the true {what} are: --truth FOLDER")
    return options.truth


def metrics_of(options: ScoreOptions) -> tuple[str, ...]:
    """The metrics that are asked for, separated by blanks or commas."""
    return tuple(part.strip() for text in options.metrics for part in split(text) if part.strip())


def _named_results(options: ScoreOptions) -> list[tuple[Path, str]]:
    """Each set of results with the name of its row: as given, else that of its folder or file."""
    if options.names and len(options.names) != len(options.results):
        raise UsageError(f"{len(options.names)} names for {len(options.results)} sets of results: give one --name for each")
    places = [path.resolve() for path in options.results]
    if again := next((path for i, path in enumerate(places) if path in places[:i]), None):
        raise UsageError(f"{again} is given twice")
    names = list(options.names) or [path.resolve().stem for path in options.results]
    if not options.names and len(set(names)) < len(names):
        names = ["/".join(path.resolve().parts[-2:]) for path in options.results]
    if twice := [name for name, count in collections.Counter(names).items() if count > 1]:
        raise UsageError(f"two sets of results would be called {twice[0]!r}: give each a --name")
    return list(zip(options.results, names, strict=True))
