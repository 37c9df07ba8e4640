"""Archives of strangers, unpacked safely: regular files below one folder, bounded in number and size, in place whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import lzma
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Literal

from typing_extensions import override

from bench.errors import Unavailable

_TAR: dict[str, Literal["r:", "r:gz", "r:bz2", "r:xz"]] = {".tar": "r:", ".gz": "r:gz", ".tgz": "r:gz", ".bz2": "r:bz2", ".xz": "r:xz"}
ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_CHUNK = 1 << 20
_LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that an archive may unpack to. Pictures hardly compress: a ratio of hundreds is an attack, no data set."""

    size: int = 256 << 30  # bytes in all
    ratio: float = 100.0  # bytes a byte of the archive, beyond `free`
    free: int = 64 << 20
    files: int = 2_000_000


_LIMITS = Limits()


@dataclasses.dataclass(frozen=True)
class _Member:
    name: str
    kind: str  # "file", "folder", or what it is instead
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """Whether its name ends like an archive that `unpack` reads."""
    return path.name.lower().endswith(ENDINGS)


def unpack(path: Path, folder: Path, limits: Limits = _LIMITS) -> None:
    """Unpack a zip or tar archive into `folder`, beside what is there. Only contents count: owners, modes and times are dropped.

    Raises:
        Unavailable: the archive is damaged, has a member that would land elsewhere, a link, a device or a password, a name twice,
            or unfolds beyond `limits`; or `folder` has such a file already. Nothing is left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as scratch:
        try:
            _write(path, Path(scratch), limits)
        except Unavailable:
            raise
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError, OSError) as error:
            raise Unavailable(f"cannot unpack {path}: {str(error) or type(error).__name__}") from error
        merge(Path(scratch), folder)


def merge(source: Path, target: Path) -> None:
    """Move what lies below one folder into another on the same disk, without replacing anything: all of it or nothing.

    Raises:
        Unavailable: something of that name is there.
        OSError: the disk refused a move; those before it were taken back.
    """
    moves = list(_moves(source, target))
    if taken := [place for _, place in moves if os.path.lexists(place)]:
        raise Unavailable(f"{taken[0]} is in the way: move it, then run the same command again")
    with contextlib.ExitStack() as undo:
        for item, place in moves:
            item.rename(place)
            undo.callback(place.rename, item)
        undo.pop_all()


def _moves(source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """(from, to) of each move: a whole folder where the target has none of that name."""
    for item in sorted(source.iterdir()):
        place = target / item.name
        if item.is_dir() and place.is_dir():
            yield from _moves(item, place)
        else:
            yield item, place


def _write(path: Path, folder: Path, limits: Limits) -> None:
    room = min(limits.size, limits.free + int(limits.ratio * path.stat().st_size))
    for number, member in enumerate(_members(path, folder)):
        if number >= limits.files:
            raise Unavailable(f"cannot unpack {path}: it has more than {limits.files:,} members")
        place = folder / _safe(member.name, path)
        if member.kind == "folder":
            place.mkdir(parents=True, exist_ok=True)
            continue
        if member.kind != "file":
            raise Unavailable(f"cannot unpack {path}: its member {member.name!r} is {member.kind}: refused")
        place.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as source, place.open("xb") as file:
            while chunk := source.read(_CHUNK):
                if (room := room - len(chunk)) < 0:
                    raise Unavailable(f"cannot unpack {path}: {path.stat().st_size:,} bytes unfold to far more than pictures do: refused")
                file.write(chunk)


def _safe(name: str, path: Path) -> PurePosixPath:
    """A member's name as a path below the folder."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if not name or "\\" in name or "\0" in name or posix.is_absolute() or windows.drive or ".." in posix.parts:
        raise Unavailable(f"cannot unpack {path}: its member {name!r} would land outside: refused")
    return posix


def _members(path: Path, folder: Path) -> Iterator[_Member]:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                mode = entry.external_attr >> 16
                special = stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR)
                kind = "a link or a device" if special else "folder" if entry.is_dir() else "file"
                yield _Member(entry.filename, kind, lambda entry=entry: archive.open(entry))  # type: ignore[misc]
    else:
        with tarfile.open(path, _TAR[path.suffix.lower()], tarinfo=_Header) as tar:
            for info in tar:
                _safe(info.name, path)
                kind = "folder" if info.isdir() else "file" if info.isreg() else "a link or a device"
                if kind in ("file", "folder"):
                    tarfile.data_filter(info, str(folder))  # the library's own judgement, beside ours
                yield _Member(info.name, kind, lambda info=info: _opened(tar, info))  # type: ignore[misc]


class _Header(tarfile.TarInfo):
    """A header; those that carry long names would be read into memory whole, so their size is looked at first."""

    @classmethod
    @override
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        """Refuse a long-name header that is larger than any name.

        Raises:
            tarfile.ReadError: it is.
        """
        header = super().frombuf(buf, encoding, errors)
        if header.type in _LONG and header.size > _CHUNK:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes: refused")
        return header


def _opened(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    source = tar.extractfile(info)
    assert source is not None  # a regular file
    return source
