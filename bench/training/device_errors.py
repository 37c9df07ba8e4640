"""What goes wrong on a GPU: memory that runs out in a library, and errors after which the process cannot use the device any more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

_NO_MEMORY = (
    "CUDA out of memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", "CUSOLVER_STATUS_ALLOC_FAILED", "CUSPARSE_STATUS_ALLOC_FAILED",
    "CUFFT_ALLOC_FAILED",
)  # fmt: skip
_LOST = (
    "device-side assert triggered", "an illegal memory access was encountered", "an illegal instruction was encountered",
    "unspecified launch failure", "misaligned address", "uncorrectable ECC error", "hardware stack error", "the launch timed out",
)  # fmt: skip
"""From the documentation of cudaError_t: "the process must be terminated and relaunched"."""


@contextlib.contextmanager
def allocation_failures() -> Iterator[None]:
    """Raise what libraries of CUDA report where they find no memory as torch does.

    Raises:
        torch.OutOfMemoryError: a library found no memory.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if not any(words in str(error) for words in _NO_MEMORY):
            raise
        raise torch.OutOfMemoryError(str(error)) from error


def loses_device(error: BaseException) -> bool:
    """Whether every later use of the GPU in this process fails, too."""
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _LOST)


def warm_up(device: torch.device) -> None:
    """Start the libraries of a GPU, which takes a second or two: a convolution and a product of matrices, there and back."""
    if device.type != "cuda":
        return
    x = torch.ones(1, 1, 8, 8, device=device, requires_grad=True)
    y = torch.nn.functional.conv2d(x, torch.ones(1, 1, 3, 3, device=device)).flatten(1) @ torch.ones(36, 1, device=device)
    torch.autograd.grad(y.sum(), x)
    synchronize(device)


def synchronize(device: torch.device) -> None:
    """Wait for all that is queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
