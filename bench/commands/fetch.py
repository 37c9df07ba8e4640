"""`runner.py weights fetch` and `data fetch`: the only doors to the network, opened by name alone."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from bench import registry
from bench.dataset import DataSource
from bench.errors import Unavailable, UsageError
from bench.external import weights as manifest
from bench.external.archive import is_archive, merge, unpack
from bench.external.download import Progress, download
from bench.external.fingerprint import Fingerprint
from bench.text import open_console

_RECORD = "fetched.json"  # below the data root: address -> sha256 of what came from it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Remote:
    """A published file of a data set. `sha256`: its digest; none: recorded when it is fetched first."""

    url: str
    sha256: str
    into: str  # the folder below the data root that it, or what its archive holds, belongs to

    @property
    def filename(self) -> str:
        """The last part of its address."""
        return self.url.rpartition("/")[2]


@functools.cache
def remotes() -> dict[str, list[Remote]]:
    """The files of every data set that can be fetched (`datasets/remotes.toml`)."""
    entries = tomllib.loads((registry.ROOT / "datasets" / "remotes.toml").read_text(encoding="utf-8"))
    return {
        name: [
            Remote(url=entry["url"].format(name=file), sha256=digest, into=entry.get("into", "."))
            for file, digest in entry["sha256"].items()
        ]
        for name, entry in entries.items()
    }


def weights(name: str) -> None:
    """Fetch one entry of the manifest into the first folder where weights are looked for, unless a verified file is here.

    Raises:
        UsageError: no such weights.
        Unavailable: the manifest has no direct address, or the download failed.
    """
    console = open_console()
    try:
        console.print(f"{manifest.resolve(name)} is here, {manifest.manifest()[name].fingerprint.described}")
        return
    except (Unavailable, UsageError):  # missing, or not the published file
        if name not in manifest.manifest():
            raise
    weight = manifest.manifest()[name]
    place = manifest.folders()[0] / weight.filename
    if not weight.direct:
        raise Unavailable(f"{weight.filename} has no address of its own: get it from {weight.url} and put it into {place.parent}")
    with _show_download(weight.filename, console) as progress:
        found = download(weight.url, place, weight.fingerprint, progress)
    console.print(f"{place}, {weight.fingerprint.described}, sha256 {found}")


def data(name: str, root: Path | None) -> None:
    """Fetch a data set into a folder of its own below the data root, unpack it there, and move it into place once it is whole.

    Raises:
        UsageError: no such data set, or no data root.
        Unavailable: its publisher gives no direct address, a download failed, an archive is hostile, or something is in the way.
    """
    source, console = _source(name), open_console()
    if root is None:
        raise UsageError("say where data sets lie: give --data-root or GANBENCH_DATA")
    with contextlib.suppress(Unavailable, UsageError):
        console.print(f"{source.find(root) or source.origin} is here")
        return
    if not (files := remotes().get(name)):
        raise Unavailable(f"data set {name!r} cannot be fetched: get it from {source.origin}, put it below {root} as {source.layout}")
    stage = root / f".fetching-{name}"
    found = {remote.url: _fetch(remote, stage / "files", _read_digests(root), console) for remote in files}
    folder = _assemble(source, files, stage)
    try:
        merge(stage / "tree", root)
        (root / _RECORD).write_text(json.dumps(_read_digests(root) | found, indent=1), encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"cannot write below {root}: {error.strerror}; mend that, then run the same command again") from error
    shutil.rmtree(stage, ignore_errors=True)
    console.print(f"{root / folder}; its sha256 stand in {root / _RECORD}; licence: {source.licence}")


def _source(name: str) -> DataSource:
    part = registry.find("dataset", name)
    if not (isinstance(part, type) and issubclass(part, DataSource)):
        raise UsageError(f"{name!r} is no data set on disk")
    source: DataSource = part()
    return source


def _fetch(remote: Remote, folder: Path, known: dict[str, str], console: Console) -> str:
    """The file of a remote in `folder`; its digest."""
    place, expected = folder / remote.filename, remote.sha256 or known.get(remote.url, "")
    if place.is_file() and (digest := manifest.digest(place)).startswith(expected):
        return digest  # of an earlier attempt that came to grief later
    with _show_download(remote.filename, console) as progress:
        return download(remote.url, place, Fingerprint(sha256=expected), progress)


def _assemble(source: DataSource, files: Sequence[Remote], stage: Path) -> Path:
    """All files as they will lie below the data root, in `stage/tree`; the folder of the set below it.

    Raises:
        Unavailable: an archive is damaged or hostile, or what it holds is not what the source reads.
    """
    tree = stage / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for remote in files:
        file, into = stage / "files" / remote.filename, tree / remote.into
        if is_archive(file):
            unpack(file, into)
        else:
            into.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, into / file.name)
    try:
        folder = source.find(tree)
        if source.count(tree, "test") == 0:
            raise Unavailable("nothing to test on")
    except (Unavailable, UsageError) as error:
        raise Unavailable(f"what came from {source.origin} is not laid out as {source.layout}: look at it in {tree}") from error
    assert folder is not None
    return folder.relative_to(tree)


def _read_digests(root: Path) -> dict[str, str]:
    try:
        record: dict[str, str] = json.loads((root / _RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Unavailable(f"cannot read {root / _RECORD}: {error}; mend or remove it") from error
    return record


@contextlib.contextmanager
def _show_download(name: str, console: Console) -> Iterator[Progress]:
    """A bar on a terminal, a line elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(28), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    if not console.is_terminal:
        console.print(f"fetching {name}")
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(name, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
