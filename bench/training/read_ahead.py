"""Batches that are read from files, made by threads while a GPU computes."""

from __future__ import annotations

import collections
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from typing_extensions import override

from bench.task import Stream, Task

_MOST = 8  # threads: decoders release Python's lock, what is around them does not


class ReadAhead(Stream):
    """A stream whose next batches wait already, at most two a thread: the same batches, for each is a function of its number.

    What a thread raises is raised where its batch is asked for. `drawn` counts the batches that were handed out, and may be set.
    """

    def __init__(self, task: Task, seed: int, batch_size: int, threads: int) -> None:
        super().__init__(task, seed, batch_size)
        self.threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: collections.deque[tuple[int, Future[Any]]] = collections.deque()

    @override
    def __next__(self) -> Any:
        if self._pool is None:  # the first one here: what is read once, such as lists of files, is read once
            first = super().__next__()
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="read-ahead")
            self._fill()
            return first
        if not self._waiting or self._waiting[0][0] != self.drawn:
            self._forget()
            self._fill()
        batch = self._waiting[0][1].result()
        self._waiting.popleft()
        self.drawn += 1
        self._fill()
        return batch

    @override
    def close(self) -> None:
        self._forget()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _fill(self) -> None:
        assert self._pool is not None
        while len(self._waiting) < 2 * self.threads:
            number = self.drawn + len(self._waiting)
            self._waiting.append((number, self._pool.submit(self.make, number)))

    def _forget(self) -> None:
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()


def stream_of(task: Task, seed: int, batch_size: int, threads: int | None = None) -> Stream:
    """The batches of a training: made ahead where they are read from files and a GPU computes; on a CPU threads would only take turns.

    Args:
        task: what is trained on.
        seed: of the trial.
        batch_size: of the method.
        threads: that the process may use; None: as many as there are cores.
    """
    if task.device.type == "cuda" and task.reads_files:
        return ReadAhead(task, seed, batch_size, max(1, min(_MOST, (threads or os.cpu_count() or 1) - 1)))
    return Stream(task, seed, batch_size)
