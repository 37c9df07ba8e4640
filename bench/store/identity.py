"""What decides a result, by name. Trials with the same parts are the same trial; what differs names the reason to run again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

_JUDGED = (
    "tier",
    "task",
    "data.",
    "card.",
    "code.task",
    "code.dataset.",
    "code.degradation.",
    "code.metric.",
    "code.feature.",
    "code.detector.",
    "code.segmenter.",
)


def id_of(parts: Mapping[str, str]) -> str:
    """Sixteen hex digits over the parts: the trial's id."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def row_of(parts: Mapping[str, str]) -> str:
    """The same for all trials that differ in the seed alone: they make one row of a table."""
    return id_of({k: v for k, v in parts.items() if k not in ("seed", "on_oom", "code.accumulation")})  # a trial in parts is marked


def protocol_of(parts: Mapping[str, str]) -> str:
    """The same for all trials that can stand in one table: the same question on the same data, judged alike."""
    return id_of({k: v for k, v in parts.items() if k.startswith(_JUDGED)})
