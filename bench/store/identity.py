"""Ids: hashes of the list of what decides a result (see `bench.running.identify`), and what differs between two such lists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

_TABLE = (  # facts that all rows of a table share begin with one of these
    "tier",
    "task",
    "data.",
    "card.",
    "code.task",
    "code.judging",
    "code.dataset.",
    "code.degradation.",
    "code.metric.",
    "code.feature.",
    "code.detector.",
    "code.segmenter.",
)
_SEEDS = ("seed", "training", "on_oom", "code.accumulation")  # what the trials of one row may differ in; one that ran in parts is marked
_NAMED = 4  # changes; of the others that there are some


def id_of(facts: Mapping[str, str]) -> str:
    """Sixteen hex digits over the facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def row_of(facts: Mapping[str, str]) -> str:
    """The id of a row: trials that differ in the seed alone share it."""
    return id_of({k: v for k, v in facts.items() if k not in _SEEDS})


def protocol_of(facts: Mapping[str, str]) -> str:
    """The id of a table: trials of the same task on the same data, judged alike, share it."""
    return id_of({k: v for k, v in facts.items() if k.startswith(_TABLE)})


def describe_changes(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What is new, gone or changed, in words: "hp.lr changed", "the metric lpips is new"; empty where nothing is."""
    keys = [k for k in {**after, **before} if before.get(k) != after.get(k) and k != "training"]
    metrics = {key.removeprefix("card.") for key in keys if key.startswith("card.") and (key not in before or key not in after)}
    texts = [_describe(key, before, after) for key in keys if not (metrics and _follows(key, before, after, metrics))]
    texts = list(dict.fromkeys(texts))
    return ", ".join(texts[:_NAMED]) + (" and others" if len(texts) > _NAMED else "")


def _describe(key: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    how = "is new" if key not in before else "is gone" if key not in after else "changed"
    if key.startswith("selects."):
        return "the metric that chooses the best weights changed"
    for start in ("card.", "code.metric."):
        if key.startswith(start) and (start == "card." or how != "changed"):
            return f"the metric {key.removeprefix(start)} {how}"
    return f"{key} {how}"


def _follows(key: str, before: Mapping[str, str], after: Mapping[str, str], metrics: set[str]) -> bool:
    """Whether this change only follows from one of the metrics that came or went."""
    name = key.removeprefix("code.metric.")
    came_or_went = (key in before) != (key in after)
    return key in ("task.metrics", "task.profile") or (came_or_went and any(column.partition("[")[0] == name for column in metrics))
