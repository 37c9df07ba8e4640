"""Jobs without a scheduler."""

from bench.running import job as running
from bench.running.identify import identify
from bench.training.progress import Progress


def job_of(trial, settings, replaces=()):
    """One trial as a job."""
    return running.Job(0, (trial,), (identify(trial, settings),), frozenset(replaces))


def make(trial, settings, progress=None, stopped=lambda: False, replaces=()):
    """The record of a trial, made now unless it is there."""
    (record,) = running.run(job_of(trial, settings, replaces), settings, progress or Progress(), stopped)
    return record


class Stop(Progress):
    """Asks to stop after some updates."""

    def __init__(self, after):
        self.left = after

    def update(self, *args):
        self.left -= 1

    def __call__(self):
        return self.left <= 0
