"""Handwritten digits: a small convolutional classifier, weights bundled (`python -m bench.features._train_digits_cnn`)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.errors import Unavailable
from bench.feature import ClassifierFeatures
from bench.features._digit_network import DigitNetwork
from bench.spec import param

WEIGHTS = Path(__file__).with_suffix(".safetensors")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitsCNN(ClassifierFeatures):
    """64 features, 10 classes. Pictures become gray (mean of the channels) and 32 x 32 (bilinear, antialiased).

    `stacked`: each channel is a digit of its own (stacked digits): C x 64 features, 10^C classes (100 a + 10 b + c).
    """

    stacked: bool = param(False, "each channel is a digit of its own (stacked digits): C x 64 features and 10^C classes")

    @override
    def network(self, device: torch.device) -> nn.Module:
        """The bundled network (half precision on disk, float32 here)."""
        network = _loaded(self.fingerprint(), device)
        return _PerChannel(network) if self.stacked else network

    @override
    def prepare(self, x: Tensor) -> Tensor:
        """Make them N x 1 (stacked: C) x 32 x 32."""
        x = x if self.stacked else x.mean(1, keepdim=True)
        return nn.functional.interpolate(x, size=(DigitNetwork.side, DigitNetwork.side), mode="bilinear", antialias=True)

    @override
    def fingerprint(self) -> str:
        self.require()
        return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()

    @override
    def require(self) -> None:
        if not WEIGHTS.is_file():
            raise Unavailable(
                f"the bundled weights {WEIGHTS.name} are missing: reinstall ganbench, or run python -m bench.features._train_digits_cnn"
            )


class _PerChannel(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.inner = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.inner(x.flatten(0, 1)[:, None])  # NC x 64, NC x 10
        digits = logits.log_softmax(1).unflatten(0, x.shape[:2]).unbind(1)  # C times N x 10
        joint = functools.reduce(
            lambda a, b: (a[:, :, None] + b[:, None]).flatten(1), digits
        )  # the channels are independent given the picture
        return features.unflatten(0, x.shape[:2]).flatten(1), joint


@functools.lru_cache(maxsize=2)
def _loaded(sha256: str, device: torch.device) -> nn.Module:
    from safetensors.torch import load_file

    with torch.random.fork_rng(devices=[]):
        network = DigitNetwork()
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in load_file(WEIGHTS).items()})
    return network.eval().requires_grad_(False).to(device)
