"""A good part of each kind holds its contract; each breakage is found by the check that is about it, and said in words."""

import re

import pytest

from bench.conformance import contracts

METRIC = '''
import dataclasses
from typing import ClassVar
import torch
from torch import Tensor
from bench.errors import UsageError
from bench.metric import ImageMetric

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(ImageMetric):
    """Mean absolute error."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    definition: ClassVar[str] = "mean absolute error"

    def __call__(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """One an image."""
        if x_hat.shape != x.shape:
            raise UsageError("shapes differ")
        return (x_hat.double() - x.double()).abs().mean((1, 2, 3))
'''
VALUES = "return (x_hat.double() - x.double()).abs().mean((1, 2, 3))"

SET_METRIC = '''
import dataclasses
from typing import ClassVar
import torch
from bench.metric import SampleMetric

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(SampleMetric):
    """Distance of the means."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, 1e9)
    definition: ClassVar[str] = "distance of the means"

    def compare(self, fake, real):
        """One number."""
        return {"mine": (fake.mean(0) - real.mean(0)).norm()}
'''
NUMBER = 'return {"mine": (fake.mean(0) - real.mean(0)).norm()}'

DATASET = '''
import dataclasses
from typing import ClassVar
import torch
from bench.dataset import Picture, PictureSet, Source

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Source):
    """Made up."""

    origin: ClassVar[str] = "made up"
    layout: ClassVar[str] = "nothing"

    def open(self, root, split):
        """Two pictures a split."""
        seed = ["train", "validation", "test"].index(split)

        def load(i):
            x = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(10 * seed + i))
            return Picture(name=names[i], target=x)

        names = ["a", "b"]
        return PictureSet(names, load, f"made up by hand, {split}")
'''

SAMPLES = '''
import dataclasses
from typing import ClassVar
import numpy as np
from datasets.reading.samples import SampleSource, sample_set

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(SampleSource):
    """Made up."""

    origin: ClassVar[str] = "made up"
    layout: ClassVar[str] = "nothing"

    def open(self, root, split):
        """Noise."""
        rng = np.random.default_rng(["train", "validation", "test"].index(split))
        return sample_set(rng.integers(0, 256, (40, 1, 8, 8), np.uint8), rng.integers(0, 2, 40), ["no", "yes"])
'''

DEGRADATION = '''
import dataclasses
import torch
from bench.operators.noise import Noise

KIND = "degradation"

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Noise):
    """Uniform noise."""

    def apply(self, x, rng=None):
        """Noisy copies."""
        return x + 0.1 * torch.rand(x.shape, generator=rng)
'''

TASK = '''
import dataclasses
import functools
from typing import ClassVar
import torch
from torch import nn
from bench.metrics.distance import Distance
from bench.task import Scores
from bench.tasks._minimise import Minimise

@dataclasses.dataclass(kw_only=True, eq=False)
class Mine(Minimise):
    """A bowl."""

    verb: ClassVar[str] = "minimise"

    def model(self):
        """A point."""
        return nn.Linear(2, 1, bias=False)

    def batch(self, n, rng):
        """Numbers."""
        return torch.randn(n, 2, generator=rng)

    def loss(self, model, batch):
        """Its square."""
        return model(batch).square().mean()

    @property
    def start_loss(self):
        """One."""
        return 1.0

    def cards(self):
        """The distance."""
        return {"distance": Distance().card()}

    def components(self):
        """The metric."""
        return [("metric", "distance")]

    def measure(self, model, split):
        """How far from 0."""
        return Scores({"distance": Distance()(model.weight.detach()[0], torch.zeros(1, 2))})
'''
MEASURE = 'return Scores({"distance": Distance()(model.weight.detach()[0], torch.zeros(1, 2))})'

ADVERSARIAL = '''
import dataclasses
import torch.nn.functional as F
from methods.losses.contracts import AdversarialLoss

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(AdversarialLoss):
    """Cross entropy."""

    def critic(self, D, real, fake):
        """Both."""
        return F.softplus(-D(real)).mean() + F.softplus(D(fake)).mean()

    def generator(self, D, fake, real):
        """Non-saturating."""
        return F.softplus(-D(fake)).mean()
'''

