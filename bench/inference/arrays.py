"""Pictures as notebooks hold them, and as methods and metrics take them."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.errors import UsageError

Pictures: TypeAlias = NDArray[Any] | Tensor
"""Arrays H x W, H x W x C or N x H x W x C; tensors C x H x W or N x C x H x W; 8 bits (uint8), or floats in [0, 1]."""


def to_batch(pictures: Pictures) -> Tensor:
    """Pictures as float32, N x C x H x W in [0, 1]. Raises UsageError where they have another shape, type or range."""
    if isinstance(pictures, Tensor):
        x = pictures[None] if pictures.dim() == 3 else pictures
    else:
        array = np.asarray(pictures)
        if array.dtype != np.uint8 and array.dtype.kind != "f":
            raise UsageError(f"pictures are uint8 or floats in [0, 1]; these are {array.dtype}")
        array = array[..., None] if array.ndim == 2 else array
        x = torch.from_numpy(np.ascontiguousarray(array if array.ndim == 4 else array[None])).movedim(-1, 1)
    if x.dim() != 4 or x.shape[1] not in (1, 3) or not x.numel():
        told = " x ".join(map(str, np.shape(pictures)))
        raise UsageError(
            f"pictures have 1 or 3 channels, last in numpy arrays and before H x W in tensors; these are {told or 'one number'}"
        )
    if x.dtype == torch.uint8:
        return x.float().contiguous() / 255
    if not x.is_floating_point() or not x.isfinite().all() or x.min() < 0 or x.max() > 1:
        raise UsageError(f"pictures are uint8 or floats in [0, 1]; these are {x.dtype} from {x.min():.3g} to {x.max():.3g}")
    return x.float().contiguous()


def like(given: Pictures, x: Tensor) -> Any:
    """A batch N x C x H x W as the kind and shape of what was given."""
    if isinstance(given, torch.Tensor):
        return x[0] if given.dim() == 3 else x
    array = x.movedim(1, -1).numpy()
    array = array if given.ndim == 4 else array[0]
    return array[..., 0] if given.ndim == 2 else array
