"""The network of DnCNN, its hyper-parameters, its loss, and its published weights."""

from __future__ import annotations

import dataclasses
import re
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.errors import UsageError
from bench.external import weights
from bench.method import Batch, TrainHP, param

# prefix of the keys -> (whose files, epsilon of their batch norms). All number the layers of one nn.Sequential: convolutions, norms, ReLUs.
_FORMATS = {
    "model.": (
        "KAIR",
        1e-4,
    ),  # cszn/KAIR: dncnn_15, _25, _50, dncnn_gray_blind, dncnn_color_blind, dncnn3; norms merged into biased convolutions
    "module.dncnn.": ("SaoYan", 1e-5),  # SaoYan/DnCNN-PyTorch: net.pth, saved from nn.DataParallel; no biases
    "dncnn.": ("SaoYan", 1e-5),
    "G.": ("ganbench", 1e-5),  # weights.safetensors of a trial
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DnCNNHP(TrainHP):
    """The paper's values; [code] where only the authors' code states them."""

    steps: int = param(100_000, "[code] 50 epochs of 2000 batches")
    batch_size: int = param(128, "[code]")
    optimizer: str = param("adam[lr=1e-3]", "[code] update rule of the denoiser")
    schedule: str = param("step[at=0.6,factor=0.1]", "[code] a tenth after 30 of 50 epochs")
    init: str = param("he", "Sec. III: He et al.")
    layers: int = param(17, "Sec. III-A: 17 for one level, 20 for a range")
    width: int = param(64, "Sec. III-A: channels")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 2 or self.width < 1:
            raise ValueError(f"layers must be >= 2 and width >= 1, not {self.layers} and {self.width}")


class DnCNNNetwork(nn.Sequential):
    """The noise in N x C x H x W: convolutions 3 x 3 with zero padding and ReLU, batch norm in the middle layers.
    Receptive field 2 layers + 1.

    Without `norm` the middle convolutions have biases instead: what a trained network becomes when its norms are merged into them.
    """

    def __init__(self, channels: int = 1, layers: int = 17, width: int = 64, norm: bool = True) -> None:
        def unit() -> list[nn.Module]:
            return [nn.Conv2d(width, width, 3, padding=1, bias=not norm), *([nn.BatchNorm2d(width)] if norm else []), nn.ReLU()]

        middle = [layer for _ in range(layers - 2) for layer in unit()]
        super().__init__(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), *middle, nn.Conv2d(width, channels, 3, padding=1))


def residual_loss(network: nn.Module, observed: Tensor, clean: Tensor) -> Tensor:
    """Eq. 1 of the paper: sum of |R(y) - (y - x)|^2 over pixels and channels, over 2 N; a scalar."""
    return (network(observed) - (observed - clean)).square().sum() / (2 * len(observed))


def denoise(network: nn.Module, batch: Batch) -> Tensor:
    """Y - R(y), clipped to [0, 1]."""
    return (batch.observed - network(batch.observed)).clamp(0, 1)


def pretrained(file: str) -> DnCNNNetwork:
    """The network in a checkpoint, its batch norms merged into its convolutions (exact in evaluation), whatever its depth and width.

    Raises:
        UsageError: no such file, or none of the known formats; nothing in it is ever run.
    """
    layers = _merged(weights.read(Path(file).expanduser()), file)
    (width, channels), depth = layers[0][0].shape[:2], len(layers)
    shapes = [(width, channels), *[(width, width)] * (depth - 2), (channels, width)]
    if [tuple(w.shape) for w, _ in layers] != [(*shape, 3, 3) for shape in shapes]:
        raise UsageError(f"{file}: its layers do not make a DnCNN")
    network = DnCNNNetwork(channels, depth, width, norm=False)
    with torch.no_grad():
        for conv, (weight, bias) in zip([m for m in network if isinstance(m, nn.Conv2d)], layers, strict=True):
            conv.weight.copy_(weight)
            assert conv.bias is not None
            conv.bias.copy_(bias)
    return network


def _merged(state: dict[str, Tensor], file: str) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of every convolution, in order."""
    prefix = next((p for p in _FORMATS if state and all(re.fullmatch(re.escape(p) + r"\d+\.\w+", key) for key in state)), None)
    if prefix is None:
        raise UsageError(
            f"{file} holds no DnCNN: its keys must be {', '.join(f'{p}NUMBER.NAME ({who})' for p, (who, _) in _FORMATS.items())}",
        )
    numbers = sorted({int(key.removeprefix(prefix).partition(".")[0]) for key in state})
    found: list[dict[str, Tensor]] = [{k.rpartition(".")[2]: v for k, v in state.items() if k.startswith(f"{prefix}{i}.")} for i in numbers]
    merged = []
    for layer, following in pairwise([*found, {}]):
        if layer["weight"].ndim == 4:
            bias = layer.get("bias", layer["weight"].new_zeros(len(layer["weight"])))
            merged.append(
                _fold(layer["weight"], bias, following, _FORMATS[prefix][1]) if "running_var" in following else (layer["weight"], bias),
            )
    return merged


def _fold(weight: Tensor, bias: Tensor, norm: dict[str, Tensor], eps: float) -> tuple[Tensor, Tensor]:
    """The convolution that does what a convolution and a batch norm in evaluation do."""
    gain = norm["weight"] / (norm["running_var"] + eps).sqrt()
    return weight * gain.view(-1, 1, 1, 1), norm["bias"] + (bias - norm["running_mean"]) * gain
