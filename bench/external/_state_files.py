"""Files of named tensors as people publish them, read without running code from them: torch, safetensors, npz, HDF5 of Keras."""

from __future__ import annotations

import argparse
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from bench.errors import Unavailable

_WRAPPERS = ("params_ema", "params", "generator_test", "generator", "state_dict", "model_state_dict", "model")  # an average comes first
_HDF5 = b"\x89HDF\r\n\x1a\n"
_GROWTH, _SMALL = 20, 64 << 20  # what may come out of a compressed file: so many times its size, or so many bytes


def load(path: Path) -> Any:
    """What a file holds, on the CPU: named tensors, or a dictionary with such inside.

    Raises:
        Unavailable: a package that reads it is missing.
        Exception: nearly anything, where the file is damaged.
    """
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if _begins_with(path, _HDF5):
        return _load_keras(path)
    if zipfile.is_zipfile(path):
        _check_growth(sum(member.file_size for member in zipfile.ZipFile(path).infolist()), path)
        if all(name.endswith(".npy") for name in zipfile.ZipFile(path).namelist()):
            return _load_numpy(path)
    import torch

    with torch.serialization.safe_globals([argparse.Namespace]):  # a bag of options that some keep beside their weights
        return torch.load(path, map_location="cpu", weights_only=True)


def unwrap(state: Any) -> tuple[Any, str]:
    """The named tensors inside what a file holds, and the name of the innermost entry that held them; "module." is taken off the keys."""
    wrapper = ""
    while isinstance(state, dict) and (inner := next((k for k in _WRAPPERS if isinstance(state.get(k), dict)), "")):
        state, wrapper = state[inner], inner
    if isinstance(state, dict) and state and all(isinstance(k, str) and k.startswith("module.") for k in state):
        state = {k.removeprefix("module."): v for k, v in state.items()}
    return state, wrapper


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _check_growth(size: int, path: Path) -> None:
    if size > max(_SMALL, _GROWTH * path.stat().st_size):
        raise ValueError(f"it would grow to {size:,} bytes")


def _load_numpy(path: Path) -> dict[str, Tensor]:
    """The arrays of an npz; where they are numbered (arr_0, arr_1, ...), weight and bias of layer 0, 1, ..."""
    import torch

    with np.load(path, allow_pickle=False) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    numbers = {name: int(match[1]) for name in arrays if (match := re.fullmatch(r"arr_(\d+)", name))}
    if len(numbers) < len(arrays):
        return arrays
    return {f"{n // 2}.{'bias' if n % 2 else 'weight'}": arrays[name] for name, n in numbers.items()}


def _load_keras(path: Path) -> dict[str, Tensor]:
    """The layers of a Keras 2 file in the order of their numbers: conv.0.kernel, conv.0.bias, norm.0.gamma, ..."""
    try:
        import h5py
    except ImportError as error:
        raise Unavailable(f"{path} is an HDF5 file of Keras: pip install 'ganbench[keras]' reads it") from error
    import torch

    found: dict[str, list[tuple[int, dict[str, Tensor]]]] = {"conv": [], "norm": []}
    with h5py.File(path, "r") as file:
        root = file["model_weights"] if "model_weights" in file else file
        _check_growth(sum(dataset.nbytes for _, dataset in _datasets(h5py, root)), path)
        for layer in root:
            if match := re.fullmatch(r"(conv2d|batch_normalization)(?:_(\d+))?", layer):
                tensors = {name.rpartition("/")[2].partition(":")[0]: torch.from_numpy(d[()]) for name, d in _datasets(h5py, root[layer])}
                found["conv" if match[1] == "conv2d" else "norm"].append((int(match[2] or 0), tensors))
    return {
        f"{kind}.{place}.{name}": tensor
        for kind, layers in found.items()
        for place, (_, tensors) in enumerate(sorted(layers, key=lambda layer: layer[0]))
        for name, tensor in tensors.items()
    }


def _datasets(h5py: Any, group: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every array below a group; links and arrays that lie in other files are refused."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError("it holds links")
        node = group[name]
        if isinstance(node, h5py.Group):
            yield from _datasets(h5py, node, f"{place}/{name}")
        else:
            if node.external or node.is_virtual:
                raise ValueError("its arrays lie in other files")
            yield f"{place}/{name}", node
