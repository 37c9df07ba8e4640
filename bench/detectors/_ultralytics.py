"""The only door to ultralytics (AGPL-3.0): imported late, settings in a private folder, what it does to other libraries undone.

`bench.external.safety` has switched its network, installs and unsafe loading off by then.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from bench.detector import Detections, Detector, best_boxes
from bench.errors import UsageError
from bench.external.safety import ultralytics_settings
from bench.spec import param

STRIDE = 32  # the coarsest grid of any YOLO
_GRAY = 114 / 255  # what YOLO pads with, in training too
_CHUNK = 32  # pictures at a time, so that memory does not grow with the test set


@dataclasses.dataclass(frozen=True, kw_only=True)
class UltralyticsDetector(Detector):
    """A YOLO: pictures at their own size, padded on the right and below to a multiple of 32."""

    nms: float = param(0.7, "intersection over union above which the weaker of two boxes of a class goes, in (0, 1]")

    def __post_init__(self) -> None:
        if not 0 < self.nms <= 1:
            raise ValueError(f"nms must lie in (0, 1], not {self.nms}")

    @functools.cached_property
    def model(self) -> nn.Module:
        """The network in evaluation mode."""
        raise NotImplementedError

    @override
    def __call__(self, images: Tensor) -> list[Detections]:
        self.require()
        model = self.model.to(images.device)
        height, width = images.shape[-2:]
        found: list[Detections] = []
        decode = _decoded if getattr(model, "end2end", False) else _raw
        for start in range(0, len(images), _CHUNK):
            padded = F.pad(images[start : start + _CHUNK], (0, -width % STRIDE, 0, -height % STRIDE), value=_GRAY)
            with torch.inference_mode():
                found += [decode(rows, (height, width), self.nms) for rows in model(padded)[0]]
        return found


def tasks() -> ModuleType:
    """The module `ultralytics.nn.tasks`, imported once, with nothing changed around it."""
    return _imported()[0]


def build(architecture: Mapping[str, Any]) -> Any:
    """A `DetectionModel` on the CPU from an architecture in ultralytics' notation. Torch's random state stays as it was."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        return tasks().DetectionModel(copy.deepcopy(dict(architecture)), ch=3, verbose=False)


def default_hyperparameters() -> Any:
    """Ultralytics' default settings; its detection loss reads its weights from them."""
    tasks()
    from ultralytics.cfg import get_cfg

    return get_cfg()


def load(path: Path) -> Any:
    """The network of an ultralytics checkpoint, in evaluation mode. Nothing but the classes of torch and ultralytics is unpickled.

    Raises:
        UsageError: no such checkpoint, or it refers to anything else.
    """
    allowed = torch.serialization.get_safe_globals()
    try:
        checkpoint = tasks().torch_safe_load(str(path), safe_only=True)[0]
    except Exception as error:  # a hostile or broken file can fail in any way
        raise UsageError(
            f"{path} cannot be read safely as an ultralytics checkpoint: {type(error).__name__}: {str(error).splitlines()[0]}"
        ) from error
    finally:  # ultralytics widens torch's list of trusted classes for good
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(allowed)
    model = (checkpoint.get("ema") or checkpoint.get("model")) if isinstance(checkpoint, dict) else None
    if getattr(model, "names", None) is None or not isinstance(model, nn.Module):
        raise UsageError(f"{path} holds no ultralytics detection model")
    return model.float().eval()


def _raw(rows: Tensor, size: tuple[int, int], nms: float) -> Detections:
    """(4 + C) x A, boxes by centre and size -> detections."""
    centre, extent, scores = rows[:2].T, rows[2:4].T, rows[4:].T
    return best_boxes(torch.cat((centre - extent / 2, centre + extent / 2), dim=1), scores, size, nms=nms)


def _decoded(rows: Tensor, size: tuple[int, int], nms: float) -> Detections:
    """N x 6, corners, score, class (networks that need no suppression) -> detections."""
    from torchvision.ops import clip_boxes_to_image

    best = rows[rows[:, 4].argsort(descending=True, stable=True)[:100]]
    return Detections(clip_boxes_to_image(best[:, :4], size), best[:, 5], best[:, 4])


@functools.cache
def _imported() -> tuple[ModuleType, tempfile.TemporaryDirectory[str]]:
    private = tempfile.TemporaryDirectory(prefix="ganbench-ultralytics-")  # lives as long as the process, then is removed
    with _environment(), _undone():
        os.environ["YOLO_VERBOSE"] = "false"
        ultralytics_settings(Path(private.name))
        from ultralytics.nn import tasks
    return tasks, private


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Afterwards the environment is as before, whatever was written to it."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _undone() -> Iterator[None]:
    """What importing ultralytics does to torch, Pillow, OpenCV, NumPy and warnings is taken back."""
    from PIL import Image

    cv2 = _opencv()
    patched: list[tuple[Any, str]] = [(torch, "save"), (Image, "open"), (cv2, "imread"), (cv2, "imwrite"), (cv2, "imshow")]
    originals = [(module, name, getattr(module, name)) for module, name in patched]
    threads = cv2.getNumThreads()
    try:
        with warnings.catch_warnings(), np.printoptions(), torch._tensor_str.printoptions():
            yield
    finally:
        cv2.setNumThreads(threads)
        for module, name, original in originals:
            setattr(module, name, original)


def _opencv() -> Any:
    """OpenCV; where it cannot be loaded (its desktop build wants libGL, which servers lack) a stand-in.

    Ultralytics imports it at the top, but building and running a network never calls it.
    """
    try:
        import cv2
    except ImportError:
        sys.modules["cv2"] = stand_in = MagicMock(name="cv2")
        return stand_in
    return cv2
