"""What `runner.py score` is asked for, as a task and its rows: files are matched and looked at before anything is scored."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from bench import registry
from bench.commands.use_arguments import ScoreOptions
from bench.errors import UsageError
from bench.spec import Spec, parse, split
from datasets.reading.matching import match_pictures, remarks_on
from datasets.reading.sets_in_files import count_samples

_METRICS = ("psnr", "ssim", "gmsd", "haarpsi", "lpips")
_SET_METRICS = ("fid", "kid", "prdc", "fd[net=squeezenet1_0]", "sliced_wasserstein")


@dataclasses.dataclass(frozen=True)
class Request:
    """A suite to be written: one task, a row for each set of results."""

    title: str
    truth: Path
    task: Spec
    sort: str
    headline: Sequence[str]
    rows: Sequence[Spec]
    remarks: Sequence[str] = ()


def request_pictures(options: ScoreOptions) -> Request:
    """Restored pictures beside the true ones."""
    if options.truth is None:
        raise UsageError("say where the true pictures are: --truth FOLDER (or --real for samples that have no truth each)")
    without = match_pictures(options.results, options.truth, options.match, options.allow_missing)
    metrics = metrics_of(options) or _METRICS
    task = {"truth": str(options.truth.resolve()), "metrics": metrics, "profile": options.profile}
    if options.observed is not None:
        task["observed"] = str(options.observed.resolve())
    if without:
        task["without"] = tuple(without)
    rows = [Spec("outputs", {"path": str(p.resolve()), "match": options.match, "name": n}) for p, n in named_results(options)]
    title, remarks = f"Scored: restored pictures beside {options.truth}", remarks_on([options.truth, *options.results])
    return Request(title, options.truth, Spec("pictures", task), metrics[0], metrics[:2], rows, remarks)


def request_samples(options: ScoreOptions) -> Request:
    """Samples beside a set of real ones: a data set by its spec, or files."""
    if not options.real:
        raise UsageError("say what the real samples are: --real FOLDER, FILE or DATASET (see `runner.py data`)")
    place = Path(options.real).expanduser()
    data = str(Spec("sample_files", {"path": str(place.resolve())})) if place.exists() else options.real
    if not place.exists() and options.real.partition("[")[0].strip() not in registry.names("dataset"):
        raise UsageError(f"--real {options.real}: no such folder or file, and no data set of that name (see `runner.py data`)")
    metrics = metrics_of(options) or _SET_METRICS
    counts = {path: count_samples(path) for path in options.results}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{path}: {n}" for path, n in counts.items())
        raise UsageError(f"scores of sets depend on their sizes: score sets of one size together ({told})")
    n = next(iter(counts.values()))
    task = Spec("generate", {"data": data, "metrics": metrics, "samples": n, "references": _count_real(data, options.data_root, n)})
    rows = [Spec("samples", {"path": str(path.resolve()), "name": name}) for path, name in named_results(options)]
    return Request(f"Scored: samples beside {options.real}", place, task, _first_column(metrics[0]), (), rows)


def metrics_of(options: ScoreOptions) -> tuple[str, ...]:
    """The metrics that are asked for, separated by blanks or commas."""
    return tuple(part.strip() for text in options.metrics for part in split(text) if part.strip())


def named_results(options: ScoreOptions) -> list[tuple[Path, str]]:
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


def _first_column(metric: str) -> str:
    """The column that a metric of sets yields first."""
    made = registry.make("metric", metric)
    name = next(iter(made.columns), parse(metric).name) if hasattr(made, "columns") else parse(metric).name
    return str(dataclasses.replace(parse(metric), name=name))


def _count_real(data: str, root: Path | None, least: int) -> int:
    """How many real samples there are."""
    return max(least, len(registry.make("dataset", data).open(root, "test")))
