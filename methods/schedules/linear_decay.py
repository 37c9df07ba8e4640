"""Constant, then linearly down: CycleGAN and DeblurGAN (start 0.5), WGAN-GP on CIFAR-10 (start 0)."""

from typing import Annotated


def linear_decay(
    progress: float,
    *,
    start: Annotated[float, "share of the run before the rate falls, in [0, 1)"] = 0.5,
    end: Annotated[float, "factor of the learning rate at the end of the run"] = 0.0,
) -> float:
    """1 until `start` (a share of the run in [0, 1)), then on a line to the factor `end` at progress 1."""
    if not 0 <= start < 1:
        raise ValueError(f"start must be in [0, 1), not {start}")
    return 1 - (1 - end) * max(0.0, progress - start) / (1 - start)
