"""`name[key=value,...]` -> the one class or function in the file of that name. One mechanism for every kind of part.

The folder is the registry: `methods/gan/wgan.py` is the method `wgan`. Files beginning with an underscore are shared code.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import inspect
import re
import sys
import typing
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError
from bench.registry._declarations import check_declaration, kind_of
from bench.spec import Spec, parse

if TYPE_CHECKING:
    from pydantic import TypeAdapter

ROOT = Path(__file__).resolve().parents[2]
FOLDERS: dict[str, tuple[str, ...]] = {
    "method": (
        "methods/gan",
        "methods/vae",
        "methods/flows",
        "methods/restoration",
        "methods/translation",
        "methods/saliency",
        "methods/minimise",
        "methods/classical",
        "methods/elsewhere",
    ),
    "optimizer": ("methods/optimizers",),
    "schedule": ("methods/schedules",),
    "init": ("methods/inits",),
    "adversarial": ("methods/losses/adversarial",),
    "content": ("methods/losses/content",),
    "task": ("bench/tasks",),
    "metric": ("bench/metrics",),
    "feature": ("bench/features",),
    "detector": ("bench/detectors",),
    "segmenter": ("bench/segmenters",),
    "dataset": ("datasets",),
    "degradation": ("datasets/degrade",),
}
_plugins: dict[str, dict[str, str]] = {kind: {} for kind in FOLDERS}  # kind -> name -> module
_INTEGERS = 2**63  # what stores and tensors hold


def names(kind: str) -> list[str]:
    """The names of one kind, sorted: the files of its folders and the plug-ins."""
    return sorted({*_files(kind), *_plugins[kind], *_entry_points(kind)})


def find(kind: str, name: str) -> Any:
    """The one public class or function defined in the file of that name.

    Raises:
        UsageError: no such name (the message names the known ones), the file holds none or several, or the part lacks something
            that its kind asks for.
    """
    if name in _plugins[kind]:
        module = importlib.import_module(_plugins[kind][name])
    elif name in (files := _files(kind)):
        module = importlib.import_module(files[name])
    elif name in (points := _entry_points(kind)):
        module = importlib.import_module(points[name])
    else:
        raise UsageError(f"unknown {kind} {name!r}; known: {', '.join(names(kind)) or 'none'}")
    return _registered(kind, module)


def bind(part: Any, options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check options against the fields of a part and convert them (an int where a float is wanted, ...).

    Args:
        part: a method (its `HP`), a dataclass (its fields) or a function (its keyword-only arguments).
        options: what the user gave.
        where: named in the error, such as the spec.

    Raises:
        UsageError: an unknown key (the message names the known ones) or a value of the wrong type.
    """
    known = settings(part)
    if unknown := sorted(options.keys() - known.keys()):
        raise UsageError(f"{where}: unknown option {unknown[0]!r}; known: {', '.join(known) or 'none'}")
    return {key: _checked(part, key, value, where) for key, value in options.items()}


def settings(part: Any) -> Mapping[str, Any]:
    """Name -> type of every option of a part."""
    return _settings(part)


def make(kind: str, text: str | Spec) -> Any:
    """The part with its options bound: an instance of a dataclass, or a partial of a function or a method's class."""
    spec = parse(text) if isinstance(text, str) else text
    part = find(kind, spec.name)
    options = bind(part, spec.options, str(spec))
    try:
        return part(**options) if dataclasses.is_dataclass(part) and isinstance(part, type) else functools.partial(part, **options)
    except ValueError as error:
        raise UsageError(f"{spec}: {error}") from error
    except RecursionError as error:
        raise UsageError(f"{kind} {spec.name!r} names itself without end") from error


