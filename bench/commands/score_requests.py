"""What `runner.py score` is asked for, as a task and its rows: files are matched and looked at before anything is scored."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from bench import registry
from bench.errors import UsageError
from bench.spec import Spec
from bench.text import one_line
from datasets.reading.outputs import count_samples, few_of, named_files

_METRICS = ("psnr", "ssim", "gmsd", "haarpsi", "lpips")
_SET_METRICS = ("fid", "kid", "prdc", "fd[net=squeezenet1_0]", "sliced_wasserstein")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """The options of `runner.py score`, as given."""

    results: Sequence[Path]
    truth: Path | None = None
    observed: Path | None = None
    real: str = ""
    task: str = ""
    profile: str = "default"
    metrics: Sequence[str] = ()
    names: Sequence[str] = ()
    match: str = "{}"
    allow_missing: bool = False
    out: Path = Path("runs")
    tracking_uri: str | None = None
    device: str = "auto"
    data_root: Path | None = None


@dataclasses.dataclass(frozen=True)
class Request:
    """A suite to be written: one task, a row for each set of results."""

    title: str
    truth: Path
    task: Spec
    sort: str
    headline: Sequence[str]
    rows: Sequence[Spec]


def request_of(options: ScoreOptions) -> Request:
    """The request of the kind that is asked for.

    Raises:
        UsageError: options that do not go together, files that do not belong together.
    """
    kind = options.task or ("samples" if options.real else "pictures")
    if kind not in KINDS:
        raise UsageError(f"unknown --task {kind!r}; known: {', '.join(KINDS)}")
    if missing := [path for path in options.results if not path.exists()]:
        raise UsageError(f"{missing[0]} does not exist: give the folder, archive, array or file of the results")
    return KINDS[kind](options)


def _request_pictures(options: ScoreOptions) -> Request:
    """Restored pictures beside the true ones."""
    if options.truth is None:
        raise UsageError("say where the true pictures are: --truth FOLDER (or --real for samples that have no truth each)")
    without = match_pictures(options.results, options.truth, options.match, options.allow_missing)
    metrics = tuple(options.metrics) or _METRICS
    task = {"truth": str(options.truth.resolve()), "metrics": metrics, "profile": options.profile}
    if options.observed is not None:
        task["observed"] = str(options.observed.resolve())
    if without:
        task["without"] = tuple(without)
    rows = [Spec("outputs", {"path": str(p.resolve()), "match": options.match, "name": n}) for p, n in _named_results(options)]
    title = f"Scored: {len(rows)} {'sets' if len(rows) > 1 else 'set'} of restored pictures beside {options.truth}"
    return Request(title, options.truth, Spec("pictures", task), metrics[0], metrics[:2], rows)


def _request_samples(options: ScoreOptions) -> Request:
    """Samples beside a set of real ones: a data set by its spec, or files."""
    if not options.real:
        raise UsageError("say what the real samples are: --real FOLDER, FILE or DATASET (see `runner.py data`)")
    place = Path(options.real).expanduser()
    data = str(Spec("sample_files", {"path": str(place.resolve())})) if place.exists() else options.real
    metrics = tuple(options.metrics) or _SET_METRICS
    counts = {path: count_samples(path) for path in options.results}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{path}: {n}" for path, n in counts.items())
        raise UsageError(f"scores of sets depend on their sizes: score sets of one size together ({told})")
    n = next(iter(counts.values()))
    task = Spec("generate", {"data": data, "metrics": metrics, "samples": n, "references": _count_real(data, options.data_root, n)})
    rows = [Spec("samples", {"path": str(path.resolve()), "name": name}) for path, name in _named_results(options)]
    return Request(f"Scored: samples beside {options.real}", place, task, _first_column(metrics[0]), (), rows)


KINDS: Mapping[str, Callable[[ScoreOptions], Request]] = {"pictures": _request_pictures, "samples": _request_samples}
"""What can be scored: --task -> how it is asked for."""


def match_pictures(results: Sequence[Path], truth: Path, match: str, allow_missing: bool) -> list[str]:
    """Check that every set of restored pictures has a file for each true one, of its size, and none besides.

    Args:
        results: folders, or files where the truth is one.
        truth: the folder or file of the true pictures.
        match: how restored files are called (see `datasets.reading.outputs.named_files`).
        allow_missing: leave true pictures out that some set lacks, and files that have no truth.

    Returns:
        The names of the true pictures that are left out.

    Raises:
        UsageError: something is left over on either side, or two sizes differ; the message names them.
    """
    if truth.is_file() != all(path.is_file() for path in results):
        raise UsageError(f"{truth} is a {'file' if truth.is_file() else 'folder'}: give as many files as that, or folders on both sides")
    if truth.is_file():
        for path in results:
            _compare_sizes({truth.stem: truth}, {truth.stem: path})
        return []
    true, without = named_files(truth), dict[str, None]()
    for path in results:
        found = named_files(path, match)
        lacking, besides = [n for n in true if n not in found], [n for n in found if n not in true]
        if (lacking or besides) and not allow_missing:
            raise UsageError(_tell_leftovers(path, truth, lacking, besides))
        if len(lacking) == len(true):
            raise UsageError(one_line(f"no file in {path} is called as one in {truth}: {_tell_leftovers(path, truth, lacking, besides)}"))
        _compare_sizes(true, found)
        without |= dict.fromkeys(lacking)
    if len(without) == len(true):
        raise UsageError(f"no picture of {truth} is in all of these sets")
    return list(without)


def _tell_leftovers(path: Path, truth: Path, lacking: Sequence[str], besides: Sequence[str]) -> str:
    parts = [f"{path} lacks {len(lacking)} of the pictures of {truth}: {few_of(lacking)}"] if lacking else []
    parts += [f"{path} has {len(besides)} that {truth} has not: {few_of(besides)}"] if besides else []
    advice = "rename them, give --match such as '{}_restored', or --allow-missing to leave them out"
    return one_line("; ".join([*parts, advice]))


def _compare_sizes(true: Mapping[str, Path], found: Mapping[str, Path]) -> None:
    """Raise UsageError where a restored picture has another size than the true one, by their headers."""
    wrong = [(name, sizes) for name in true if name in found and (sizes := (_size(found[name]), _size(true[name])))[0] != sizes[1]]
    if wrong:
        name, (here, there) = wrong[0]
        more = f", and {len(wrong) - 1} more differ" if len(wrong) > 1 else ""
        told = f"{found[name]} is {here[0]} x {here[1]} pixels, the true picture {name} is {there[0]} x {there[1]}"
        raise UsageError(one_line(f"{told}{more}: make them one size"))


def _size(path: Path) -> tuple[int, int]:
    """Width and height as it is meant to be seen."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if turned else image.size
    except Exception as error:  # damaged files make the decoders raise nearly anything
        raise UsageError(one_line(f"cannot read the image {path}: {error}; replace it")) from error


def _named_results(options: ScoreOptions) -> list[tuple[Path, str]]:
    """Each set of results with the name of its row: as given, else that of its folder or file."""
    if options.names and len(options.names) != len(options.results):
        raise UsageError(f"{len(options.names)} names for {len(options.results)} sets of results: give one --name for each")
    names = list(options.names) or [path.resolve().stem for path in options.results]
    if not options.names and len(set(names)) < len(names):
        names = ["/".join(path.resolve().parts[-2:]) for path in options.results]
    if twice := [name for name, count in collections.Counter(names).items() if count > 1]:
        raise UsageError(f"two sets of results would be called {twice[0]!r}: give each a --name")
    return list(zip(options.results, names, strict=True))


def _first_column(metric: str) -> str:
    """The column that a metric of sets yields first."""
    from bench.spec import parse

    made = registry.make("metric", metric)
    name = next(iter(made.columns), parse(metric).name) if hasattr(made, "columns") else parse(metric).name
    return str(dataclasses.replace(parse(metric), name=name))


def _count_real(data: str, root: Path | None, least: int) -> int:
    """How many real samples there are."""
    return max(least, len(registry.make("dataset", data).open(root, "test")))
