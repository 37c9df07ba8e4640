"""The detectors of torchvision (BSD-3): `torchvision[model=fasterrcnn_resnet50_fpn,weights=/absolute/path.pth]`, trained on COCO."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from bench.detector import Detections, Detector, hash_file, weights_file
from bench.errors import UsageError
from bench.external import weights
from bench.spec import param


@dataclasses.dataclass(frozen=True, kw_only=True)
class Torchvision(Detector):
    """A model by torchvision's name, with its state dict by absolute path; it resizes, thresholds and suppresses in its own way."""

    model: str = param("fasterrcnn_resnet50_fpn", "a detection model by torchvision's name")
    weights: str = param("", "absolute path of its state dict, .pth or .safetensors")

    def __post_init__(self) -> None:
        from torchvision.models import detection, list_models

        known = [name for name in list_models(module=detection) if not name.startswith("keypoint")]
        if self.model not in known:
            raise ValueError(f"unknown model {self.model!r}; known: {', '.join(known)}")

    @property
    @override
    def classes(self) -> Sequence[str]:
        """The 80 classes of COCO in COCO's order."""
        return tuple(name for name in self._categories if name not in _NO_CLASS)

    @override
    def __call__(self, images: Tensor) -> list[Detections]:
        self.require()
        network = self._network.to(images.device)
        label_of = torch.tensor([self.classes.index(name) if name not in _NO_CLASS else -1 for name in self._categories])  # 91 -> 80
        with torch.inference_mode():
            outputs = [network([image])[0] for image in images]  # one at a time: these models resize to 800 pixels
        found = []
        for output in outputs:
            labels = label_of[output["labels"].cpu()]
            keep = (labels >= 0).nonzero()[:100, 0]
            found.append(Detections(output["boxes"].cpu()[keep], labels[keep], output["scores"].cpu()[keep]))
        return found

    @override
    def fingerprint(self) -> str:
        return hash_file(weights_file(self.weights, "torchvision"))

    @override
    def require(self) -> None:
        weights_file(self.weights, "torchvision")

    @functools.cached_property
    def _categories(self) -> list[str]:
        from torchvision.models import get_model_weights

        categories: list[str] = get_model_weights(self.model).DEFAULT.meta["categories"]
        return categories

    @functools.cached_property
    def _network(self) -> Any:
        from torchvision.models import get_model

        path = weights_file(self.weights, "torchvision")
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            network = get_model(self.model, weights=None, weights_backbone=None)
        state = weights.read(path)
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise UsageError(f"{path} does not hold the weights of {self.model}: {str(error).splitlines()[0]}") from error
        return network.eval()


_NO_CLASS = ("__background__", "N/A")
