"""Learning rates beside the graph of an update: no graph can compute a schedule, which is Python's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from bench.graphs._trace import Trace
from bench.method import Method


class Annealing:
    """Stands in for `method.anneal`: rates are set before an update is replayed, and are no part of what is recorded.

    Attributes:
        plain: the method's own.
        called: whether the last watched update called it.
        obstacle: why it cannot be called before the update instead.
    """

    def __init__(self, method: Method) -> None:
        self.method, self.plain, self.called, self.obstacle = method, method.anneal, False, ""
        self._call: Callable[[], None] = self.plain

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """The method calls this."""
        self.method.anneal = self  # type: ignore[method-assign]
        try:
            yield
        finally:
            del self.method.anneal  # that of its class again, and the two no longer hold one another

    def __call__(self) -> None:
        self._call()

    @contextlib.contextmanager
    def watched(self, t: int, trace: Trace) -> Iterator[None]:
        """Made out of what is traced, at update `t`."""
        self.called, self.obstacle = False, ""

        def anneal() -> None:
            watched: Any = self.method.t
            self.called = True
            if watched.value != t:
                self.obstacle = "it sets learning rates after it counted the update"
            self.method.t = watched.value
            with trace.paused():
                self.plain()
            self.method.t = watched

        yield from self._instead(anneal)

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """Nothing."""
        yield from self._instead(lambda: None)

    def _instead(self, call: Callable[[], None]) -> Iterator[None]:
        self._call = call
        try:
            yield
        finally:
            self._call = self.plain
