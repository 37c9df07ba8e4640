"""A hash of the code that decides a result: a file and all it imports inside the project, comments and docstrings aside."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from bench.registry import ROOT


def code_hash(part: Any, without: Collection[str] = ()) -> str:
    """Sixteen hex digits over the file that defines `part` (a class, function or module) and everything it imports from this project.

    Args:
        part: whose code counts.
        without: folders, such as `bench/metrics`, whose code and what only that imports does not count.
    """
    seen: dict[Path, str] = {}
    _visit(Path(inspect.getfile(part)).resolve(), seen, tuple(ROOT / folder for folder in without))
    lines = sorted(f"{path.name}:{digest}" for path, digest in seen.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def file_hash(part: Any) -> str:
    """Sixteen hex digits over the file that defines `part` alone: for what ties a trial together, and imports much that decides nothing."""
    return _digest(Path(inspect.getfile(part)).resolve())[0][:16]


def tree_hash() -> str:
    """Sixteen hex digits over all code of the project that can compute a number, and the network weights it carries."""
    files = sorted(
        f for folder in ("bench", "methods", "datasets") for f in (ROOT / folder).rglob("*") if f.suffix in (".py", ".safetensors")
    )
    lines = [f"{f.relative_to(ROOT)}:{_digest(f)[0] if f.suffix == '.py' else hashlib.sha256(f.read_bytes()).hexdigest()}" for f in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _visit(path: Path, seen: dict[Path, str], without: tuple[Path, ...]) -> None:
    if path in seen or any(folder in path.parents for folder in without):
        return
    seen[path], imports = _digest(path)
    for imported in imports:
        _visit(imported, seen, without)


@functools.cache
def _digest(path: Path) -> tuple[str, tuple[Path, ...]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = tuple(dict.fromkeys(_imports(tree)))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [statement for statement in node.body if not _is_text(statement)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports


def _is_text(node: ast.stmt) -> bool:
    """A docstring, of an attribute too."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imports(tree: ast.Module) -> Iterator[Path]:
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for module in modules:
            path = ROOT / module.replace(".", "/")
            yield from (file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file())
