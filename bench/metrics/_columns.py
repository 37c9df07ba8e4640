"""What metrics of several numbers share: columns, and a card for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from bench.cards import Card
from bench.metric import Metric, MetricColumn


def share(definition: str, title: str = "", bounds: tuple[float, float] = (0.0, 1.0)) -> MetricColumn:
    """A column that is a pure number, better where it is higher."""
    return MetricColumn(higher_is_better=True, unit="", definition=definition, title=title, bounds=bounds)


def cards_of(metric: Metric, columns: Mapping[str, MetricColumn]) -> dict[str, Card]:
    """Column -> card: the same protocol for all, each with its own meaning."""
    card = metric.card()
    return {
        name: dataclasses.replace(
            card,
            metric=f"{card.metric}:{name}",
            definition=f"{column.definition}. {card.definition}",
            bounds=column.bounds,
            title=column.title,
        )
        for name, column in columns.items()
    }
