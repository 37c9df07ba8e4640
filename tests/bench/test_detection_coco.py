"""The whole question on real photographs with a detector trained elsewhere: blur blinds it, deconvolution gives part of its sight back."""

import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from bench import registry
from bench.detector import Detections
from bench.method import Batch
from bench.metrics.detection import Detection
from datasets.coco import Coco
from datasets.degrade.motion_blur import MotionBlur

DATA = os.environ.get("GANBENCH_DATA")
PLUGIN = Path(__file__).parents[1] / "plugins" / "fastestdet.py"

pytestmark = pytest.mark.skipif(not DATA, reason="needs COCO photographs and FastestDet's weights: set GANBENCH_DATA")


@pytest.fixture(scope="module")
def detector():
    pytest.importorskip("onnxruntime")
    if PLUGIN.stem not in registry.names("detector"):
        registry.load_plugin(PLUGIN)
    made = registry.make("detector", "fastestdet")
    made.require()
    return made


@pytest.fixture(scope="module")
def photographs():
    return Coco().open(Path(DATA), "test")


def test_the_classes_are_those_of_the_data(detector, photographs):
    assert list(detector.classes) == photographs.classes


def test_the_published_detector_sees_what_is_annotated(detector, photographs):
    """Published AP50 on all of val2017: 25.3 %; these 128 photographs are a little easier."""
    found = [detector(p.target[None])[0] for p in photographs]
    score = Detection().score(found, [Detections.from_annotations(p.boxes, p.labels) for p in photographs])
    assert 0.25 < score.ap50 < 0.45
    assert score.map < score.ap50


@pytest.mark.slow
def test_blur_blinds_and_richardson_lucy_heals(detector, photographs):
    """At half size (about 320 x 240, the detector's own scale)."""
    pictures = [photographs[i] for i in range(64)]
    sharp = [F.interpolate(p.target[None], scale_factor=0.5, mode="area") for p in pictures]
    truth = [Detections.from_annotations(p.boxes / 2, p.labels) for p in pictures]
    rng = torch.Generator().manual_seed(0)
    blur = MotionBlur(max_len=40, noise=2 / 255)
    kernels = blur.kernels(len(sharp), rng)
    blurred = [blur.apply(image, kernel[None], rng) for image, kernel in zip(sharp, kernels)]
    restore = registry.make("method", "richardson_lucy")(None).restore
    restored = [restore(Batch(observed=image, psf=kernel[None], sigma=blur.noise)) for image, kernel in zip(blurred, kernels)]

    metric = Detection(confidence=0.5)
    on_sharp, on_blurred, on_restored = (
        metric.score([detector(image)[0] for image in images], truth) for images in (sharp, blurred, restored)
    )
    gain = metric.gain(on_restored, on_blurred, on_sharp)
    assert on_blurred.ap50 < on_sharp.ap50 / 2
    assert on_blurred.ap50 < on_restored.ap50 < on_sharp.ap50
    assert gain.delta_f1 > 0
    assert 0 < gain.recovered < 1
