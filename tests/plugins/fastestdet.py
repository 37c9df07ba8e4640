"""FastestDet (dog-qiuqiu, BSD-3): a 1 MB COCO detector in ONNX: `--plugin tests/plugins/fastestdet.py`, detector `fastestdet`.

Input 1 x 3 x 352 x 352, BGR, [0, 1]. Output 85 x 22 x 22: objectness, offset of the centre from the cell (before tanh; in cells), size
(before sigmoid; part of the picture), 80 class scores. Score = objectness^0.6 * class^0.4; of two boxes of one class that overlap by more
than 0.45 the weaker goes.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.detector import Detections, Detector, best_boxes
from bench.detectors.torchvision import Torchvision
from bench.errors import Unavailable
from bench.external import weights

KIND = "detector"
_SIDE = 352


@dataclasses.dataclass(frozen=True, kw_only=True)
class FastestDet(Detector):
    """The published weights, found through the manifest of weights, run by onnxruntime on the CPU."""

    nms: float = 0.45

    @property
    def classes(self) -> Sequence[str]:
        """The 80 classes of COCO in COCO's order."""
        return Torchvision().classes

    def __call__(self, images: Tensor) -> list[Detections]:
        """Find objects; see `Detector`."""
        found = []
        for image in images.cpu():
            small = F.interpolate(image[None].flip(1), (_SIDE, _SIDE), mode="area")
            (output,) = self._session.run(None, {self._session.get_inputs()[0].name: small.numpy()})
            found.append(_decode(torch.from_numpy(output[0]), tuple(image.shape[1:]), self.nms))
        return found

    def fingerprint(self) -> str:
        """Hash of the published file."""
        return weights.sha256("fastestdet")[:16]

    def require(self) -> None:
        """The weights and onnxruntime."""
        try:
            import onnxruntime  # noqa: F401
        except ImportError:
            raise Unavailable("detector 'fastestdet' needs onnxruntime: pip install onnxruntime") from None
        weights.resolve("fastestdet")

    @functools.cached_property
    def _session(self) -> Any:
        self.require()
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        return onnxruntime.InferenceSession(weights.resolve("fastestdet"), options, providers=["CPUExecutionProvider"])


def _decode(output: Tensor, size: tuple[int, int], nms: float) -> Detections:
    """85 x 22 x 22 -> detections in pixels of a picture of that height and width."""
    objectness, offset, extent, scores = output.flatten(1).split([1, 2, 2, 80])
    rows, columns = output.shape[1:]
    cell = torch.stack(torch.meshgrid(torch.arange(columns), torch.arange(rows), indexing="xy")).flatten(1)  # x, y
    picture = torch.tensor([[size[1]], [size[0]]])
    centre = (cell + offset.tanh()) / torch.tensor([[columns], [rows]]) * picture
    half = extent.sigmoid() * picture / 2
    return best_boxes(torch.cat((centre - half, centre + half)).T, (objectness**0.6 * scores**0.4).T, size, nms=nms)
