"""`runner.py export`: a trained network as a file for other programs, with a page that says what it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import registry
from bench.errors import UsageError
from bench.inference import export as exporting
from bench.inference import readme
from bench.inference.export import FORMATS, NAMES, Format
from bench.inference.files import write_bytes
from bench.inference.load import load_with_origin
from bench.inference.pictures import refuse_existing
from bench.text import open_console

_PAGE = "README.md"


def export(
    name: str,
    kind: str,
    to: Path,
    task: str,
    overwrite: bool,
    root: Path | None,
    out: Path,
    tracking_uri: str | None,
    plugins: Sequence[Path],
) -> None:
    """Write the file and its page into a folder, on the CPU.

    Raises:
        UsageError: no such format or method, it cannot be exported, or files would be overwritten.
        Unavailable: a package is missing.
    """
    chosen = _format(kind)
    for plugin in plugins:
        registry.load_plugin(plugin)
    if to.exists() and not to.is_dir():
        raise UsageError(f"--to {to} is a file: give a folder")
    if not overwrite:
        refuse_existing([to / NAMES[chosen], to / _PAGE])
    loaded = load_with_origin(name, out, tracking_uri, root, "cpu", task)
    made = exporting.export(loaded, chosen)
    write_bytes(to / NAMES[chosen], made.data)
    write_bytes(to / _PAGE, readme.write(NAMES[chosen], chosen, made, loaded.origin, loaded.method).encode())
    checked = "" if made.difference is None else f"; it differs from the method by at most {made.difference:.1e}"
    open_console().print(f"{loaded.origin.label}, {made.inputs} to {made.outputs}, in {to / NAMES[chosen]}{checked}")


def _format(kind: str) -> Format:
    for known in FORMATS:
        if kind == known:
            return known
    raise UsageError(f"unknown --format {kind!r}; known: {', '.join(FORMATS)}")
