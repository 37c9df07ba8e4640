"""FCN-score against torchmetrics and by hand; reading labels by their colours; mean absolute error."""

import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassJaccardIndex

from bench import registry
from bench.errors import UsageError
from bench.metrics.fcn_score import FCNScore
from bench.metrics.l1 import L1
from bench.segmenters.palette import FACADES, Palette

SEGMENTER = '''
import dataclasses
from bench.detector import Segmenter

KIND = "segmenter"

@dataclasses.dataclass(frozen=True, kw_only=True)
class Bright(Segmenter):
    """Three classes by brightness; the darkest pixels do not count."""

    @property
    def classes(self):
        return 3

    def __call__(self, images):
        return (images.mean(1) * 3.999).long() - 1
'''


def painted(labels):
    """N x H x W -> N x 3 x H x W in the colours of facades."""
    return torch.tensor(FACADES)[labels].permute(0, 3, 1, 2) / 255


def some_labels(n=3, seed=0, classes=12):
    return torch.randint(classes, (n, 16, 20), generator=torch.Generator().manual_seed(seed))


def test_colours_are_read_through_noise():
    labels = some_labels()
    noise = 0.05 * torch.rand(3, 3, 16, 20, generator=torch.Generator().manual_seed(1)) - 0.025
    assert torch.equal(Palette()(painted(labels) + noise), labels)
    assert Palette().classes == 12


def test_the_nearest_colour_by_brute_force():
    images = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    distances = torch.cdist(images.permute(0, 2, 3, 1).reshape(-1, 3), torch.tensor(FACADES) / 255)
    assert torch.equal(Palette()(images).flatten(), distances.argmin(1))


@pytest.mark.parametrize("colours", [((0, 0, 0),), ((0, 0, 0), (0, 0, 0))])
def test_a_palette_needs_different_colours(colours):
    with pytest.raises(ValueError, match="all different"):
        Palette(colours=colours)


@pytest.mark.oracle("metric", "fcn_score")
def test_equals_torchmetrics():
    true, read = some_labels(), some_labels(seed=1)
    read = torch.where(torch.rand(true.shape, generator=torch.Generator().manual_seed(2)) < 0.6, true, read)
    metric = FCNScore()
    confusion = metric.confusion(painted(read), painted(true))
    assert torch.equal(confusion, MulticlassConfusionMatrix(12)(read, true))
    score = metric.score(confusion)
    assert score["pixel_accuracy"] == pytest.approx(MulticlassAccuracy(12, average="micro")(read, true).item())
    assert score["class_accuracy"] == pytest.approx(MulticlassAccuracy(12, average="macro")(read, true).item())
    assert score["iou"] == pytest.approx(MulticlassJaccardIndex(12)(read, true).item())
    parts = sum(metric.confusion(painted(a[None]), painted(b[None])) for a, b in zip(read, true))
    assert torch.equal(parts, confusion)  # counts add up


def test_by_hand():
    """Class 0: 3 of 4 read; class 1: 1 of 2; class 2 is read once though it is nowhere, class 3 is nowhere at all."""
    confusion = torch.tensor([[3, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    score = FCNScore().score(confusion)
    assert score == pytest.approx({"pixel_accuracy": 4 / 6, "class_accuracy": (3 / 4 + 1 / 2) / 2, "iou": (3 / 5 + 1 / 2 + 0) / 3})


def test_perfect_labels_score_one():
    labels = some_labels(classes=5)
    metric = FCNScore()
    assert set(metric.score(metric.confusion(painted(labels), painted(labels))).values()) == {1.0}


def test_any_segmenter_and_pixels_that_do_not_count(plugin):
    plugin("bright", SEGMENTER)
    metric = registry.make("metric", "fcn_score[segmenter=bright,truth=bright]")
    metric.require()
    images = torch.linspace(0, 1, 64).view(1, 1, 8, 8).expand(1, 3, 8, 8)
    assert metric.confusion(images, images).sum() == 48  # a quarter is too dark
    assert metric.protocol()["segmenter"]["name"].endswith("bright")
    with pytest.raises(UsageError, match="knows 3 classes, palette 12"):
        registry.make("metric", "fcn_score[segmenter=bright]").require()


def test_protocol_names_both_readers():
    card, other = FCNScore().card(), FCNScore(truth="palette[colours=((0,0,0),(255,255,255))]").card()
    assert card.hash != other.hash
    assert card.protocol["segmenter"]["name"] == "palette"


@pytest.mark.oracle("metric", "l1")
def test_l1_by_hand():
    x = torch.zeros(2, 3, 4, 4)
    y = x.clone()
    y[1, 0] = 0.5  # a third of the entries
    assert L1(quantize=None)(y, x).tolist() == pytest.approx([0, 0.5 / 3])
    assert L1()(y + 2, x).tolist() == [1, 1]  # clipped
    assert L1()(y, x)[1].item() == pytest.approx(128 / 255 / 3)  # rounded
