"""The detectors: bundled weights, coordinates at any size, ultralytics' own suppression as the other implementation, safe loading."""

import functools
import hashlib
import json
import os
import pickle
import types
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from bench import registry
from bench.detector import Detections, best_boxes
from bench.detectors import _ultralytics, digit_yolo
from bench.detectors.yolo import Yolo
from bench.errors import Unavailable, UsageError
from bench.metrics.detection import Detection
from datasets.digit_scenes import DigitScenes


@functools.cache
def scenes(n=48):
    pictures = [DigitScenes(test=n).open(None, "test")[i] for i in range(n)]
    return torch.stack([p.target for p in pictures]), [Detections.from_annotations(p.boxes, p.labels) for p in pictures]


@functools.cache
def detector():
    return registry.make("detector", "digit_yolo")


@pytest.fixture(scope="module", params=["yolov8n.yaml", "yolov10n.yaml"])  # with suppression, and one that needs none
def checkpoint(request, tmp_path_factory):
    """A YOLO with random weights that finds something everywhere, saved the way ultralytics' trainer does."""
    torch.manual_seed(0)
    model = _ultralytics.tasks().DetectionModel(request.param, verbose=False)
    model.end2end = request.param == "yolov10n.yaml"
    for name, parameter in model.named_parameters():
        if "cv3" in name and name.endswith(".2.bias"):
            parameter.data += 8
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    torch.save({"model": model, "ema": None, "train_args": {}}, path)
    return path, model.eval()


def same(a, b, tolerance=1e-3):
    assert a.labels.equal(b.labels)
    torch.testing.assert_close(a.boxes, b.boxes, rtol=0, atol=tolerance)
    torch.testing.assert_close(a.scores, b.scores, rtol=0, atol=1e-5)


def test_the_registry_lists_the_detectors_and_not_the_training_script():
    assert {"digit_yolo", "torchvision", "yolo"} == {n for n in registry.names("detector") if n != "fastestdet"}


def test_best_boxes_by_hand():
    boxes = torch.tensor([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [40, 40, 60, 60], [20, 20, 30, 30]]).float()
    scores = torch.tensor([[0.5, 0.0], [0.9, 0.1], [0.1, 0.6], [0.3, 0.2], [0.0005, 0.0]])
    kept = best_boxes(
        boxes, scores, (50, 55), nms=0.5
    )  # the first is suppressed by the second, the last is too weak, the fourth is clipped
    assert kept.boxes.tolist() == [[1, 0, 11, 10], [0, 0, 10, 10], [40, 40, 55, 50]]
    assert kept.labels.tolist() == [0, 1, 0]
    assert kept.scores.tolist() == pytest.approx([0.9, 0.6, 0.3])
    assert len(best_boxes(boxes, scores, (50, 50), nms=0.5, limit=2)) == 2


class TestDigitYolo:
    def test_the_bundled_weights_are_those_of_the_recipe(self):
        recipe = json.loads(digit_yolo.WEIGHTS.with_suffix(".json").read_text())
        content = digit_yolo.WEIGHTS.read_bytes()
        assert hashlib.sha256(content).hexdigest() == recipe["sha256"]
        assert recipe["sha256"].startswith(detector().fingerprint())
        assert len(content) <= 1.5e6
        assert recipe["test"]["ap50"] >= 0.85
        assert recipe["parameters"] == sum(p.numel() for p in detector().model.parameters()) == 605_108

    def test_it_reads_digits(self):
        images, truth = scenes()
        score = Detection().score(detector()(images), truth)
        assert score.ap50 > 0.8
        assert score.f1 > 0.75

    def test_suppression_agrees_with_that_of_ultralytics(self):
        _ultralytics.tasks()
        from ultralytics.utils.nms import non_max_suppression

        images, _ = scenes()
        with torch.inference_mode():
            raw = detector().model(images)[0]
        expected = non_max_suppression(raw, conf_thres=0.001, iou_thres=0.7, max_det=100)
        for ours, theirs in zip(detector()(images), expected, strict=True):
            same(ours, Detections(theirs[:, :4].clamp(0, 128), theirs[:, 5].long(), theirs[:, 4]))

    @pytest.mark.parametrize(("height", "width"), [(128, 171), (150, 128), (33, 47)])
    def test_boxes_are_in_pixels_of_the_input_at_any_size(self, height, width):
        canvas = torch.full((1, 3, 192, 192), 114 / 255)
        canvas[..., :height, :width] = torch.nn.functional.pad(scenes()[0][:1], (0, 64, 0, 64), value=0.5)[..., :height, :width]
        found = detector()(canvas[..., :height, :width])[0].above(0.25)
        padded = detector()(canvas[..., : height + -height % 32, : width + -width % 32])[0].above(0.25)
        limits = torch.tensor([width, height, width, height])
        same(found, Detections(padded.boxes.clamp(max=limits), padded.labels, padded.scores))

    def test_a_picture_alone_is_as_in_a_batch_and_order_is_kept(self):
        images, _ = scenes()
        together = detector()(images)
        for i in (0, 17, 40):
            same(detector()(images[i : i + 1])[0].above(0.01), together[i].above(0.01), 0.05)

    def test_random_numbers_are_untouched(self):
        state = torch.get_rng_state()
        registry.make("detector", "digit_yolo")(scenes()[0][:1])
        assert torch.get_rng_state().equal(state)

    def test_options_are_checked(self):
        with pytest.raises(UsageError, match="nms"):
            registry.make("detector", "digit_yolo[nms=0]")


