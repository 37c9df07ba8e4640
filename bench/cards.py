"""Metric cards: everything that decides a number, hashed. Two cards never share a column."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Card:
    """The protocol behind a number.

    Attributes:
        metric: the file of the metric, or the name of one of its several numbers.
        definition: one sentence with its source.
        unit: what the number counts; empty where it is a pure number.
        higher_is_better: which way is better.
        protocol: everything else that decides the number; JSON values only.
        bounds: the least and the largest value that the number can have.
        title: how tables head the number, without the options of its column; empty: as the column is called.
    """

    metric: str
    definition: str
    unit: str
    higher_is_better: bool
    protocol: dict[str, Any]
    bounds: tuple[float, float] = (-math.inf, math.inf)
    title: str = ""

    @property
    def hash(self) -> str:
        """Twelve hex digits over metric, unit, direction and protocol: what is only said of the number does not count."""
        decides = {k: v for k, v in dataclasses.asdict(self).items() if k not in _SAID}
        return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """The card as plain JSON values, hash included."""
        return {**dataclasses.asdict(self), "hash": self.hash}


_SAID = ("definition", "bounds", "title")  # of a number, and decides none


def differences(a: dict[str, Any], b: dict[str, Any]) -> str:
    """What differs between two cards as JSON: "border = 0 | 4, colour = rgb | y"."""
    flat = [{**{k: v for k, v in c.items() if k not in ("protocol", "hash", *_SAID)}, **c["protocol"]} for c in (a, b)]
    return ", ".join(
        f"{k} = {flat[0].get(k, 'absent')} | {flat[1].get(k, 'absent')}" for k in {**flat[0], **flat[1]} if flat[0].get(k) != flat[1].get(k)
    )
