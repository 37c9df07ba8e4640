"""No import runs upward: the layers are those of the table in bench/README.md."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = ("bench", "methods", "datasets", "reports")
OUTSIDE = {"runner", "ganbench", "methods", "datasets", "reports"}  # of bench


def layers():
    """Room -> its layer."""
    rows = re.findall(r"^\| (\d+) \| ([\w, ]+) \|", (ROOT / "bench" / "README.md").read_text(), re.M)
    return {name: int(layer) for layer, names in rows for name in names.split(", ")}


def room(module):
    """The room of a dotted module; empty where it is none of ours, or a package's face."""
    first, *rest = module.split(".")
    return first if first in OUTSIDE else rest[0] if first == "bench" and rest else ""


def imported(file):
    """(line, module) of every import of a file, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def sources():
    return [
        ROOT / "runner.py",
        ROOT / "ganbench.py",
        *(file for folder in CODE for file in sorted((ROOT / folder).rglob("*.py")) if file != ROOT / "bench/__init__.py"),
    ]


def name_of(file):
    return room(".".join(file.relative_to(ROOT).with_suffix("").parts))


def upward(files, table):
    """Every import that goes to a room of its own layer or of one above."""
    for file in files:
        for line, module in imported(file):
            source, target = name_of(file), room(module)
            if target in table and target != source and table[target] >= table[source]:
                yield f"{file.relative_to(ROOT)}:{line} imports {target} (layer {table[target]}) from layer {table[source]}"


def test_every_room_has_a_layer():
    assert {name_of(file) for file in sources()} == layers().keys()


def test_no_import_runs_upward():
    assert list(upward(sources(), layers())) == []


@pytest.mark.parametrize(
    "text", ["from bench.commands import run", "def f():\n    from bench.store import ledger", "import bench.suites.expand"]
)
def test_an_import_upward_is_seen(tmp_path, monkeypatch, text):
    monkeypatch.setattr("test_layers.ROOT", tmp_path)
    (file := tmp_path / "bench" / "suites" / "new.py").parent.mkdir(parents=True)
    file.write_text(text)
    table = {"suites": 6, "store": 7, "commands": 13}
    assert len(list(upward([file], table))) == (0 if "suites" in text else 1)


def test_what_begins_with_an_underscore_is_private_to_its_folder():
    wrong = []
    for file in sources():
        for line, module in imported(file):
            parts = module.split(".")
            private = next(
                (
                    i
                    for i, part in enumerate(parts)
                    if part.startswith("_") and (ROOT.joinpath(*parts[: i + 1]).with_suffix(".py")).is_file()
                ),
                None,
            )
            if private is not None and not file.is_relative_to(ROOT.joinpath(*parts[:private])):
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {module}")
    assert wrong == []
