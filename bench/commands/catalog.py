"""`runner.py list` and `show`: what there is, and what a part is made of."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import registry
from bench.errors import UsageError
from bench.spec import REQUIRED, options_of, parse
from bench.suites import read
from bench.text import open_console


def print_list(as_json: bool, plugins: Sequence[Path]) -> None:
    """Every kind of part with its names; as JSON, with one line about each."""
    for plugin in plugins:
        registry.load_plugin(plugin)
    console = open_console()
    if as_json:
        everything = {kind: {name: _first_line(registry.find(kind, name)) for name in registry.names(kind)} for kind in registry.FOLDERS}
        titles = {name: read.load_suite(name).title for name in read.suite_names()} | {read.CLAIMS: read.CLAIMS_TITLE}
        print(json.dumps({"suite": titles, **everything}, indent=1))
        return
    for kind, names in {"suite": [*read.suite_names(), read.CLAIMS], **{kind: registry.names(kind) for kind in registry.FOLDERS}}.items():
        console.print(f"{kind:12} {', '.join(names) or 'none'}")


def print_part(text: str, plugins: Sequence[Path]) -> None:
    """What a part is (its file's docstring), every option with its value and source, and where published numbers stand.

    Raises:
        UsageError: no kind has that name, or an option is unknown.
    """
    for plugin in plugins:
        registry.load_plugin(plugin)
    spec = parse(text)
    kinds = [kind for kind in registry.FOLDERS if spec.name in registry.names(kind)]
    if not kinds:
        raise UsageError(f"nothing is called {spec.name!r}; see `runner.py list`")
    console = open_console()
    for kind in kinds:
        part = registry.find(kind, spec.name)
        values = registry.bind(part, spec.options, f"{kind} {spec.name!r}")
        console.print(f"{kind} {spec.name}   {_place(part)}\n")
        console.print(_document(part))
        console.print(_options_table(part, values))
    _print_published(console, spec.name)


def _options_table(part: Any, values: Mapping[str, Any]) -> Table:
    """Every option: the value it has here, what it may be, and what it means."""
    table = Table("option", "value", "type or choices", "source and meaning", box=None, pad_edge=False)
    for option in options_of(part):
        value = values.get(option.name, option.default)
        choices = ", ".join(map(_format_value, option.choices))
        table.add_row(option.name, "required" if value is REQUIRED else _format_value(value), choices or option.type, option.meaning)
    return table


def _format_value(value: Any) -> str:
    """A value as a spec string takes it."""
    return value if isinstance(value, str) and value.isidentifier() else repr(value)


def _print_published(console: Console, name: str) -> None:
    from reports import published

    for file in sorted(published.FOLDER.glob("*.toml")):
        for table in published.load(file):
            for row in (r for r in table.rows if r.label == name):
                numbers = ", ".join(f"{column} {value:g} {table.units[column]}".strip() for column, value in row.values.items())
                console.print(
                    f"published: {row.name}: {numbers} ({table.paper}, {table.where}; {table.evidence_of(row)})",
                    highlight=False,
                    markup=False,
                )


def _document(part: Any) -> str:
    module = inspect.getmodule(part)
    return "\n\n".join(text for text in (inspect.getdoc(module), inspect.getdoc(part)) if text)


def _first_line(part: Any) -> str:
    return (_document(part).splitlines() or [""])[0]


def _place(part: Any) -> str:
    file = Path(inspect.getfile(part)).resolve()
    return str(file.relative_to(registry.ROOT)) if file.is_relative_to(registry.ROOT) else str(file)
