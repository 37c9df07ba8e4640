"""Pretrained weights: what exists (`weights.toml`), where it lies here, verified before it is read; users' own files.

Nothing is downloaded but by `runner.py weights fetch` (see `bench.commands.fetch`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import Unavailable, UsageError
from bench.external import _state_files
from bench.external.fingerprint import Fingerprint

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weight:
    """One entry of the manifest.

    Attributes:
        sha256: the digest, or as many leading digits of it as the publisher states.
        git_blob: the id of the file in a git tree, where it lies in one: the sha1 of "blob SIZE", a zero byte and the content.
        options: hyper-parameters that a method wants with these weights.
    """

    id: str
    filename: str
    url: str
    licence: str
    used_by: tuple[str, ...]
    sha256: str = ""
    git_blob: str = ""
    note: str = ""
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def direct(self) -> bool:
        """Whether the URL is that of the file itself, not of a page that leads to it, and what comes from there can be verified."""
        return bool(self.git_blob) or (bool(self.sha256) and self.url.endswith(f"/{self.filename}"))

    @property
    def fingerprint(self) -> Fingerprint:
        """What the published file is known by."""
        return Fingerprint(sha256=self.sha256, git_blob=self.git_blob)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightStatus:
    """One line of the inventory: `path` is None where the file is missing."""

    weight: Weight
    path: Path | None


@functools.cache
def manifest() -> dict[str, Weight]:
    """Every known weight by id."""
    entries = tomllib.loads((Path(__file__).parent / "weights.toml").read_text(encoding="utf-8"))
    return {key: Weight(id=key, **{**entry, "used_by": tuple(entry["used_by"])}) for key, entry in entries.items()}


def folders() -> list[Path]:
    """Where weights are looked for, in order: $GANBENCH_WEIGHTS, $GANBENCH_DATA/weights, the checkpoints of torch hub."""
    given, data, torch_home = (os.environ.get(name) for name in ("GANBENCH_WEIGHTS", "GANBENCH_DATA", "TORCH_HOME"))
    cache = Path(torch_home or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch").expanduser()
    return [*([Path(given)] if given else []), *([Path(data, "weights")] if data else []), cache / "hub/checkpoints"]


def resolve(weight_id: str) -> Path:
    """The file of a weight, verified as far as its publisher states what it is known by.

    Raises:
        UsageError: no such id, or the file that was found is another (its digest and the published one are named).
        Unavailable: the file is in none of the folders; the message says which file, how to get it and where to put it.
    """
    weight = _entry(weight_id)
    path = _find(weight)
    if path is None:
        how = f"run `runner.py weights fetch {weight_id}`, or get" if weight.direct else "get"
        raise Unavailable(f"weights {weight.filename} not found: {how} them from {weight.url} and put them into {folders()[0]}")
    if fault := weight.fingerprint.fault(path, digest(path)):
        raise UsageError(f"{path} is not the published file: {fault}; get it again from {weight.url}")
    return path


def locate(file: str) -> Path:
    """The file of the user's own, or of a known weight where its id is given, verified.

    Raises:
        UsageError: no such file, or not the published one.
        Unavailable: it is known and in none of the folders; the message says how to get it.
    """
    if file in manifest():
        return resolve(file)
    path = Path(file).expanduser()
    if not path.is_file():
        like = difflib.get_close_matches(file, manifest(), 3)
        raise UsageError(f"no weights at {path}" + (f"; known weights of a similar name: {', '.join(like)}" if like else ""))
    return path


def options_of(file: str) -> dict[str, Any]:
    """The hyper-parameters that a method wants with a known weight; none for a file of the user's own."""
    return manifest()[file].options if file in manifest() else {}


def digest_of(file: str) -> str:
    """The sha256 of what `locate` finds, for records; empty where nothing is found."""
    try:
        return digest(locate(file)) if file else ""
    except (Unavailable, UsageError):  # told when the method is built
        return ""


def sha256(weight_id: str) -> str:
    """The whole digest of the file found, for cards and records. Raises like `resolve`."""
    return digest(resolve(weight_id))


def digest(path: Path) -> str:
    """The sha256 of a file, computed once as long as it does not change."""
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


def folder_digest(folder: Path) -> str:
    """The sha256 of the names and contents of all files below a folder."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            whole.update(f"{path.relative_to(folder).as_posix()}\0{digest(path)}\n".encode("utf-8", "surrogatepass"))
    return whole.hexdigest()


@contextlib.contextmanager
def explain_misfit(weight_id: str) -> Iterator[None]:
    """While a network is filled from a weight: whatever fails meanwhile is told as a fault of the file.

    Raises:
        UsageError: the file is damaged, or holds the weights of another network.
    """
    try:
        yield
    except (Unavailable, UsageError):
        raise
    except Exception as error:  # damaged files make the readers raise nearly anything
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        weight = _entry(weight_id)
        raise UsageError(f"{_find(weight)} does not hold the weights of {weight_id} ({reason}); get it again from {weight.url}") from error


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a user's own file on the CPU, read without running code from it.

    Raises:
        UsageError: no such file, or it holds anything but named tensors.
        Unavailable: a package that reads its format is missing.
    """
    return read_wrapped(path)[0]


def read_wrapped(path: Path) -> tuple[dict[str, Tensor], str]:
    """The same, and the name of the entry that held the tensors beside other things ("params_ema", "state_dict", ...), if one did."""
    from torch import Tensor

    if not path.is_file():
        raise UsageError(f"no weights at {path}")
    try:
        state, wrapper = _state_files.unwrap(_state_files.load(path))
    except Unavailable:
        raise
    except Exception as error:  # damaged files make the readers raise nearly anything
        raise UsageError(
            f"cannot read the weights {path}: no file of plain tensors ({type(error).__name__}); nothing in it was run"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()):
        raise UsageError(f"cannot read the weights {path}: it holds other things than named tensors")
    if hollow := [key for key, tensor in state.items() if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size()]:
        raise UsageError(f"cannot read the weights {path}: {hollow[0]} claims more numbers than are there")
    return state, wrapper


def load_state_dict(weight_id: str) -> dict[str, Tensor]:
    """The tensors of a weight on the CPU, read without running code from the file. Raises like `resolve`."""
    state: dict[str, Tensor] = _state_files.load(resolve(weight_id))
    return state


def inventory() -> list[WeightStatus]:
    """What the manifest knows and what of it is here (found, not yet verified)."""
    return [WeightStatus(weight=weight, path=_find(weight)) for weight in manifest().values()]


def _entry(weight_id: str) -> Weight:
    if weight_id not in manifest():
        raise UsageError(f"unknown weights {weight_id!r}; known: {', '.join(manifest())}")
    return manifest()[weight_id]


def _find(weight: Weight) -> Path | None:
    return next((path for folder in folders() if (path := folder / weight.filename).is_file()), None)


@functools.lru_cache(maxsize=8192)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:  # size and time are part of the key: a replaced file is read again
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
