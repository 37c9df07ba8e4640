"""What every metric must hold: a card that says it all, and numbers that depend on what is scored alone."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bench import registry
from bench.cards import Card
from bench.conformance._tools import Checks, generator, leaves_no_trace, pictures, place
from bench.conformance.toys import ToyRestoration
from bench.errors import Unavailable, UsageError
from bench.method import Method
from bench.metric import CostMetric, ImageMetric, LabelMetric, Metric, SaliencyMetric, SampleMetric

_SIDE = 192  # pixels: five scales of MS-SSIM need more than 160
_SAMPLES = 64
_SLACK = 1e-9  # of float64 sums in another order


# -- the card
def check_card(name: str) -> None:
    """The card says what is computed, in JSON values alone, the same every time, with bounds that leave room."""
    metric, again = registry.make("metric", name), registry.make("metric", name)
    metric.require()
    for one, other in zip(_cards(metric), _cards(again), strict=True):
        assert one.definition.strip(), f"{name}: the definition is empty: one sentence with its source"
        low, high = one.bounds
        assert low < high, f"{name}: the bounds {one.bounds} leave no room"
        try:
            json.dumps(one.protocol)
        except TypeError as error:
            raise AssertionError(f"{name}: its protocol goes on a card, which holds JSON values only: {error}") from error
        assert one.hash == other.hash, f"{name}: two cards of it differ: the protocol holds something that changes"


def _cards(metric: Any) -> list[Card]:
    return list(metric.cards(fake=_SAMPLES, real=_SAMPLES).values()) if isinstance(metric, SampleMetric) else [metric.card()]


# -- one value a picture, map or example
@dataclasses.dataclass(frozen=True)
class _Judged:
    """What a metric is given: a prediction, what it is compared with, and a prediction without a fault."""

    prediction: Tensor
    truth: tuple[Tensor, ...]
    faultless: Tensor

    def rows(self, index: list[int]) -> tuple[Tensor, ...]:
        """Some of them."""
        return tuple(x[index] for x in (self.prediction, *self.truth))


def _images(metric: Metric) -> _Judged:
    x = pictures(3, side=_SIDE)
    return _Judged((x + 0.1 * torch.randn(x.shape, generator=generator(1)).to(x)).clamp(0, 1), (x,), x)


def _maps(metric: Any) -> _Judged:
    density = pictures(3, 1, 64)
    marks = (torch.rand(density.shape, generator=generator(1)).to(density) < 0.1 * density).float()
    given = {
        "target": density,
        "mask": (density > 0.6).float(),
        "fixations": marks,
        "others": marks.roll(1, 0),
        "baseline": density.roll(1, 0),
    }
    return _Judged(pictures(3, 1, 64, seed=2), tuple(given[kind] for kind in metric.reads), density)


def _predictions(metric: Metric) -> _Judged:
    labels = torch.tensor([0, 2, 1, 1]).to(place())
    return _Judged(torch.randn(4, 3, generator=generator()).to(place()), (labels,), 100 * torch.nn.functional.one_hot(labels, 3).float())


_GIVEN: dict[type, Callable[[Any], _Judged]] = {ImageMetric: _images, SaliencyMetric: _maps, LabelMetric: _predictions}


def _judged(name: str) -> tuple[Any, _Judged]:
    metric = registry.make("metric", name)
    metric.require()
    return metric, next(given for family, given in _GIVEN.items() if isinstance(metric, family))(metric)


def check_values(name: str) -> None:
    """As many values as predictions, float64 on the CPU, within the bounds; nothing is drawn or written to."""
    metric, given = _judged(name)
    with leaves_no_trace(name, given.prediction, *given.truth):
        values = metric(given.prediction, *given.truth)
    n = len(given.prediction)
    assert isinstance(values, Tensor), f"{name} returned {type(values).__name__}, not a tensor"
    assert values.shape == (n,), f"{name} returned {tuple(values.shape)} for {n} predictions: one value each"
    assert values.dtype == torch.float64, f"{name} returned {values.dtype}, not torch.float64"
    assert values.device.type == "cpu", f"{name} returned values on {values.device}"
    assert values.isfinite().all(), f"{name} returned {values.tolist()} for finite predictions"
    low, high = metric.bounds
    for found in (values, metric(given.faultless, *given.truth)):
        assert ((found >= low - _SLACK) & (found <= high + _SLACK)).all(), (
            f"{name} returned {found.tolist()}, outside its bounds {metric.bounds}"
        )


def check_direction(name: str) -> None:
    """A prediction without a fault is not worse than another one."""
    metric, given = _judged(name)
    faultless, other = metric(given.faultless, *given.truth), metric(given.prediction, *given.truth)
    better = faultless >= other if metric.higher_is_better else faultless <= other
    assert better.all(), f"{name}: a faultless prediction scores {faultless.tolist()}, another {other.tolist()}: is higher_is_better right?"


def check_batch(name: str) -> None:
    """A prediction scores the same wherever it stands in a batch, and alone."""
    metric, given = _judged(name)
    values = metric(given.prediction, *given.truth)
    order = list(range(len(values)))[::-1]
    assert torch.allclose(metric(*given.rows(order)), values[order], rtol=0, atol=1e-6), (
        f"{name} of a batch in another order are other values"
    )
    alone = torch.cat([metric(*given.rows([i])) for i in range(len(values))])
    assert torch.allclose(alone, values, rtol=0, atol=1e-6), f"{name} of a prediction alone differs from that in a batch"


def check_nan(name: str) -> None:
    """A prediction that is no number has no score, and takes none away from the others."""
    metric, given = _judged(name)
    values = metric(given.prediction, *given.truth)
    broken = given.prediction.clone()
    broken[1][tuple(side // 2 for side in broken.shape[1:])] = math.nan  # in the middle: a border may be left out
    found = metric(broken, *given.truth)
    assert found[1].isnan(), f"{name} gives {float(found[1])} for a prediction that holds NaN: it must be NaN"
    rest = [i for i in range(len(values)) if i != 1]
    assert torch.allclose(found[rest], values[rest], rtol=0, atol=1e-6), f"a NaN in one prediction changes {name} of another"


def check_shapes(name: str) -> None:
    """Predictions and truths that do not fit are an error that says so."""
    metric, given = _judged(name)
    try:
        metric(given.prediction[..., :-1], *given.truth)
    except UsageError:
        return
    raise AssertionError(f"{name} takes a prediction of another shape than the truth: raise UsageError")


# -- sets of samples
def _sets(name: str) -> tuple[Any, Tensor, Tensor]:
    """A metric with two sets of samples that it takes: gray or colour pictures, or points of the plane."""
    metric = registry.make("metric", name)
    metric.require()
    n = max(_SAMPLES, metric.min_samples)
    points = torch.randn(2 * n, 2, generator=generator()).to(place())
    for fake, real in ((pictures(n, 1, 16, 1), pictures(n, 1, 16)), (pictures(n, 3, 16, 1), pictures(n, 3, 16)), (points[:n], points[n:])):
        try:
            metric(fake, real)
        except UsageError as error:
            refusal = error
        else:
            return metric, fake, real
    raise Unavailable(f"{name} takes none of the samples made up here: {refusal}")


def check_set_values(name: str) -> None:
    """A number for every card, within its bounds; remarks are named apart."""
    metric, fake, real = _sets(name)
    cards = metric.cards(fake=len(fake), real=len(real))
    with leaves_no_trace(name, fake, real):
        values = metric(fake, real)
    assert cards.keys() <= values.keys(), f"{name} has a card for {sorted(cards.keys() - values.keys())} and no number"
    for column, card in cards.items():
        low, high = card.bounds
        outside = values[column] < low - _SLACK or values[column] > high + _SLACK
        assert not outside, f"{column} = {values[column]}, outside its bounds {card.bounds}"


def check_set_order(name: str) -> None:
    """The same numbers every time, whatever the device held before."""
    metric, fake, real = _sets(name)
    first, again = metric(fake, real), registry.make("metric", name)(fake.clone(), real.clone())
    assert first.keys() == again.keys(), f"{name} returned other names the second time"
    differ = [key for key, value in first.items() if value != again[key] and not (math.isnan(value) and math.isnan(again[key]))]
    assert not differ, f"{name}: {differ[0]} of the same samples differs: draw from a torch.Generator of its own" if differ else ""


def check_set_nan(name: str) -> None:
    """Samples that are no numbers have no score."""
    metric, fake, real = _sets(name)
    fake[3].flatten()[0] = math.nan
    columns = metric.cards(fake=len(fake), real=len(real))
    values = metric(fake, real)
    assert all(math.isnan(values[column]) for column in columns), f"{name} scores samples that hold NaN: {values}"


# -- costs
class _Gain(Method):
    """One number for all pictures."""

    def build(self, task: Any) -> None:
        self.net = nn.Conv2d(3, 3, 1)

    def restore(self, batch: Any) -> Tensor:
        """N x 3 x H x W."""
        y: Tensor = self.net(batch.observed)
        return y.clamp(0, 1)


def check_cost(name: str) -> None:
    """A number for the use of a method, which stays as it was."""
    metric, task = registry.make("metric", name), ToyRestoration()
    metric.require()
    task.open(None, place())
    with torch.random.fork_rng(), place():
        method = _Gain(task)
    before = [p.detach().clone() for p in method.net.parameters()]
    with leaves_no_trace(name):
        value = metric(method, task.batch(2, generator()).without_target())
    assert isinstance(value, float), f"{name} returned {type(value).__name__}, not a float"
    assert math.isnan(value) or value >= 0, f"{name} returned {value} {metric.unit}"
    assert all(map(torch.equal, before, method.net.parameters())), f"{name} changes the method that it measures"
    assert method.net.training, f"{name} leaves the method in evaluation mode"


_CARD: Checks = {"card": check_card}
_LABELS: Checks = {**_CARD, "values": check_values, "direction": check_direction, "batch": check_batch, "NaN": check_nan}
_FAMILIES: dict[type, Checks] = {
    ImageMetric: {**_LABELS, "shapes": check_shapes},
    SaliencyMetric: {**_LABELS, "shapes": check_shapes},
    LabelMetric: _LABELS,
    SampleMetric: {**_CARD, "values": check_set_values, "repeatable": check_set_order, "NaN": check_set_nan},
    CostMetric: {**_CARD, "cost": check_cost},
}


def checks_of(name: str) -> Checks:
    """Title -> check: those of its family; of a metric that its task calls in a way of its own, the card alone."""
    metric = registry.make("metric", name)
    return next((checks for family, checks in _FAMILIES.items() if isinstance(metric, family)), _CARD)