CONTENT = '''
KIND = "content"

def mine(x_hat, x):
    """Mean square."""
    return (x_hat - x).square().mean()
'''
MEAN = "return (x_hat - x).square().mean()"

OPTIMIZER = '''
import torch

KIND = "optimizer"

def mine(params, *, lr: float = 0.1):
    """Momentum."""
    return _Rule(params, {"lr": lr})

class _Rule(torch.optim.Optimizer):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.mul_(0.5).add_(p.grad)
                p.data -= group["lr"] * m
'''

SCHEDULE = '''
KIND = "schedule"

def mine(progress, *, end: float = 0.1) -> float:
    """Down on a line."""
    return 1 + (end - 1) * progress
'''

INIT = '''
from torch import nn

KIND = "init"

def mine(network):
    """Small normal weights."""
    for layer in network.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)) and layer.weight.requires_grad:
            nn.init.normal_(layer.weight, 0.0, 0.02)
'''

DETECTOR = '''
import dataclasses
import torch
from bench.detector import Detections, Detector

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Detector):
    """The brightest pixel."""

    @property
    def classes(self):
        """One."""
        return ("bright",)

    def __call__(self, images):
        """One box a picture."""
        found = []
        for image in images:
            y, x = divmod(int(image.mean(0).argmax()), image.shape[-1])
            box = torch.tensor([[x, y, x + 1, y + 1]]).float()
            found.append(Detections(box, torch.zeros(1), torch.ones(1)))
        return found

    def fingerprint(self):
        """Nothing is trained."""
        return "0" * 16
'''

FEATURE = '''
import dataclasses
from bench.feature import Features

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Features):
    """Mean and deviation."""

    def __call__(self, x):
        """N x 2."""
        import torch
        pixels = x.float().flatten(1)
        return torch.stack([pixels.mean(1), pixels.std(1)], 1)
'''

SEGMENTER = '''
import dataclasses
from bench.detector import Segmenter

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(Segmenter):
    """Dark or bright."""

    @property
    def classes(self):
        """Two."""
        return 2

    def __call__(self, images):
        """By the mean channel."""
        return (images.mean(1) > 0.5).long()
'''

