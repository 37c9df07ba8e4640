"""SqueezeNet v1.0 of Iandola et al. (arXiv 1602.07360), trained on ImageNet: a real feature network where Inception cannot be had."""

from __future__ import annotations

import dataclasses
import functools

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.external import weights
from bench.feature import ClassifierFeatures


@dataclasses.dataclass(frozen=True, kw_only=True)
class SqueezeNet(ClassifierFeatures):
    """The means of the last 512 feature maps, and 1000 classes.

    Pictures are resized to 227 x 227 (bilinear, antialiased), gray is repeated.
    """

    @override
    def network(self, device: torch.device) -> nn.Module:
        return _network(self.fingerprint(), device)

    @override
    def prepare(self, x: Tensor) -> Tensor:
        """Make them RGB, 227 x 227; mean and channel order of the training are folded into the first convolution."""
        return nn.functional.interpolate(x.expand(-1, 3, -1, -1), size=(227, 227), mode="bilinear", antialias=True)

    @override
    def fingerprint(self) -> str:
        return weights.sha256("squeezenet1_0")

    @override
    def require(self) -> None:
        weights.resolve("squeezenet1_0")


class _Split(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.body, self.head = network.get_submodule("features"), network.get_submodule("classifier")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.body(x)  # N x 512 x 13 x 13
        return maps.mean((2, 3)), self.head(maps).flatten(1)


@functools.lru_cache(maxsize=2)
def _network(sha256: str, device: torch.device) -> nn.Module:
    from torchvision.models import squeezenet1_0

    with torch.random.fork_rng(devices=[]):
        network = squeezenet1_0(weights=None)
    with weights.explain_misfit("squeezenet1_0"):
        network.load_state_dict({k: v.float() for k, v in weights.load_state_dict("squeezenet1_0").items()})
    return _Split(network).eval().requires_grad_(False).to(device)
