"""The rows of a suite: methods crossed with axes, what they are called, which of them are asked for, and where `--set` goes."""

from __future__ import annotations

import collections
import dataclasses
import fnmatch
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench import registry
from bench.errors import UsageError
from bench.spec import Spec, parse, value_of
from bench.suites.schema import Suite, Table, Workload

AND = " + "  # between the values in a crossed row's label


@dataclasses.dataclass(frozen=True)
class Row:
    """A row before tier and command line have their say. `crossed` are the axes' values, part of no method's name."""

    table: Table | Workload
    label: str
    spec: Spec
    crossed: Mapping[str, Any]


def kind_of(key: str) -> str:
    """The kind of part that a hyper-parameter of this name holds, if it holds one."""
    return key.partition("_")[0]


def cross(suite: Suite, table: Table | Workload, methods: Sequence[str], axes: Mapping[str, Sequence[Any]]) -> list[Row]:
    """Every method crossed with the axes that it has the options for. Where a table has one method, the values alone name the row.

    A row is called the same at every tier: where a tier cuts an axis down, the suite's still decides how much of a value must be shown.
    """
    rows = []
    shown = {key: _value_names(key, values, suite.axes.get(key, [])) for key, values in axes.items()}
    for text in methods:
        method = parse(text)
        own_axes = _axes_of(method, axes)
        for values in itertools.product(*(zip(axes[key], shown[key], strict=True) for key in own_axes)):
            names = [] if isinstance(table, Workload) and table.method and own_axes else [str(method)]
            rows.append(
                Row(
                    table,
                    AND.join([*names, *(name for _, name in values)]),
                    method,
                    dict(zip(own_axes, (v for v, _ in values), strict=True)),
                )
            )
    return rows


def count_rows(methods: Sequence[str], axes: Mapping[str, Sequence[Any]]) -> int:
    """How many rows `cross` would make; none is made."""
    return sum(math.prod(len(axes[key]) for key in _axes_of(parse(text), axes)) for text in methods)


def _axes_of(method: Spec, axes: Mapping[str, Sequence[Any]]) -> list[str]:
    """The axes that a method has the options for."""
    known = registry.settings(registry.find("method", method.name))
    return [key for key in axes if key in known]


def _value_names(key: str, values: Sequence[Any], of_suite: Sequence[Any]) -> list[str]:
    """Each value of an axis: a part by its name where that tells it from the axis' other values; anything else as key=value."""
    if kind_of(key) not in registry.FOLDERS:
        return [f"{key}={value}" for value in values]
    specs = {v: parse(v) for v in [*values, *of_suite] if isinstance(v, str) and v}
    here, there = (collections.Counter(specs[v].name for v in axis if v in specs) for axis in (values, of_suite))
    common = set(of_suite)

    def name(value: Any) -> str:
        if value not in specs:
            return f"{key}={value}"
        spec = specs[value]
        return spec.name if (there if value in common else here)[spec.name] == 1 else str(spec)

    return [name(value) for value in values]


def label_of(row: Row, given: Mapping[str, Any]) -> str:
    """A row's name with what the command line changed about it; or the option `name` of its method, where that is given."""
    if name := {**row.spec.options, **given}.get("name"):
        return str(name)
    if not row.crossed:
        return str(Spec(row.spec.name, {**row.spec.options, **given}))
    return row.label + (f" {Spec('', given)}" if given else "")


def select_rows(suite: Suite, rows: Sequence[Row], words: Sequence[str]) -> list[Row]:
    """The rows that a word names: all its values are among theirs. Patterns and `workload/` before it are allowed."""
    found: set[tuple[str, str]] = set()
    for word in words:
        table, slash, label = word.rpartition("/")
        wanted = [w.strip() for w in label.split(AND.strip())]
        hits = [
            r for r in rows if (not slash or fnmatch.fnmatchcase(r.table.name, table)) and all(_matches_value(w, r.label) for w in wanted)
        ]
        if not hits:
            known = ", ".join(dict.fromkeys(r.label for r in rows))
            raise UsageError(f"--methods {word!r} names no row of the suite {suite.name!r}; its rows: {known}")
        found |= {(r.table.name, r.label) for r in hits}
    return [r for r in rows if (r.table.name, r.label) in found]


def _matches_value(wanted: str, label: str) -> bool:
    return any(wanted == value or fnmatch.fnmatchcase(value, wanted) for value in label.split(AND))


def assign_overrides(texts: Sequence[str], rows: Sequence[Row]) -> dict[tuple[str, str], dict[str, Any]]:
    """--set, sorted by where it goes: (table, method), or (table, "") for its task."""
    takers: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        takers[row.table.name, ""] = registry.settings(registry.find("task", parse(row.table.task).name))
        takers[row.table.name, row.spec.name] = registry.settings(registry.find("method", row.spec.name))
    given: dict[tuple[str, str], dict[str, Any]] = {taker: {} for taker in takers}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text!r}: write key=value or method.key=value")
        name, dot, inner = key.strip().rpartition(".")
        named = {taker: keys for taker, keys in takers.items() if not dot or (name and name in taker)}
        if not (found := [taker for taker, keys in named.items() if inner in keys]):
            known = {k for keys in named.values() for k in keys} if named else {n for taker in takers for n in taker if n}
            raise UsageError(f"--set {key.strip()}: no such key; known: {', '.join(sorted(known))}")
        for taker in found:
            given[taker][inner] = value_of(value)
    return given
