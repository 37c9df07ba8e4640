"""Picture files through a restorer: what is found goes in, each result is a file of its own, and nothing is left half-written."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.errors import UsageError
from bench.inference.files import Found, Levels, read_picture, write_png
from bench.inference.restorer import Restorer
from bench.text import one_line

_NAMED = 3  # files that a message names


@dataclasses.dataclass(frozen=True)
class Done:
    """What became of a picture: notes about it, or why there is no result."""

    found: Found
    notes: tuple[str, ...] = ()
    error: str = ""


def output_of(found: Found, to: Path) -> Path:
    """Where the result of a picture goes."""
    return to / found.name.parent / f"{found.name.name}.png"


def pairs_of(to: Path) -> Path:
    """The folder of pictures that show input and output, beside that of the outputs."""
    return to.with_name(f"{to.name}_side_by_side")


def refuse_existing(targets: Iterable[Path]) -> None:
    """Raise UsageError where a file would be overwritten."""
    if there := [path for path in targets if os.path.lexists(path)]:
        some = ", ".join(map(str, there[:_NAMED])) + (", ..." if len(there) > _NAMED else "")
        raise UsageError(one_line(f"{len(there)} of the files are there already ({some}): give another --to, or --overwrite"))


def restore_all(
    restorer: Restorer, found: Sequence[Found], to: Path, *, side_by_side: bool, progress: Callable[[str], None] = lambda name: None
) -> Iterator[Done]:
    """Restore pictures one by one; a picture that cannot be read or restored is told, and the others go on.

    Args:
        restorer: what restores.
        found: the pictures.
        to: folder of the results.
        side_by_side: also write input and output as one picture, into `pairs_of(to)`.
        progress: called with a picture's name after every tile.

    Raises:
        UsageError: a result cannot be written.
    """
    for item in found:
        try:
            picture = read_picture(item.path)
            levels, notes = restorer.restore(picture, str(item.name), lambda name=item.name: progress(str(name)))  # type: ignore[misc]
        except UsageError as error:
            reason = str(error)
            yield Done(item, error=reason if str(item.path) in reason else f"{item.path}: {reason}")
            continue
        write_png(output_of(item, to), levels)
        if side_by_side:
            write_png(output_of(item, pairs_of(to)), beside(picture.levels, levels))
        yield Done(item, (*picture.notes, *notes))


def beside(before: Levels, after: Levels) -> Levels:
    """Input and output as one picture; a smaller input is enlarged by repeating its pixels, gray shown as colour beside colour."""
    scale = after.shape[0] // before.shape[0]
    large = before.repeat(scale, 0).repeat(scale, 1)
    channels = max(before.shape[2], after.shape[2])
    shown = [np.broadcast_to(x, (*x.shape[:2], channels)) for x in (large, after)]
    return np.ascontiguousarray(np.concatenate(shown, 1))
