"""Trains the bundled digit detector: `python -m bench.detectors._train_digit_yolo` (a few minutes on two cores).

Sharp scenes only: a detector that has seen blur would not feel it. Decisions were made on validation scenes; the test scenes are scored
once. Beside the weights stands digit_yolo.json: the recipe, the data's fingerprints, the figures and the hash.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import hashlib
import json
import logging
import math
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from bench.dataset import PictureSet, Split
from bench.detector import Detections
from bench.detectors import _ultralytics, digit_yolo
from bench.metrics.detection import Detection
from datasets.digit_scenes import DigitScenes

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the weights besides the data."""

    steps: int = 885
    batch_size: int = 16
    lr: float = 4e-3
    warmup: int = 50
    weight_decay: float = 5e-4
    clip: float = 10.0
    average: float = 0.995  # of the exponential moving average of the weights
    jitter: float = 0.3  # brightness, contrast and each channel's gain: factors in 1 +- jitter
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class _Scenes:
    """A split in memory: pictures N x 3 x H x W, uint8, objects per picture."""

    images: Tensor
    objects: list[Detections]

    @classmethod
    def of(cls, pictures: PictureSet) -> _Scenes:
        found = list(pictures)
        images = torch.stack([(p.target * 255).round().to(torch.uint8) for p in found])
        return cls(images, [Detections.from_annotations(p.boxes, p.labels) for p in found if p.boxes is not None and p.labels is not None])


def train(recipe: Recipe, scenes: _Scenes) -> Any:
    """The averaged network after `recipe.steps` updates."""
    torch.manual_seed(recipe.seed)
    model = digit_network()
    averaged = copy.deepcopy(model).eval()
    decayed = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}], lr=recipe.lr
    )
    order = torch.cat([torch.randperm(len(scenes.images)) for _ in range(1 + recipe.steps * recipe.batch_size // len(scenes.images))])
    for step, chosen in enumerate(order[: recipe.steps * recipe.batch_size].view(-1, recipe.batch_size)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * min(1.0, (step + 1) / recipe.warmup) * (0.51 + 0.49 * math.cos(math.pi * step / recipe.steps))
        loss = model(_batch(scenes, chosen, recipe.jitter))[0].sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        _average(averaged, model, min(recipe.average, (1 + step) / (10 + step)))
        if step % 50 == 0:
            _log.info("step %d of %d: loss %.2f", step, recipe.steps, float(loss.detach()) / len(chosen))
    return averaged


def digit_network() -> Any:
    """The untrained network with what ultralytics' loss reads."""
    model = _ultralytics.tasks().DetectionModel(copy.deepcopy(digit_yolo.ARCHITECTURE), ch=3, verbose=False)
    model.args = _ultralytics.default_hyperparameters()
    return model.train()


def _batch(scenes: _Scenes, chosen: Tensor, jitter: float) -> dict[str, Tensor]:
    images = scenes.images[chosen].float() / 255
    n, _, height, width = images.shape
    brightness, contrast = (1 + jitter * (2 * torch.rand(2, n, 1, 1, 1) - 1)).unbind()
    gain = 1 + jitter * (2 * torch.rand(n, 3, 1, 1) - 1)
    mean = images.mean((1, 2, 3), keepdim=True)
    objects = [scenes.objects[i] for i in chosen.tolist()]
    corners = torch.cat([o.boxes for o in objects]) / torch.tensor([width, height, width, height])
    return {
        "img": ((images - mean) * contrast + mean).mul(brightness * gain).clamp(0, 1),
        "batch_idx": torch.repeat_interleave(torch.arange(n), torch.tensor([len(o) for o in objects])).float(),
        "cls": torch.cat([o.labels for o in objects]).float(),
        "bboxes": torch.cat(((corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]), dim=1),  # centre, size
    }


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, keep: float) -> None:
    for a, m in zip(averaged.state_dict().values(), model.state_dict().values()):
        if a.is_floating_point():
            a.lerp_(m, 1 - keep)
        else:
            a.copy_(m)


def _figures(scenes: _Scenes) -> dict[str, float]:
    detector = digit_yolo.DigitYolo()
    score = Detection().score(detector(scenes.images.float() / 255), scenes.objects)
    return {k: round(getattr(score, k), 4) for k in ("precision", "recall", "f1", "map", "ap50", "ap75")}


def _main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for field in dataclasses.fields(Recipe):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    recipe = Recipe(**vars(parser.parse_args(arguments)))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    source = DigitScenes()
    splits: dict[Split, PictureSet] = {split: source.open(None, split) for split in ("train", "validation", "test")}
    network = train(recipe, _Scenes.of(splits["train"]))
    state = {k: v.half() if v.is_floating_point() else v for k, v in network.state_dict().items()}
    digit_yolo.WEIGHTS.write_bytes(save({k: v.contiguous() for k, v in state.items()}))
    report = {
        "recipe": dataclasses.asdict(recipe),
        "loss": "ultralytics' detection loss at its default weights",
        "data": {split: {"scenes": len(pictures), "fingerprint": pictures.fingerprint} for split, pictures in splits.items()},
        "versions": {package: version(package) for package in ("torch", "ultralytics")},
        "parameters": sum(p.numel() for p in network.parameters()),
        "validation": _figures(_Scenes.of(splits["validation"])),
        "test": _figures(_Scenes.of(splits["test"])),
        "sha256": hashlib.sha256(digit_yolo.WEIGHTS.read_bytes()).hexdigest(),
    }
    digit_yolo.WEIGHTS.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _log.info("%s", report)


if __name__ == "__main__":
    _main()
