"""Down in steps: Deep Residual Learning for Image Recognition. He, Zhang, Ren, Sun. CVPR 2016, arXiv:1512.03385."""

from typing import Annotated


def step(
    progress: float,
    *,
    at: Annotated[float | tuple[float, ...], "shares of the run at which the rate falls"] = (0.5, 0.75),
    factor: Annotated[float, "factor by which it falls each time"] = 0.1,
) -> float:
    """Multiplied by `factor` from each of the shares `at` of the run on; Sec. 4.2 does so at 32k and 48k of 64k updates."""
    return factor ** sum(progress >= share for share in (at if isinstance(at, tuple) else (at,)))
