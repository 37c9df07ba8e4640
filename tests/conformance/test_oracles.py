"""Every metric, loss, optimizer and data set has a test that holds it beside values found without its code, and says so by a marker:

    @pytest.mark.oracle("metric", "ssim")
    def test_ssim_is_scikit_images(): ...

Markers are read from the source, so this is no list of names and needs no other test to run. A marker alone does not suffice: its test must
assert something, its file must name the part, and the part must exist.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bench import registry

TESTS = Path(__file__).parents[1]
KINDS = ("metric", "adversarial", "content", "optimizer", "dataset")


class Oracle(NamedTuple):
    """A marker: which parts of a kind its test is about, and where it stands."""

    kind: str
    names: tuple[str, ...]
    where: str
    asserts: bool
    named: frozenset[str]  # of the names, those that stand in the file elsewhere


def read(source: str, file: str) -> Iterator[Oracle]:
    """The markers of a test file."""
    tree = ast.parse(source)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    marks = {id(mark): (mark, f) for f in functions for mark in f.decorator_list if isinstance(mark, ast.Call) and _is_oracle(mark)}
    words = set(_words(tree, [mark for mark, _ in marks.values()]))
    for mark, function in marks.values():
        kind, *names = (argument.value for argument in mark.args)
        asserts = any(isinstance(node, ast.Assert) or _calls(node, "assert_close") for node in ast.walk(function))
        yield Oracle(kind, tuple(names), f"{file}::{function.name}", asserts, frozenset(names) & words)


def _is_oracle(mark: ast.Call) -> bool:
    return isinstance(mark.func, ast.Attribute) and mark.func.attr == "oracle"


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name


def _words(tree: ast.AST, marks: list[ast.Call]) -> Iterator[str]:
    """Names that a file speaks of outside its markers: of specs in its texts, of modules that it imports."""
    inside = {id(node) for mark in marks for node in ast.walk(mark)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value.partition("[")[0].strip()
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.rpartition(".")[2]


@functools.cache
def oracles() -> tuple[Oracle, ...]:
    """All markers of the tests."""
    return tuple(oracle for file in sorted(TESTS.rglob("test_*.py")) for oracle in read(file.read_text(), str(file.relative_to(TESTS))))


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in registry.names(kind)])
def test_every_part_is_held_beside_a_value_that_its_code_did_not_make(kind, name):
    found = [oracle for oracle in oracles() if oracle.kind == kind and name in oracle.names]
    assert found, (
        f'write a test of the {kind} {name} against a closed form or another implementation, under @pytest.mark.oracle("{kind}", "{name}")'
    )


@pytest.mark.parametrize("oracle", oracles(), ids=lambda oracle: oracle.where)
def test_a_marker_keeps_its_word(oracle):
    assert oracle.kind in KINDS, f"{oracle.where}: no kind {oracle.kind!r} wants an oracle; known: {', '.join(KINDS)}"
    assert oracle.names, f"{oracle.where}: name the parts"
    assert set(oracle.names) <= set(registry.names(oracle.kind)), f"{oracle.where}: there is no {oracle.kind} of that name"
    assert oracle.asserts, f"{oracle.where} asserts nothing"
    assert oracle.named == set(oracle.names), f"{oracle.where}: the file does not speak of {', '.join(set(oracle.names) - oracle.named)}"


def test_what_a_marker_says_is_read():
    source = """
import pytest
from bench.metrics.l1 import L1

@pytest.mark.parametrize("x", [1])
@pytest.mark.oracle("metric", "l1", "psnr", "ssim")
def test_one(x):
    assert make("psnr[border=1]")

@pytest.mark.oracle("metric", "cc")
def test_two():
    make("cc")

@pytest.mark.slow
def test_three():
    assert make("nss")
"""
    assert list(read(source, "a.py")) == [
        Oracle("metric", ("l1", "psnr", "ssim"), "a.py::test_one", True, frozenset({"l1", "psnr"})),
        Oracle("metric", ("cc",), "a.py::test_two", False, frozenset({"cc"})),
    ]
