"""Every registered metric: identical constant inputs are perfect, and what is no number gives none."""

import contextlib
import math

import pytest
import torch

from bench import registry
from bench.errors import Unavailable, UsageError
from bench.metric import CostMetric, ImageMetric, LabelMetric, SaliencyMetric, SampleMetric

SIDE = 192  # MS-SSIM needs more than 160
CONSTANT = {"nss": 0, "auc_judd": 0.5, "auc_borji": 0.5, "shuffled_auc": 0.5, "information_gain": 0}
"""What a constant map scores where only order counts; elsewhere it is as good as can be."""

OTHERS = {  # called in ways of their own
    *("box_agreement", "detection", "distance", "fcn_score", "label_agreement", "margin", "population_error", "regret", "suboptimality"),
}


def of_kind(kind):
    return [name for name in registry.names("metric") if issubclass(registry.find("metric", name), kind)]


def perfect(metric):
    """The best value there is."""
    return metric.bounds[1] if metric.higher_is_better else metric.bounds[0]


def asks_for_colour(metric):
    """Whether it refuses gray pictures, in a line of its own."""
    gray = pictures(0.5, channels=1)
    with contextlib.suppress(UsageError):
        metric(gray, gray)
        return False
    return True


def usable(name):
    metric = registry.make("metric", name)
    try:
        metric.require()
    except Unavailable as error:
        pytest.skip(str(error))
    return metric


def pictures(*levels, channels=3):
    return torch.tensor(levels).reshape(-1, 1, 1, 1).expand(-1, channels, SIDE, SIDE).clone()


def test_every_metric_is_looked_at():
    kinds = (ImageMetric, SaliencyMetric, LabelMetric, SampleMetric, CostMetric)
    assert set(registry.names("metric")) - OTHERS == {name for kind in kinds for name in of_kind(kind)}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", of_kind(ImageMetric))
def test_identical_constant_pictures_are_perfect(name, channels):
    metric = usable(name)
    x = pictures(0.0, 1 / 255, 0.5, 1.0, channels=channels)
    if channels == 1 and asks_for_colour(metric):
        pytest.skip(f"{name} wants colour")
    assert metric(x, x).tolist() == pytest.approx([perfect(metric)] * 4, abs=1e-12)
    other = pictures(1.0, 0.0, 1 / 255, 0.5, channels=channels)
    scores = metric(other, x)
    assert not scores.isnan().any()
    if not name.endswith("_hu"):  # beyond its window all is alike
        assert (scores < perfect(metric) if metric.higher_is_better else scores >= perfect(metric)).all()


@pytest.mark.parametrize("name", of_kind(SaliencyMetric))
def test_constant_maps(name):
    metric = usable(name)
    maps = {"target": 1.0, "mask": 1.0, "baseline": 1.0}
    marks = torch.zeros(1, 1, SIDE, SIDE)
    marks[..., ::16, ::16] = 1
    truth = [torch.full_like(marks, maps[kind]) if kind in maps else marks for kind in metric.reads]
    slack = 0.03 if "auc" in name else 1e-9  # ties in random order; the regulariser of a logarithm
    assert metric(torch.ones_like(marks), *truth).item() == pytest.approx(CONSTANT.get(name, perfect(metric)), abs=slack)
    assert math.isfinite(metric(torch.zeros_like(marks), *truth).item())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", of_kind(ImageMetric))
def test_one_pixel_that_is_no_number_leaves_its_picture_without_a_score(name, bad):
    metric = usable(name)
    rng = torch.Generator().manual_seed(0)
    x, x_hat = torch.rand(2, 2, 3, SIDE, SIDE, generator=rng)
    sound = metric(x_hat, x)
    broken = x_hat.clone()
    broken[0, 1, 7, 9] = bad
    assert metric(broken, x).isnan().tolist() == [True, False]
    assert metric(x, broken).isnan().tolist() == [True, False]
    assert metric(broken, x)[1] == sound[1]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", of_kind(SaliencyMetric))
