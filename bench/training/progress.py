"""The messages of a running job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.store.record import TrialRecord
from bench.store.stored import Point


class Progress:
    """Receives the progress of a job; this base ignores it."""

    def started(self) -> None:
        """Called once the job holds its lock and has something to do."""

    def update(self, step: int, images_per_s: float, values: Mapping[str, float]) -> None:
        """Called once a window of updates.

        Args:
            step: updates made.
            images_per_s: training images seen in a second.
            values: means of the losses over the window.
        """

    def evaluating(self, done: int, total: int) -> None:
        """Called after every batch that is judged, with the number of pictures or samples."""

    def curves(self, points: Sequence[Point]) -> None:
        """Called at every validation with all points so far."""

    def ended(self, records: Sequence[TrialRecord]) -> None:
        """Called once all of the job is on record."""