GOOD = {
    "metric": METRIC, "set metric": SET_METRIC, "dataset": DATASET, "samples": SAMPLES, "degradation": DEGRADATION, "task": TASK,
    "adversarial": ADVERSARIAL, "content": CONTENT, "optimizer": OPTIMIZER, "schedule": SCHEDULE, "init": INIT, "detector": DETECTOR,
    "feature": FEATURE, "segmenter": SEGMENTER,
}  # fmt: skip
BREAKS = [  # (which, what is replaced, by what, the check that finds it, what it says)
    ("metric", VALUES, "return (x_hat - x).abs().mean()", "values", "returned \\(\\) for 3 predictions: one value each"),
    ("metric", VALUES, VALUES.replace(".double()", ""), "values", "returned torch.float32, not torch.float64"),
    ("metric", VALUES, f"{VALUES} - 1", "values", "outside its bounds"),
    ("metric", VALUES, f"x_hat += 1; {VALUES}", "values", "writes to what it is given"),
    ("metric", VALUES, f"torch.rand(1); {VALUES}", "values", "draws from torch's global random numbers"),
    ("metric", VALUES, VALUES.replace(".abs()", ".nan_to_num().abs()"), "NaN", "for a prediction that holds NaN: it must be NaN"),
    ("metric", VALUES, f"v = {VALUES[7:]}; return v - v.mean() + 0.5", "batch", "alone differs from that in a batch"),
    ("metric", VALUES, f"v = {VALUES[7:]}; return v * torch.linspace(0, 1, len(v))", "batch", "in another order are other values"),
    ("metric", "ClassVar[bool] = False", "ClassVar[bool] = True", "direction", "is higher_is_better right"),
    ("metric", 'raise UsageError("shapes differ")', "x_hat = x", "shapes", "another shape than the truth: raise UsageError"),
    ("metric", '"mean absolute error"', '" "', "card", "the definition is empty"),
    ("metric", "(0.0, 1.0)", "(1.0, 0.0)", "card", "leave no room"),
    ("metric", "    def __call__", "    def protocol(self):\n        return {0: {1}}\n\n    def __call__", "card", "JSON values only"),
    ("set metric", NUMBER, 'return {"other": 1.0}', "values", r"has a card for \['mine'\] and no number"),
    ("set metric", NUMBER, 'return {"mine": -1.0}', "values", "outside its bounds"),
    ("set metric", NUMBER, "import random; return {'mine': random.random()}", "repeatable", "of the same samples differs"),
    ("dataset", "target=x", "target=x.double()", "pictures", "is torch.float64, not torch.float32"),
    ("dataset", "target=x", "target=2 * x", "pictures", "above 1"),
    ("dataset", "target=x", "target=x[:2]", "pictures", "has 2 channels"),
    ("dataset", "name=names[i]", "name='x'", "pictures", "calls itself x"),
    ("dataset", "target=x", "target=torch.rand(3, 8, 8)", "pictures", "differs when it is read again"),
    ("dataset", "10 * seed + i", "i", "names", "the picture a stands in train and in validation"),
    ("dataset", 'f"made up by hand, {split}"', '"made up by hand"', "fingerprint", "train and validation have one fingerprint"),
    ("dataset", 'f"made up by hand, {split}"', 'f"made up by hand, {split}, {id(load)}"', "fingerprint", "changes between two openings"),
    ("samples", '["train", "validation", "test"].index(split)', "0", "splits", "40 of 40 test pictures are training pictures"),
    ("samples", '["no", "yes"]', '["no"]', "samples", "has 1 classes and the label 1"),
    ("degradation", "generator=rng", "", "random", "other pictures under the same generator"),
    ("degradation", "return x + 0.1", "return x.double() + 0.1", "observed", "not torch.float32"),
    ("degradation", "return x + 0.1", "return x.add_(0.1) + 0.1", "observed", "writes to what it is given"),
    ("task", "torch.randn(n, 2, generator=rng)", "torch.randn(n, 2)", "batches", "draws from torch's global random numbers"),
    ("task", "return torch.randn(n", "self.t = getattr(self, 't', 0) + 1; return self.t * torch.randn(n", "batches", "on those before it"),
    ("task", MEASURE, MEASURE.replace('{"distance"', '{"far"'), "scores", "scores far, which has no card; it has those of distance"),
    ("task", MEASURE, f"model.weight.data += 1; {MEASURE}", "judging-neutral", "judging changes training"),
    ("task", '[("metric", "distance")]', '[("metric", "distanc")]', "declared", "unknown metric 'distanc'"),
    ("task", "    def model", "    judging_options = frozenset({'metrcs'})\n\n    def model", "declared",
     "name 'metrcs', which is no option"),
    ("adversarial", "F.softplus(-D(fake)).mean()", "F.softplus(-D(fake))", "generator", "not a scalar: take the mean"),
    ("adversarial", "F.softplus(-D(fake)).mean()", "-F.softplus(-D(fake)).detach().mean()", "generator", "has no gradient"),
    ("adversarial", "F.softplus(-D(fake)).mean()", "D(fake[:1]).mean()", "generator", "does not move every fake"),
    ("adversarial", "F.softplus(-D(real)).mean() + ", "real.mean() * float('nan') + ", "critic", "returned nan"),
    ("content", MEAN, "return float((x_hat - x).square().mean())", "value", "returned float, not a tensor"),
    ("content", MEAN, "return (x_hat - x).square().sum()", "mean", "is not the mean over its pictures"),
    ("content", MEAN, "return -(x_hat - x).square().mean()", "value", "larger between a picture and itself"),
    ("content", MEAN, "return (x_hat - x).square().mean().detach()", "gradient", "has no gradient"),
    ("optimizer", 'p.data -= group["lr"]', 'p.data += group["lr"]', "descends", "on a quadratic"),
    ("optimizer", 'p.data -= group["lr"]', "p.data -= 0.1", "learning rate", "does not heed"),
    ("optimizer", 'self.state[p].setdefault("m"', 'self.__dict__.setdefault("ms", {}).setdefault(p', "resume", "goes on otherwise"),
    ("optimizer", "m.mul_(0.5).add_(p.grad)", "m.mul_(0.5).add_(p.grad / p.grad.norm())", "no gradient", "of gradients that are 0"),
    ("schedule", "1 + (end - 1) * progress", "1 - 2 * progress", "factors", "only at 0 and 1 may nothing be learned"),
    ("schedule", "1 + (end - 1) * progress", "1 / progress if progress else float('inf')", "factors", "is not finite"),
    ("schedule", "    return 1", "    mine.n = getattr(mine, 'n', 0) + 1\n    return mine.n", "pure", "what it was asked before"),
    ("init", "nn.Linear, nn.Conv2d, nn.ConvTranspose2d", "nn.Linear, nn.Conv2d", "fills", "leaves 3.weight uninitialised"),
    ("init", "nn.init.normal_(", "import torch; torch.seed(); nn.init.normal_(", "deterministic", "other weights under the same seed"),
    ("init", "layer.weight, 0.0, 0.02", "layer.weight, 0.0, 0.0", "deterministic", "the seed changes nothing"),
    ("init", " and layer.weight.requires_grad", "", "deterministic", "changes parameters that are frozen"),
    ("detector", "x + 1, y + 1", "x - 500, y + 1", "detections", "not x0 y0 x1 y1 inside the picture"),
    ("detector", "return found", "return found[:1]", "detections", "returned 1 results for 2 pictures"),
    ("detector", "torch.zeros(1)", "torch.ones(1)", "detections", "a class that has no name"),
    ("detector", "torch.ones(1))", "torch.ones(1) / len(images))", "company", "other scores in company than alone"),
    ("feature", "pixels.mean(1), pixels.std(1)", "pixels.mean(1), pixels.std(1) / len(x)", "company", "alone than in company"),
    ("feature", ", 1)\n", ", 1).double()\n", "vectors", "gives torch.float64"),
    ("segmenter", ".long()", ".int()", "labels", "gives torch.int32, not torch.int64"),
    ("segmenter", ".long()", ".long() * 2", "labels", "gives the class 2, and there are 2"),
    ("segmenter", "> 0.5", "> images.mean()", "company", "other classes alone than in company"),
]  # fmt: skip


def verdicts(kind, name):
    return {title: contracts._verdict(check, name) for title, check in contracts.checks_of(kind, name).items()}


@pytest.mark.parametrize("which", GOOD)
def test_a_good_part_holds(plugin, which):
    found = verdicts(*plugin("mine", GOOD[which]))
    assert set(found.values()) == {"holds"}, found


@pytest.mark.parametrize(("which", "old", "new", "title", "says"), BREAKS, ids=lambda value: str(value)[:40])
def test_a_broken_one_is_found(plugin, which, old, new, title, says):
    assert GOOD[which].count(old) == 1
    kind, name = plugin("mine", GOOD[which].replace(old, new))
    verdict = contracts._verdict(contracts.checks_of(kind, name)[title], name)
    assert re.search(f"^FAILS: .*{says}", verdict), verdict


@pytest.mark.parametrize("which", [which for which in GOOD if "def __call__" in GOOD[which] or "def open" in GOOD[which]])
def test_what_the_base_leaves_open_is_missed(plugin, which):
    kind, name = plugin("mine", GOOD[which].replace("def __call__", "def call").replace("def open", "def load_all"))
    assert "FAILS: a method that the base class leaves to its parts is missing" in verdicts(kind, name).values()
