"""Where torch's fused kernels run: one pass over all tensors, three to four times faster on many small ones, equal up to rounding."""

from collections.abc import Sequence

from torch import Tensor


def fused(params: Sequence[Tensor]) -> bool:
    """Whether every parameter lies on a device that has the fused kernel."""
    return all(p.device.type in {"cpu", "cuda"} and p.is_floating_point() for p in params)
