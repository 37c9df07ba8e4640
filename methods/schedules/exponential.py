"""Down by the same factor in every update."""

import math
from typing import Annotated


def exponential(progress: float, *, end: Annotated[float, "factor of the learning rate at the end of the run, above 0"] = 0.01) -> float:
    """`end` ** progress: from 1 at progress 0 to the factor `end` at progress 1, straight on a logarithmic axis."""
    if not end > 0:
        raise ValueError(f"end must be above 0, not {end}")
    return math.pow(end, progress)
