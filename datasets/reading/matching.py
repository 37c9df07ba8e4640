"""Restored pictures and true ones: which file belongs to which, before any is compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.text import one_line
from datasets.reading.folders import PICTURES
from datasets.reading.outputs import few_of, named_files
from datasets.reading.pixels import header_of

Size = tuple[int, ...]


def size_of_picture(path: Path) -> Size:
    """Width and height as it is meant to be seen, by its header. Raises UsageError where it cannot be read."""
    return header_of(path).size


def match_pictures(
    results: Sequence[Path],
    truth: Path,
    match: str,
    allow_missing: bool,
    endings: Collection[str] = frozenset(PICTURES),
    size_of: Callable[[Path], Size] = size_of_picture,
) -> list[str]:
    """Check that every set of restored pictures has a file for each true one, of its size, and none besides.

    Args:
        results: folders, or files where the truth is one.
        truth: the folder or file of the true pictures.
        match: how restored files are called (see `datasets.reading.outputs.named_files`).
        allow_missing: leave true pictures out that some set lacks, and files that have no truth.
        endings: of the files on both sides.
        size_of: width and height of a file, without reading it whole.

    Returns:
        The names of the true pictures that are left out.

    Raises:
        UsageError: something is left over on either side, or two sizes differ; the message names them.
    """
    if truth.is_file() != all(path.is_file() for path in results):
        raise UsageError(f"{truth} is a {'file' if truth.is_file() else 'folder'}: give as many files as that, or folders on both sides")
    if truth.is_file():
        for path in results:
            _compare_sizes({truth.stem: truth}, {truth.stem: path}, size_of)
        return []
    true, without = named_files(truth, endings=endings), dict[str, None]()
    for path in results:
        found = named_files(path, match, endings)
        lacking, besides = [n for n in true if n not in found], [n for n in found if n not in true]
        if (lacking or besides) and not allow_missing:
            raise UsageError(_tell_leftovers(path, truth, lacking, besides))
        if len(lacking) == len(true):
            raise UsageError(one_line(f"no file in {path} is called as one in {truth}: {_tell_leftovers(path, truth, lacking, besides)}"))
        _compare_sizes(true, found, size_of)
        without |= dict.fromkeys(lacking)
    if len(without) == len(true):
        raise UsageError(f"no picture of {truth} is in all of these sets")
    return list(without)


def _tell_leftovers(path: Path, truth: Path, lacking: Sequence[str], besides: Sequence[str]) -> str:
    parts = [f"{path} lacks {len(lacking)} of the pictures of {truth}: {few_of(lacking)}"] if lacking else []
    parts += [f"{path} has {len(besides)} that {truth} has not: {few_of(besides)}"] if besides else []
    advice = "rename them, give --match such as '{}_restored', or --allow-missing to leave them out"
    return one_line("; ".join([*parts, advice]))


def _compare_sizes(true: Mapping[str, Path], found: Mapping[str, Path], size_of: Callable[[Path], Size]) -> None:
    """Raise UsageError where a restored picture has another size than the true one, by their headers."""
    sizes = {name: (size_of(found[name]), size_of(true[name])) for name in true if name in found}
    wrong = [(name, pair) for name, pair in sizes.items() if pair[0] != pair[1]]
    if wrong:
        name, (here, there) = wrong[0]
        more = f", and {len(wrong) - 1} more differ" if len(wrong) > 1 else ""
        told = f"{found[name]} is {here[0]} x {here[1]} pixels, the true picture {name} is {there[0]} x {there[1]}"
        raise UsageError(one_line(f"{told}{more}: make them one size"))


def remarks_on(places: Sequence[Path]) -> list[str]:
    """What reading these folders or files of pictures leaves out: alpha, and what has more than 8 bits; a line for each that has it."""
    remarks = []
    for place in places:
        headers = [header_of(file) for file in ([place] if place.is_file() else named_files(place).values())]
        for told, count in (("alpha is dropped", sum(h.alpha for h in headers)), ("has 16 bits", sum(h.deep for h in headers))):
            if count:
                remarks.append(one_line(f"{place}: {told} ({count} of {len(headers)} pictures)"))
    return remarks
