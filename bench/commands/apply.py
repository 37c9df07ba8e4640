"""`runner.py apply`: a recorded trial or a spec on pictures of one's own; samples of a generator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench import registry
from bench.commands.options import resolve_device
from bench.commands.use_arguments import ApplyOptions
from bench.errors import UsageError
from bench.inference import pictures, samples
from bench.inference.files import Found, find_pictures
from bench.inference.load import Loaded, load_with_origin
from bench.inference.restorer import Restorer
from bench.text import one_line, open_console

_TOP = 255.0  # of the scale on which --sigma stands


def apply(options: ApplyOptions) -> int:
    """Restore pictures or draw samples, and write them as files.

    Returns:
        0, or 1 where a picture could not be read or restored: each of those was told.

    Raises:
        UsageError: an option that means nothing here, no such method, no pictures, or files that would be overwritten.
    """
    _check(options)
    for plugin in options.plugins:
        registry.load_plugin(plugin)
    device = resolve_device(options.device)
    loaded = load_with_origin(options.name, options.out, options.tracking_uri, options.data_root, device, options.task)
    console = open_console()
    for note in loaded.origin.notes:
        console.print(f"note: {one_line(note)}")
    if options.samples:
        return _draw(console, loaded, options)
    return _restore(console, loaded, options)


def _check(options: ApplyOptions) -> None:
    if bool(options.inputs) == (options.samples is not None):
        raise UsageError("give pictures or folders to restore, or --samples N to draw from a generator; one of the two")
    if options.samples is not None and options.samples < 1:
        raise UsageError(f"--samples {options.samples}: give at least 1")
    if (options.tile is not None and options.tile < 0) or (options.overlap is not None and options.overlap < 0):
        raise UsageError("--tile and --overlap are numbers of pixels from 0 on; --tile 0 restores whole pictures")
    if options.tile == 0 and options.overlap is not None:
        raise UsageError("--overlap is of tiles: --tile 0 restores whole pictures")
    if options.sigma < 0 or options.seed < 0:
        raise UsageError("--sigma and --seed must not be negative")
    if options.to.exists() and not options.to.is_dir():
        raise UsageError(f"--to {options.to} is a file: give a folder")


# -- restoration
def _restore(console: Console, loaded: Loaded, options: ApplyOptions) -> int:
    restorer = Restorer(
        loaded, seed=options.seed, tile=options.tile, overlap=options.overlap, sigma=options.sigma / _TOP
    )  # fmt: skip
    found, left_out = find_pictures(options.inputs, [options.to, pictures.pairs_of(options.to)])
    for line in left_out:
        console.print(line)
    if not options.overwrite:
        folders = [options.to, *([pictures.pairs_of(options.to)] if options.side_by_side else [])]
        pictures.refuse_existing(pictures.output_of(item, folder) for folder in folders for item in found)
    failed = _restore_each(console, restorer, found, options)
    _say_tiling(console, restorer)
    console.print(f"{len(found) - failed} of {len(found)} pictures restored by {loaded.origin.label} in {options.to}")
    return 1 if failed else 0


def _restore_each(console: Console, restorer: Restorer, found: Sequence[Found], options: ApplyOptions) -> int:
    """How many pictures failed; each is told, each kind of note once."""
    failed, notes = 0, Counter[str]()
    bars = _bars(console)
    with bars:
        bar = bars.add_task("restore", total=len(found), note="")
        tiles = Counter[str]()

        def tick(name: str) -> None:
            tiles[name] += 1
            bars.update(bar, note=f"{one_line(name)}  tile {tiles[name]}")

        for done in pictures.restore_all(restorer, found, options.to, side_by_side=options.side_by_side, progress=tick):
            bars.advance(bar)
            notes.update(done.notes)
            if done.error:
                failed += 1
                console.print(one_line(f"left out: {done.error}"))
    for note, count in notes.items():
        console.print(f"note: {one_line(note)} ({count} of {len(found)} pictures)")
    return failed


def _say_tiling(console: Console, restorer: Restorer) -> None:
    for tiling in restorer.tilings:
        why = "the whole picture" if tiling.reach is None else f"{tiling.reach} pixels"
        same = ": the same as whole pictures" if tiling.exact else ""
        console.print(f"tiles of {tiling.tile} pixels, {tiling.overlap} of them shared; the method looks at {why}{same}")


# -- generation
def _draw(console: Console, loaded: Loaded, options: ApplyOptions) -> int:
    count = options.samples or 0
    if not options.overwrite:
        pictures.refuse_existing(samples.files_of(count, options.to))
    bars = _bars(console)
    with bars:
        bar = bars.add_task("draw", total=count, note="")
        x = samples.draw(loaded, count, options.seed, lambda done: bars.update(bar, completed=done))
    files = samples.write(x, options.to)
    where = f"{options.to}, beside them {files[-1].name}" if len(files) > 1 else files[0]
    console.print(f"{count} samples of {loaded.origin.label}, seed {options.seed}, in {where}")
    return 0


def _bars(console: Console) -> rich.progress.Progress:
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(28), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )  # fmt: skip
    return rich.progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
