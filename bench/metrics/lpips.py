"""Learned perceptual image patch similarity of Zhang, Isola, Efros, Shechtman and Wang (CVPR 2018, arXiv 1801.03924)."""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.errors import Unavailable
from bench.external import weights
from bench.metric import ImageMetric
from bench.operators.images import Quantize, prepare_pair
from bench.spec import param

_BACKBONES = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LPIPS(ImageMetric):
    """Distance of unit-normalised features under learned weights (v0.1). Without the real backbone there is no number."""

    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)
    title: ClassVar[str] = "LPIPS"
    definition: ClassVar[str] = "learned perceptual image patch similarity v0.1 (Zhang et al. 2018, Eq. 1)"

    net: Literal["alex", "vgg", "squeeze"] = param("alex", "the backbone whose features are compared")
    quantize: Quantize = "round"

    @override
    def protocol(self) -> dict[str, Any]:
        return {"version": "0.1", "backbone": _BACKBONES[self.net], "sha256": weights.sha256(_BACKBONES[self.net])}

    @override
    def require(self) -> None:
        if not _installed():
            raise Unavailable("the metric lpips needs the package lpips: pip install lpips")
        weights.resolve(_BACKBONES[self.net])

    @override
    def score(self, x_hat: Tensor, x: Tensor) -> Tensor:
        self.require()
        a, b = (image.float().expand(-1, 3, -1, -1) for image in prepare_pair(x_hat, x, quantize=self.quantize, smallest=64))
        network = _network(self.net, str(a.device), weights.sha256(_BACKBONES[self.net]))
        with torch.no_grad():
            found: Tensor = network(a, b, normalize=True)
        return found.flatten()


def _installed() -> bool:
    from importlib.util import find_spec

    return find_spec("lpips") is not None


@functools.lru_cache(maxsize=3)
def _network(net: str, device: str, sha256: str) -> nn.Module:
    """The package's network; a random backbone is built first and then filled, so that nothing is downloaded or unpickled."""
    import lpips

    with warnings.catch_warnings(), torch.random.fork_rng([]), torch.device("cpu"):
        warnings.simplefilter("ignore")  # lpips uses torchvision's old keyword `pretrained`
        network: nn.Module = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    with weights.explain_misfit(_BACKBONES[net]):
        features = weights.load_state_dict(_BACKBONES[net])
        # "slice1.0.weight" <- "features.0.weight": lpips keeps the layer's index and puts the slice's name before it
        network.net.load_state_dict({key: features[f"features.{key.partition('.')[2]}"] for key in network.net.state_dict()})  # type: ignore[union-attr]
    return network.eval().requires_grad_(False).to(device)
