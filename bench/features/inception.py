"""The Inception network of the literature (Szegedy et al., CVPR 2016; TensorFlow's of 2015-12-05), as torch-fidelity computes it."""

from __future__ import annotations

import dataclasses
import functools
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import Unavailable
from bench.external import weights
from bench.feature import ClassifierFeatures


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inception(ClassifierFeatures):
    """The 2048 features before the last layer and the 1008 logits without bias. TensorFlow 1's bilinear resize to 299 x 299; gray is repeated."""

    def network(self, device: torch.device) -> nn.Module:
        """The network. See the base class."""
        return _network(self.fingerprint(), device)

    def prepare(self, x: Tensor) -> Tensor:
        """RGB, 8 bits."""
        return (x * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)

    def fingerprint(self) -> str:
        """The file's sha256. Raises as `require`."""
        return weights.sha256("inception")

    def require(self) -> None:
        """The package and the file."""
        if not find_spec("torch_fidelity"):
            raise Unavailable("features 'inception' need the package torch-fidelity: pip install 'ganbench[fid]'")
        weights.resolve("inception")

    def protocol(self) -> dict[str, Any]:
        """And whose implementation."""
        return {**super().protocol(), "implementation": f"torch-fidelity {version('torch-fidelity')}"}


@functools.lru_cache(maxsize=2)
def _network(sha256: str, device: torch.device) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # type: ignore[import-untyped,unused-ignore]

    with torch.random.fork_rng(devices=[]), weights.fitting("inception"):
        network: nn.Module = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], str(weights.resolve("inception")))
    return network.to(device)
