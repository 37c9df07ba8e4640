"""Numbers that judge a descent, by hand and against scikit-learn."""

import math

import pytest
import torch

from bench import registry


@pytest.mark.oracle("metric", "accuracy", "cross_entropy")
def test_labels():
    from sklearn.metrics import accuracy_score, log_loss

    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(200, 5, generator=rng), torch.randint(5, (200,), generator=rng)
    accuracy, loss = (registry.make("metric", name)(logits, labels) for name in ("accuracy", "cross_entropy"))
    assert accuracy.dtype == loss.dtype == torch.float64
    assert accuracy.shape == loss.shape == (200,)
    assert float(accuracy.mean()) == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert float(loss.mean()) == pytest.approx(log_loss(labels, logits.double().softmax(1)), rel=1e-9)


def test_a_certain_classifier_is_not_infinitely_surprised():
    loss = registry.make("metric", "cross_entropy")(torch.tensor([[1000.0, 0.0], [0.0, 1000.0]]), torch.tensor([0, 0]))
    assert loss.tolist() == [0, 1000]


@pytest.mark.oracle("metric", "suboptimality")
@pytest.mark.parametrize(
    ("spec", "value", "found"),
    [
        ("suboptimality", 3.5, 1.5),
        ("suboptimality", 1.9999, 0),  # rounding below the minimum
        ("suboptimality[log10=true]", 2.01, -2),
        ("suboptimality[log10=true]", 2.0, -12),
        ("suboptimality[log10=true,floor=1e-9]", 1.0, -9),
        ("suboptimality", math.inf, math.inf),
        ("suboptimality[log10=true]", math.inf, math.inf),
        ("suboptimality", math.nan, math.nan),
        ("suboptimality[log10=true]", math.nan, math.nan),
    ],
)
def test_suboptimality(spec, value, found):
    assert registry.make("metric", spec)(value, 2.0) == pytest.approx(found, nan_ok=True)


@pytest.mark.oracle("metric", "distance")
def test_distance_is_to_the_nearest():
    assert registry.make("metric", "distance")(torch.tensor([3.0, 4.0]), torch.tensor([[0.0, 0.0], [3.0, 6.0]])) == 2


@pytest.mark.oracle("metric", "regret")
def test_regret_is_a_round():
    assert registry.make("metric", "regret")(6.0, 4) == 1.5


@pytest.mark.oracle("metric", "margin", "population_error")
def test_margin_and_error_of_kinds():
    outputs, labels = torch.tensor([0.75, 0.25, -2.0]), torch.tensor([1.0, -1.0, -1.0])
    assert registry.make("metric", "margin")(outputs, labels) == -0.25
    assert registry.make("metric", "population_error")(outputs, labels, torch.tensor([0.5, 0.3, 0.2])) == pytest.approx(0.3)
    assert registry.make("metric", "population_error")(torch.zeros(1), torch.ones(1), torch.ones(1)) == 1  # no sign is no answer


@pytest.mark.parametrize(
    ("name", "higher"),
    [
        ("accuracy", True),
        ("cross_entropy", False),
        ("suboptimality", False),
        ("distance", False),
        ("regret", False),
        ("margin", True),
        ("population_error", False),
    ],
)
def test_directions(name, higher):
    assert registry.make("metric", name).card().higher_is_better is higher
