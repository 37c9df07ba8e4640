"""Cosine annealing without restarts. Loshchilov, Hutter. SGDR. ICLR 2017, arXiv:1608.03983."""

import math
from typing import Annotated


def cosine(progress: float, *, end: Annotated[float, "factor of the learning rate at the end of the run"] = 0.0) -> float:
    """Eq. 5: from 1 at progress 0 down half a cosine to the factor `end` at progress 1."""
    return end + (1 - end) * (1 + math.cos(math.pi * progress)) / 2
