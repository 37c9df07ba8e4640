"""What differs between two sides of a comparison besides their scores: settings, cards, data, code, and where they ran."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bench.cards import differences as of_cards
from bench.store.record import TrialRecord
from bench.store.remarks import UNKNOWN, environment_differences
from bench.training.compute import Compute

_COMPUTES = tuple(field.name for field in dataclasses.fields(Compute))
_GROUPS = {  # kind of difference -> how its parts' names begin (see `bench.store.identity`)
    "settings": ("method", "hp.", "task", "tier", "evaluations", "max_seconds", "deterministic", "seed", *_COMPUTES),
    "cards": ("card.",),
    "data": ("data.",),
    "code": ("code.", "file."),
}
_SEVERAL = "…"  # where a row's trials do not agree


@dataclasses.dataclass(frozen=True)
class Side:
    """One of the two: its name and its trials, one a seed."""

    name: str
    records: list[TrialRecord]


def differing_conditions(a: Side, b: Side) -> dict[str, list[str]]:
    """Kind of difference -> "name: of a | of b", from what decides a result and where it ran."""
    parts = [_common_facts([r.facts for r in side.records]) for side in (a, b)]
    out: dict[str, list[str]] = {group: [] for group in (*_GROUPS, "environment")}
    for key in sorted(parts[0].keys() | parts[1].keys()):
        x, y = (p.get(key, "absent") for p in parts)
        if x != y and not (key == "seed" and _SEVERAL in (x, y)):
            group = next((g for g, starts in _GROUPS.items() if key.startswith(starts)), "environment")
            out[group].append(_card_differences(key, a, b) if group == "cards" else f"{key}: {x} | {y}")
    out["environment"] += [line for line in _environment_lines(a, b) if line not in out["environment"]]
    seeds = [", ".join(str(r.seed) for r in side.records) for side in (a, b)]
    if seeds[0] != seeds[1] and max(len(a.records), len(b.records)) > 1:
        out["settings"].append(f"seeds: {seeds[0]} | {seeds[1]}")
    return {group: lines for group, lines in out.items() if lines}


def _environment_lines(a: Side, b: Side) -> list[str]:
    """Where the two ran under another environment, what may move bits first."""
    by_side = [dataclasses.replace(r, label=letter) for letter, side in (("A", a), ("B", b)) for r in side.records]
    moving = [difference.key for difference in environment_differences(by_side)]
    where = [_common_facts([r.environment for r in side.records]) for side in (a, b)]
    keys = dict.fromkeys([*moving, *where[0], *where[1]])
    pairs = [(key, *(w.get(key) or UNKNOWN for w in where)) for key in keys]
    return [f"{key}: {x} | {y}" for key, x, y in pairs if x != y]


def _common_facts(dicts: Sequence[dict[str, str]]) -> dict[str, str]:
    """What the trials of a side say, with a mark where they do not agree."""
    return {k: dicts[0].get(k, "") if len({d.get(k) for d in dicts}) == 1 else _SEVERAL for k in {k: None for d in dicts for k in d}}


def _card_differences(part: str, a: Side, b: Side) -> str:
    """What the cards of a column say that is not the same."""
    column = part.removeprefix("card.")
    cards = [next((r.cards[column] for r in side.records if column in r.cards), None) for side in (a, b)]
    if cards[0] is None or cards[1] is None:
        return f"{column}: only {(b if cards[0] is None else a).name} has it"
    return f"{column}: {of_cards(cards[0], cards[1])}"
