"""Down like one over the root of time: Online Convex Programming.

Zinkevich. ICML 2003, Theorem 1; Reddi et al. ICLR 2018, arXiv:1904.09237.
"""

import math
from typing import Annotated


def inverse_sqrt(progress: float, *, end: Annotated[float, "factor of the learning rate at the end of the run, in (0, 1]"] = 0.01) -> float:
    """1 / sqrt(1 + c progress), from 1 at progress 0 to the factor `end` at progress 1.

    With end = 1 / sqrt(T + 1) over T updates it is 1 / sqrt(t) in update t = 1, 2, ..., T: 0.01 for T = 9,999.
    """
    if not 0 < end <= 1:
        raise ValueError(f"end must be in (0, 1], not {end}")
    return 1 / math.sqrt(1 + (end**-2 - 1) * progress)
