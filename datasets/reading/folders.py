"""Which files a data set has: links are followed, each folder is listed once, names that begin with a dot are not data."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from PIL import Image

from bench.errors import UsageError
from bench.text import one_line

PICTURES = {".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm"}
NOT_READ = "is left out: files of this ending are not read"
_UNREADABLE = {".heic", ".heif", ".dng", ".cr2", ".nef", ".arw", ".exr"}  # pictures that Pillow cannot open
ENDINGS = "png, jpg, jpeg, jfif, bmp, tif, tiff, webp, ppm, pgm, pbm and pnm"


def image_files(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The image files of a folder, by their endings, sorted by path. See `files_in`."""
    return with_endings(files_in(folder, recursive=recursive), PICTURES)


def with_endings(paths: Iterable[Path], endings: Collection[str]) -> list[Path]:
    """Those whose names end so, in small or capital letters."""
    return [path for path in paths if path.suffix.lower() in endings]


def files_in(folder: Path, *, recursive: bool = False) -> list[Path]:
    """All files, sorted by path; none where there is no folder.

    Links to folders are followed after what lies in the folder itself; no folder is listed twice, and none that holds the link, so a file
    has one path. What is no file (a link to nothing, a pipe) is in the list: whoever reads it says so.

    Raises:
        UsageError: a folder may not be listed (named).
    """
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    real, linked = deque([folder] if _is_folder(folder) else []), deque[Path]()
    while real or linked:
        place = real.popleft() if real else linked.popleft()
        items, itself = _listed(place)
        if itself in seen or (place != folder and place.is_symlink() and _holds(place)):
            continue
        seen.add(itself)
        for item in items:
            if not (os.path.isdir(item) if item.is_symlink() else item.is_dir()):
                found.append(place / item.name)
            elif recursive:
                (linked if item.is_symlink() else real).append(place / item.name)
    return sorted(found)


def folders_in(folder: Path) -> list[Path]:
    """The folders right in a folder, and links to such, sorted by path; none where there is no folder."""
    return sorted(folder / item.name for item in _listed(folder)[0] if os.path.isdir(item)) if _is_folder(folder) else []


def once(paths: Sequence[Path]) -> tuple[list[Path], dict[Path, str]]:
    """The files, and the links to files that are among them (of links to one file elsewhere the first is kept), each with why it is left
    out.
    """
    links = dict.fromkeys(path for path in paths if path.is_symlink() and os.path.isfile(path))
    if not links:
        return list(paths), {}
    first: dict[tuple[int, int], Path] = {}
    for path in sorted(filter(os.path.isfile, paths), key=links.__contains__):
        status = path.stat()
        first.setdefault((status.st_dev, status.st_ino), path)
    kept = {path: first[path.stat().st_dev, path.stat().st_ino] for path in links}
    twins = {path: f"is left out: it is a link to {other}, which is in the set" for path, other in kept.items() if other != path}
    return [path for path in paths if path not in twins], twins


@functools.cache
def unread_pictures() -> frozenset[str]:
    """Endings of pictures that are not read here."""
    openable = {ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    return frozenset((openable | _UNREADABLE) - PICTURES)


def _is_folder(path: Path) -> bool:
    """Whether there is a folder; that one cannot tell is said."""
    try:
        return path.is_dir()
    except OSError as error:
        raise UsageError(one_line(f"cannot read {path}: {error.strerror}; make the folder it is in readable")) from error


def _listed(folder: Path) -> tuple[list[os.DirEntry[str]], tuple[int, int]]:
    """What is in a folder, and which folder it is, whatever way led there."""
    try:
        status = folder.stat()
        with os.scandir(folder) as items:
            return sorted((item for item in items if not item.name.startswith(".")), key=lambda item: item.name), (
                status.st_dev,
                status.st_ino,
            )
    except OSError as error:
        raise UsageError(one_line(f"cannot list the folder {folder}: {error.strerror}; make it readable, or move it away")) from error


def _holds(link: Path) -> bool:
    """Whether the link leads to a folder that it lies in."""
    return link.parent.resolve().is_relative_to(link.resolve())
