"""Handwritten digits on photographs: a YOLOv8 without its coarsest scale, trained by `bench.detectors._train_digit_yolo`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from bench.detector import hash_file
from bench.detectors import _ultralytics
from bench.errors import Unavailable

WEIGHTS = Path(__file__).with_suffix(".safetensors")
ARCHITECTURE: dict[str, Any] = {  # in ultralytics' notation: [from, repeats, module, arguments]
    "nc": 10,
    "scales": {"n": [0.33, 0.1875, 1024]},  # depth, width, most channels
    "scale": "n",
    "backbone": [
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 3, "C2f", [128, True]],
        [-1, 1, "Conv", [256, 3, 2]],
        [-1, 6, "C2f", [256, True]],  # 4: stride 8
        [-1, 1, "Conv", [512, 3, 2]],
        [-1, 6, "C2f", [512, True]],
        [-1, 1, "SPPF", [512, 5]],  # 7: stride 16, the last: the digits are 24 to 44 pixels high
    ],
    "head": [
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 3, "C2f", [256]],  # 10: stride 8
        [-1, 1, "Conv", [256, 3, 2]],
        [[-1, 7], 1, "Concat", [1]],
        [-1, 3, "C2f", [512]],  # 13: stride 16
        [[10, 13], 1, "Detect", ["nc"]],
    ],
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitYolo(_ultralytics.UltralyticsDetector):
    """605,108 parameters; recipe, figures and hash of the weights in digit_yolo.json."""

    @property
    @override
    def classes(self) -> Sequence[str]:
        return tuple("0123456789")

    @functools.cached_property
    @override
    def model(self) -> Any:
        """The bundled network (half precision on disk, float32 here)."""
        from safetensors.torch import load_file

        network = _ultralytics.build(ARCHITECTURE)
        network.load_state_dict(load_file(WEIGHTS))
        return network.eval()

    @override
    def fingerprint(self) -> str:
        self.require()
        return hash_file(WEIGHTS)

    @override
    def require(self) -> None:
        if not WEIGHTS.is_file():
            raise Unavailable(
                f"the bundled weights {WEIGHTS.name} are missing: reinstall ganbench, or run python -m bench.detectors._train_digit_yolo"
            )