def test_one_value_that_is_no_number_leaves_its_map_without_a_score(name, bad):
    metric = usable(name)
    rng = torch.Generator().manual_seed(0)
    maps = torch.rand(2, 1, 64, 64, generator=rng)
    marks = (torch.rand(2, 1, 64, 64, generator=rng) > 0.9).float()
    truth = [marks if kind in ("fixations", "others", "mask") else torch.rand(2, 1, 64, 64, generator=rng) for kind in metric.reads]
    sound = metric(maps, *truth)
    assert sound.isfinite().all()
    broken = maps.clone()
    broken[1, 0, 3, 4] = bad
    assert metric(broken, *truth).isnan().tolist() == [False, True]
    assert metric(broken, *truth)[0].item() == pytest.approx(sound[0].item(), abs=1e-12)
    assert metric(torch.full_like(maps, bad), *truth).isnan().all()
    for i, part in enumerate(truth):
        worse = part.clone()
        worse[0, 0, 5, 5] = bad
        assert metric(maps, *truth[:i], worse, *truth[i + 1 :]).isnan().tolist() == [True, False]


@pytest.mark.parametrize("name", of_kind(ImageMetric))
def test_scores_of_pictures_lie_between_their_bounds(name):
    metric = usable(name)
    x = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    x[2] = x[2].round()
    scores = torch.cat([metric(x_hat, x) for x_hat in (1 - x, x.flip(0), x, torch.zeros_like(x))])
    low, high = metric.bounds
    assert ((scores >= low - 1e-9) & (scores <= high + 1e-9)).all(), scores


@pytest.mark.parametrize("name", of_kind(SaliencyMetric))
def test_scores_of_maps_lie_between_their_bounds(name):
    metric = usable(name)
    marks = torch.zeros(1, 1, 64, 64)
    marks[..., ::8, ::8] = 1
    truth = [marks for _ in metric.reads]
    scores = [metric(map_, *truth).item() for map_ in (marks, 1 - marks, torch.rand(1, 1, 64, 64), torch.ones_like(marks))]  # any map
    low, high = metric.bounds
    assert all(low - 1e-9 <= score <= high + 1e-9 for score in scores), scores


@pytest.mark.parametrize(
    "name", ["prdc[net=pixels]", "fd[net=pixels]", "c2st_1nn", "nearest_neighbour[net=pixels]", "geometry_score[repeats=3]", "class_modes"]
)
def test_numbers_of_samples_lie_between_their_bounds(name):
    metric = registry.make("metric", name)
    real, fake = torch.rand(2, 128, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    cards = metric.cards(fake=128, real=128)
    for samples in (fake, real, torch.zeros_like(real), real[:1].expand(128, -1, -1, -1)):
        for column, value in metric(samples, real).items():
            if column in cards:
                low, high = cards[column].bounds
                assert low - 1e-9 <= value <= high + 1e-9, column


@pytest.mark.parametrize("name", of_kind(LabelMetric))
def test_a_logit_that_is_no_number_gives_no_score(name):
    logits = torch.tensor([[0.0, 3.0], [math.nan, 1.0], [2.0, math.nan]])
    assert usable(name)(logits, torch.tensor([1, 1, 0])).isnan().tolist() == [False, True, True]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", of_kind(SampleMetric))
def test_a_sample_that_is_no_number_gives_no_score(name, bad):
    metric = registry.make("metric", name)
    real = torch.rand(max(16, metric.min_samples), 1, 16, 16, generator=torch.Generator().manual_seed(0))
    fake = real.clone()
    fake[3, 0, 0, 0] = bad
    assert all(math.isnan(value) for value in metric(fake, real).values())
    with pytest.raises(UsageError, match="a real sample is not finite"):
        metric(real, fake)


def test_points_and_sums_that_are_no_number():
    nan = torch.tensor([0.5, math.nan])
    labels, weights = torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.5])
    values = {
        "margin": (nan, labels), "population_error": (nan, labels, weights), "suboptimality": (math.nan, 0.0),
        "suboptimality[log10=true]": (math.nan, 0.0),
        "regret": (math.nan, 5), "distance": (nan, torch.zeros(1, 2)),
    }  # fmt: skip
    assert OTHERS - {"box_agreement", "detection", "fcn_score", "label_agreement"} <= {name.partition("[")[0] for name in values}
    for name, given in values.items():
        assert math.isnan(registry.make("metric", name)(*given)), name


def test_a_picture_that_is_no_number_is_not_read_by_a_segmenter():
    metric = registry.make("metric", "fcn_score")
    labels = torch.zeros(2, 3, 8, 8)
    made = labels.clone()
    assert metric.score(metric.confusion(made, labels))["pixel_accuracy"] == 1
    made[1, 0, 2, 2] = math.nan
    assert all(math.isnan(value) for value in metric.score(metric.confusion(made, labels)).values())
