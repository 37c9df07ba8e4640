"""A limit on the time that a body may take."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

_YEAR = 365 * 86400.0  # seconds: a longer time is no limit, and no timer of the system takes every number


@contextlib.contextmanager
def time_limit(seconds: float, message: str) -> Iterator[None]:
    """Break the body off after so much time, where this system and thread can; a call that never comes back to Python cannot be.

    Raises:
        TimeoutError: with the message.
    """
    if seconds > _YEAR or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: Any) -> None:
        raise TimeoutError(message)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
