"""Pretrained weights: what exists (`weights.toml`), where it lies here, verified before it is read.

Nothing is downloaded but by `runner.py weights fetch` (see `bench.commands.fetch`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weight:
    """One entry of the manifest. `sha256` is the digest, or as many leading digits of it as the publisher states."""

    id: str
    filename: str
    url: str
    sha256: str
    licence: str
    used_by: tuple[str, ...]
    note: str = ""

    @property
    def direct(self) -> bool:
        """Whether the URL is that of the file itself, not of a page that leads to it."""
        return self.url.endswith(f"/{self.filename}")


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
    """The file of a weight, its sha256 verified.

    Raises:
        UsageError: no such id, or the file that was found has another hash (both are named).
        Unavailable: the file is in none of the folders; the message says which file, how to get it and where to put it.
    """
    weight = _entry(weight_id)
    path = _find(weight)
    if path is None:
        how = f"run `runner.py weights fetch {weight_id}`, or get" if weight.direct else "get"
        raise Unavailable(f"weights {weight.filename} not found: {how} them from {weight.url} and put them into {folders()[0]}")
    found = digest(path)
    if not found.startswith(weight.sha256):
        raise UsageError(
            f"{path} is not the published file: its sha256 is {found}, expected {weight.sha256}; get it again from {weight.url}"
        )
    return path


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


def load_state_dict(weight_id: str) -> dict[str, Tensor]:
    """The tensors of a weight on the CPU, read without running code from the file. Raises like `resolve`."""
    return _tensors(resolve(weight_id))


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
    """
    from torch import Tensor

    if not path.is_file():
        raise UsageError(f"no weights at {path}")
    try:
        state = _tensors(path)
    except Exception as error:  # damaged files make the readers raise nearly anything
        raise UsageError(
            f"cannot read the weights {path}: no file of plain tensors ({type(error).__name__}); nothing in it was run"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()):
        raise UsageError(f"cannot read the weights {path}: it holds other things than named tensors")
    return state


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        tensors: dict[str, Tensor] = load_file(path)
        return tensors
    import torch

    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
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