def test_the_training_script_learns_and_repeats_itself():
    from bench.detectors import _train_digit_yolo as script

    source = DigitScenes(train=8)
    data = script._Scenes.of(source.open(None, "train"))
    recipe = script.Recipe(steps=3, batch_size=4, warmup=1)
    once, twice = (script.train(recipe, data).state_dict() for _ in range(2))
    assert all(once[k].equal(twice[k]) for k in once)
    torch.manual_seed(recipe.seed)
    start = script.digit_network().state_dict()
    assert not any(once[k].equal(start[k]) for k in once if k.endswith("conv.weight") and "dfl" not in k)


class TestYolo:
    def test_a_checkpoint_detects_as_its_network_does(self, checkpoint):
        path, raw = checkpoint
        yolo = registry.make("detector", f"yolo[weights={path}]")
        image = scenes()[0][:2, :, :100]
        with torch.inference_mode():
            rows = raw(torch.nn.functional.pad(image, (0, 0, 0, 28), value=114 / 255))[0]
        for found, row in zip(yolo(image), rows, strict=True):
            best = row[:, 4].max() if raw.end2end else row[4:].max()
            assert found.scores[0].item() == pytest.approx(best.item(), abs=1e-6)
            assert len(found) == 100 if raw.end2end else 0 < len(found) <= 100
            assert 0 <= found.boxes.min()
            assert found.boxes[:, 3].max() <= 100
        assert yolo.classes == tuple(str(i) for i in range(80))
        assert yolo.protocol().keys() == {"name", "nms", "fingerprint"}

    @pytest.mark.parametrize(
        ("names", "known"),
        [(["cat", "dog"], ("cat", "dog")), ({1: "dog", 0: "cat"}, ("cat", "dog")), ({1: "dog", 2: "cat"}, None), ({0: 7}, ("7",))],
    )
    def test_classes_are_a_list_or_a_mapping_from_0(self, names, known, monkeypatch):
        monkeypatch.setattr(Yolo, "model", types.SimpleNamespace(names=names))
        if known:
            assert Yolo(weights="/x.pt").classes == known
        else:
            with pytest.raises(UsageError, match=r"the classes of /x\.pt are not numbered from 0 to 1"):
                Yolo(weights="/x.pt").classes  # noqa: B018

    def test_loading_does_not_widen_what_torch_trusts(self, checkpoint):
        before = set(torch.serialization.get_safe_globals())
        assert registry.make("detector", f"yolo[weights={checkpoint[0]}]").classes
        assert set(torch.serialization.get_safe_globals()) == before
        with pytest.raises(pickle.UnpicklingError):
            torch.load(checkpoint[0], weights_only=True)

    def test_a_hostile_checkpoint_is_refused_and_runs_nothing(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "sprung"),)

        torch.save({"model": Trap()}, tmp_path / "trap.pt")
        (tmp_path / "junk.pt").write_bytes(b"\x00" * 99)
        torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "plain.pt")
        for name in ("trap", "junk", "plain"):
            with pytest.raises(UsageError, match=f"{name}.pt"):
                registry.make("detector", f"yolo[weights={tmp_path / name}.pt]")(torch.zeros(1, 3, 32, 32))
        assert not (tmp_path / "sprung").exists()
        assert (tmp_path / "junk.pt").exists()


@pytest.mark.parametrize("name", ["yolo", "torchvision"])
def test_weights_are_asked_for_never_fetched(name, tmp_path):
    with pytest.raises(Unavailable, match="weights=/absolute/path"):
        registry.make("detector", name).require()
    with pytest.raises(Unavailable, match="no weights at"):
        registry.make("detector", f"{name}[weights={tmp_path}/yolov8n.pt]")(torch.zeros(1, 3, 32, 32))
    with pytest.raises(UsageError, match="absolute"):
        registry.make("detector", f"{name}[weights=yolov8n.pt]").fingerprint()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """An SSDlite with random weights."""
    from torchvision.models import get_model

    torch.manual_seed(0)
    network = get_model("ssdlite320_mobilenet_v3_large", weights=None, weights_backbone=None)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(network.state_dict(), path)
    return path


class TestTorchvision:
    def test_classes_are_the_80_of_coco_in_order(self):
        lines = (Path(find_spec("ultralytics").origin).parent / "cfg/datasets/coco.yaml").read_text().splitlines()
        start = lines.index("names:") + 1
        names = tuple(line.partition(":")[2].strip() for line in lines[start : start + 80])
        assert registry.make("detector", "torchvision").classes == names

    def test_labels_and_boxes_are_translated(self, weights):
        ours = registry.make("detector", f"torchvision[model=ssdlite320_mobilenet_v3_large,weights={weights}]")
        images = scenes()[0][:2]
        found = ours(images)
        theirs = ours._network([images[0]])[0]
        names = [ours._categories[i] for i in theirs["labels"].tolist()]
        kept = [i for i, name in enumerate(names) if name not in ("__background__", "N/A")][:100]
        assert [ours.classes[i] for i in found[0].labels.tolist()] == [names[i] for i in kept]
        torch.testing.assert_close(found[0].boxes, theirs["boxes"].detach()[kept])
        assert len(found) == 2

    def test_foreign_weights_and_models_are_refused(self, weights):
        with pytest.raises(UsageError, match="known: fasterrcnn"):
            registry.make("detector", "torchvision[model=resnet18]")
        with pytest.raises(UsageError, match="does not hold"):
            registry.make("detector", f"torchvision[model=fcos_resnet50_fpn,weights={weights}]")(scenes()[0][:1])
