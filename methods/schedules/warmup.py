"""Gradual warm-up before any other schedule: Accurate, Large Minibatch SGD. Goyal et al. 2017, arXiv:1706.02677, Sec. 2.2."""

import dataclasses
import functools
from collections.abc import Callable

from bench import registry


@dataclasses.dataclass(frozen=True, kw_only=True)
class Warmup:
    """From the factor `start` on a line to 1 over the first `share` of the run, then the schedule `then` over the rest of it.

    The paper starts at 1 / k, k the number of workers, and warms up for 5 of 90 epochs.

    Raises:
        ValueError: `share` is outside [0, 1), or there is no such schedule.
    """

    share: float = 0.05
    start: float = 0.0
    then: str = "constant"

    def __post_init__(self) -> None:
        if not (0 <= self.share < 1 and callable(self._rest)):
            raise ValueError(f"share must be in [0, 1), not {self.share}")

    def __call__(self, progress: float) -> float:
        """The factor at `progress`."""
        if progress < self.share:
            return self.start + (1 - self.start) * progress / self.share
        return self._rest((progress - self.share) / (1 - self.share))

    @functools.cached_property
    def _rest(self) -> Callable[[float], float]:
        return registry.make("schedule", self.then)
