"""The Inception network of the literature (Szegedy et al., CVPR 2016; TensorFlow's of 2015-12-05), as torch-fidelity computes it."""

from __future__ import annotations

import dataclasses
import functools
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.errors import Unavailable
from bench.external import weights
from bench.feature import ClassifierFeatures


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inception(ClassifierFeatures):
    """The 2048 features before the last layer and the 1008 logits without bias.

    TensorFlow 1's bilinear resize to 299 x 299; gray is repeated.
    """

    @override
    def network(self, device: torch.device) -> nn.Module:
        return _network(self.fingerprint(), device)

    @override
    def prepare(self, x: Tensor) -> Tensor:
        """Make them RGB in 8 bits: N x 3 x H x W, uint8."""
        return (x * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)

    @override
    def fingerprint(self) -> str:
        return weights.sha256("inception")

    @override
    def require(self) -> None:
        if not find_spec("torch_fidelity"):
            raise Unavailable("features 'inception' need the package torch-fidelity: pip install 'ganbench[fid]'")
        weights.resolve("inception")

    @override
    def protocol(self) -> dict[str, Any]:
        return {**super().protocol(), "implementation": f"torch-fidelity {version('torch-fidelity')}"}


@functools.lru_cache(maxsize=2)
def _network(sha256: str, device: torch.device) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # type: ignore[import-untyped,unused-ignore]

    with torch.random.fork_rng(devices=[]), weights.explain_misfit("inception"):
        network: nn.Module = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], str(weights.resolve("inception"))
        )
    return network.to(device)
