"""What is asked of a detector in restored scenes: scenes that are none, scenes with nothing in them, few scenes."""

import dataclasses
import math

import pytest
import torch

from bench.dataset import Picture
from bench.detector import Detections, Detector
from bench.method import Batch
from bench.metrics.detection import Detection
from bench.tasks._detection import DetectionEvaluation
from bench.tasks._metrics import ENOUGH, few
from bench.tasks._pictures import evaluation_set
from bench.tasks.deblur import Deblur
from bench.tasks.generate import Generate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bright(Detector):
    """Finds one object where the picture is bright in its middle."""

    classes = ("lamp",)

    def __call__(self, images):
        found = [self._box(float(image[:, 8, 8].mean())) for image in images]
        return [Detections(b, torch.zeros(len(b), dtype=torch.int64), torch.full((len(b),), 0.9)) for b in found]

    def _box(self, level):
        return torch.tensor([[4.0, 4, 12, 12]] if level > 0.5 else []).reshape(-1, 4)

    def fingerprint(self):
        return "0" * 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sees(Detection):
    def make_detector(self):
        return Bright()


def scene(name, lamps, level, crowds=()):
    target = torch.zeros(3, 16, 16)
    target[:, 4:12, 4:12] = level
    boxes = torch.tensor(lamps).reshape(-1, 4).float()
    marked = torch.tensor(crowds).reshape(-1, 4).float()
    labels, many = (torch.zeros(len(b), dtype=torch.int64) for b in (boxes, marked))
    return Picture(name=name, target=target, boxes=boxes, labels=labels, crowds=marked, crowd_labels=many)


SCENES = [scene("lamp", [4, 4, 12, 12], 1.0), scene("dark", [], 0.0), scene("many", [], 1.0, crowds=[0, 0, 16, 16])]


class Hands:
    """Restores what was observed, but for some values."""

    def __init__(self, **changes):
        self.changes = changes

    def restore(self, batch):
        x = batch.observed.clone()
        for row, value in self.changes.items():
            x[int(row[1:])] = value
        return x


def scored(method):
    def scenes():
        return evaluation_set(SCENES, lambda picture, i: Batch(picture.target[None], picture.target[None]), torch.device("cpu"))

    return DetectionEvaluation(Sees(), ["lamp"], scenes, torch.device("cpu")).score(method, lambda done: None)


def test_nothing_to_find_and_nothing_found_is_right():
    found = scored(Hands())
    assert found.per_image["f1"] == (["lamp", "dark", "many"], [1.0, 1.0, 1.0])  # in a crowd nothing is wrong
    assert (found.values["precision"], found.values["recall"]) == (1, 1)
    wrong = scored(Hands(_1=1.0))
    assert wrong.values["f1"] == pytest.approx(2 / 3)
    assert wrong.per_image["f1"][1] == pytest.approx([4 / 3, 0, 2 / 3])  # whose mean it is
    assert wrong.values["precision"] == 0.5


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_restored_scene_that_is_none_leaves_no_score(bad):
    found = scored(Hands(_0=bad))
    assert all(math.isnan(value) for value in found.values.values())
    assert math.isnan(found.per_image["f1"][1][0])


def test_a_record_says_where_shares_rest_on_little():
    assert few(ENOUGH, "things", "shares") == {}
    text = "precision, recall and F1 rest on 8 test scenes, each of which decides about 12% of them: 1.000 there is far from certain"
    assert few(8, "test scenes", "precision, recall and F1") == {"few": text}
    for scenes, said in ((8, text), (300, None), (0, None)):
        task = Deblur(scenes=scenes, scene_share=0, metrics=("psnr",))
        task.open(None, torch.device("cpu"))
        assert task.notes().get("few") == said
    for samples, metrics, said in ((40, ("prdc",), True), (200, ("prdc",), False), (40, ("fd[net=digits_cnn]",), False)):
        task = Generate(samples=samples, metrics=metrics)
        task.open(None, torch.device("cpu"))
        assert ("few" in task.notes()) == said
