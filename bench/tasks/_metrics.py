"""The metrics of a task: those that can be computed here, and why the others cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.metric import Metric

M = TypeVar("M", bound=Metric)
ENOUGH = 100  # of what a share is counted over, for one more or less not to show in its second digit


def few(count: int, what: str, columns: str) -> dict[str, str]:
    """The note `few`: shares are counted over so few things that a perfect one says little; empty where there are 100 or more."""
    if count >= ENOUGH:
        return {}
    share = f"each of which decides about {1 / count:.0%} of them"
    return {"few": f"{columns} rest on {count} {what}, {share}: 1.000 there is far from certain"}


def usable(
    specs: Mapping[str, str], kind: type[M], judged: str, *, configure: Callable[[M], M] = lambda metric: metric, optional: bool = False
) -> tuple[dict[str, M], dict[str, str]]:
    """Column -> metric of those that can be computed, and column -> reason of the others.

    Args:
        specs: column -> spec of its metric.
        kind: what the task can call; `judged` says in words what it judges.
        configure: gives a metric what only the task knows; raises Unavailable where the metric makes no sense on these data.
        optional: whether the task can do without any.

    Raises:
        UsageError: a metric is of another kind.
        Unavailable: none can be computed, and one is needed.
    """
    available: dict[str, M] = {}
    missing: dict[str, str] = {}
    for column, spec in specs.items():
        metric = registry.make("metric", spec)
        if not isinstance(metric, kind):
            raise UsageError(f"metric {spec} does not judge {judged}")
        try:
            metric = configure(metric)
            metric.require()
            available[column] = metric
        except Unavailable as error:
            missing[column] = str(error)
    if missing and not available and not optional:
        raise Unavailable(f"none of the metrics can be computed: {'; '.join(missing.values())}")
    return available, missing