def load_plugin(path: str | Path) -> tuple[str, str]:
    """Register a third-party file under its stem. Returns (kind, name). A file that lies in a registry folder is registered already.

    Its kind is what the base class of its part says; a part without such a base says it by `KIND = "schedule"`, say, in the file.

    Raises:
        UsageError: no such file, it fails to import, nothing says its kind, its part lacks what that asks for, or its name is taken
            (both places are named).
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise UsageError(f"no plug-in file {file}")
    if kind := _kind_of_folder(file.parent):
        if file.stem.startswith("_"):
            raise UsageError(f"{_place(file)} is no {kind}: files that begin with an underscore are shared code")
        find(kind, file.stem)
        return kind, file.stem
    module = _imported(file)
    kind = _kind_of_plugin(module, file)
    _registered(kind, module)
    if file.stem in _files(kind):
        raise UsageError(f"{kind} {file.stem!r} is defined twice: {_files(kind)[file.stem].replace('.', '/')}.py and {file}")
    _plugins[kind][file.stem] = module.__name__
    return kind, file.stem


def _imported(file: Path) -> ModuleType:
    """The module of a plug-in file."""
    name, module_name = file.stem, f"ganbench_plugins.{file.stem}"
    if not re.fullmatch(r"[^\W_]\w*", name):
        raise UsageError(f"the plug-in file {file} must be named like a spec: letters, digits and underscores, not first an underscore")
    if (loaded := sys.modules.get(module_name)) and loaded.__file__ != str(file):
        raise UsageError(f"plug-in {name!r} is defined twice: {loaded.__file__} and {file}")
    module_spec = importlib.util.spec_from_file_location(module_name, file)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_name] = module
    try:
        module_spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a file may also leave by sys.exit
        del sys.modules[module_name]
        raise UsageError(f"plug-in {file} fails to import: {type(error).__name__}: {error}") from error
    return module


def _kind_of_plugin(module: ModuleType, file: Path) -> str:
    """What its `KIND` says, else the base class of its part."""
    part = _only_part(module)
    kind = getattr(module, "KIND", None) or kind_of(part)
    if isinstance(kind, str) and kind in FOLDERS:
        return kind
    told = "has no base class that says what kind of part it is" if kind is None else f"is of the kind {kind!r}, which there is not"
    raise UsageError(
        f"plug-in {file}: {part.__name__} {told}: derive it from the kind's base class, or set KIND to one of {', '.join(FOLDERS)}"
    )


def _kind_of_folder(folder: Path) -> str | None:
    """The kind whose parts lie in a folder."""
    return next((kind for kind, folders in FOLDERS.items() if any(folder == ROOT / known for known in folders)), None)


def _place(file: Path) -> str:
    """A file as messages name it."""
    return str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)


@functools.cache
def _registered(kind: str, module: ModuleType) -> Any:
    """The part of a module, once it declares what its kind asks for."""
    part = _only_part(module)
    check_declaration(kind, part, _place(Path(str(module.__file__))))
    return part


@functools.cache
def _files(kind: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in FOLDERS[kind]:
        for path in sorted((ROOT / folder).glob("[!_]*.py")):
            if path.stem in found:
                raise UsageError(f"{kind} {path.stem!r} is defined twice: {found[path.stem].replace('.', '/')}.py and {folder}/{path.name}")
            found[path.stem] = f"{folder}/{path.stem}".replace("/", ".")
    return found


@functools.cache
def _entry_points(kind: str) -> dict[str, str]:
    from importlib.metadata import entry_points

    return {p.name: p.module for p in entry_points(group=f"ganbench.{kind}s")}


@functools.cache
def _only_part(module: Any) -> Any:
    parts = [
        v for k, v in vars(module).items()
        if not k.startswith("_") and (inspect.isclass(v) or inspect.isfunction(v)) and v.__module__ == module.__name__
    ]  # fmt: skip
    if len(parts) != 1:
        found = ", ".join(p.__name__ for p in parts) or "none"
        raise UsageError(f"{getattr(module, '__file__', module)} must define one public class or function, found: {found}")
    return parts[0]


@functools.cache
def _settings(part: Any) -> Mapping[str, Any]:
    owner = getattr(part, "HP", part)
    if dataclasses.is_dataclass(owner):
        hints = typing.get_type_hints(owner)
        return MappingProxyType({f.name: hints[f.name] for f in dataclasses.fields(owner) if f.init})
    hints = typing.get_type_hints(owner)
    return MappingProxyType({p.name: hints[p.name] for p in inspect.signature(owner).parameters.values() if p.kind is p.KEYWORD_ONLY})


def _checked(part: Any, key: str, value: Any, where: str) -> Any:
    from pydantic import ValidationError

    try:
        checked = _adapter(part, key).validate_python(value)
    except ValidationError as error:
        raise UsageError(f"{where}: {key} = {value!r}: {error.errors()[0]['msg']}") from error
    if any(isinstance(v, int) and abs(v) >= _INTEGERS for v in (checked if isinstance(checked, (list, tuple)) else (checked,))):
        raise UsageError(f"{where}: {key} = {value!r}: Input should be an integer of 64 bits")
    return checked


@functools.cache
def _adapter(part: Any, key: str) -> TypeAdapter[Any]:
    """What checks an option: made once, as making it costs more than an update of a small network."""
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(settings(part)[key], config=ConfigDict(strict=False, allow_inf_nan=False))
