"""Where arithmetic is float32 to the last bit, whatever training computes in: judging, and what is differentiated twice."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

_depth = [0]  # of the bodies of `full_precision` that run


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Networks called in here compute in float32 and are not compiled, whatever `--precision` and `--compile` say.

    A penalty that is differentiated twice calls its networks in here: a second derivative loses in 8 bits what it is about, and compiled
    networks have none.
    """
    _depth[0] += 1
    try:
        yield
    finally:
        _depth[0] -= 1


def is_full_precision() -> bool:
    """Whether the caller runs inside `full_precision`."""
    return _depth[0] > 0


@contextlib.contextmanager
def tf32(convolutions: bool) -> Iterator[None]:
    """CUDA's convolutions in TF32 or in float32, matrix products in float32; at the end the process is as it was."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.conv.fp32_precision == "tf32", matmul.fp32_precision == "tf32"  # type: ignore[attr-defined]
    cudnn.allow_tf32, matmul.allow_tf32 = convolutions, False
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before
