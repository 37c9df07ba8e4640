"""Networks of SalGAN, which its successors share. Widths and layers as in the authors' released code."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.external import weights
from bench.operators.colour import IMAGENET_MEAN, IMAGENET_STD

Normalization = Literal["imagenet", "caffe"]
_NORMALIZATIONS = {  # what is taken from RGB on [0, 1], and what that is divided by
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "caffe": (tuple(level / 255 for level in (123.68, 116.779, 103.939)), (1 / 255,) * 3),
}
Groups = tuple[tuple[int, int], ...]  # (convolutions, channels) between poolings

VGG16: Groups = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def small(width: int) -> Groups:
    """The encoder that stands in for VGG16 where its weights are missing: six convolutions, three poolings."""
    return ((1, width), (1, 2 * width), (2, 4 * width), (2, 4 * width))


class EncoderDecoder(nn.Module):
    """Convolutions with poolings between them, then the same mirrored with nearest upsampling and a 1 x 1 convolution.

    N x 3 x H x W in [0, 1], sides a multiple of `multiple`, to raw scores N x 1 x H x W: their sigmoid is the map.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, groups: Groups = VGG16, channels: int = 3, normalization: Normalization = "imagenet") -> None:
        super().__init__()
        self.multiple = 2 ** (len(groups) - 1)
        self.features, width = _stack(groups, channels, nn.MaxPool2d(2))  # named and numbered like torchvision's VGG16
        self.decoder, width = _stack(groups[::-1], width, nn.Upsample(scale_factor=2))
        self.leave = nn.Conv2d(width, 1, 1)
        for conv in (m for m in self.modules() if isinstance(m, nn.Conv2d)):  # without norms torch's default lets signals fade
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in _NORMALIZATIONS[normalization])
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.leave(self.decoder(self.features((x - self.mean) / self.std)))
        return y

    def load_vgg16(self, frozen: int = 3) -> None:
        """Put torchvision's ImageNet weights into the encoder and hold its first `frozen` groups fixed.

        Raises:
            Unavailable: the weights are missing.
        """
        with weights.explain_misfit("vgg16"):
            state = weights.load_state_dict("vgg16")
            self.features.load_state_dict({key: state[f"features.{key}"] for key in self.features.state_dict()})
        layers = sum(2 * convolutions + 1 for convolutions, _ in VGG16[:frozen])
        self.features[:layers].requires_grad_(False)


class MapCritic(nn.Module):
    """Whether a map is one that people made: N x C x H x W to N raw scores. C is 4 (picture and map) or 1 (map alone).

    Table 1 of the paper: 1 x 1 x 3, 3 x 3 x 32, pool, two of 64, pool, two of 64, pool, then fully connected 100, 2, 1 with tanh between.
    """

    def __init__(self, size: tuple[int, int], channels: int = 4, ndf: int = 64, first_pool: int = 4) -> None:
        super().__init__()
        stride = first_pool * 4
        flat = ndf * (size[0] // stride) * (size[1] // stride)
        if not flat:
            raise ValueError(f"pictures of {size[0]} x {size[1]} are smaller than the critic's stride of {stride}")
        self.net = nn.Sequential(
            *(nn.Conv2d(channels, 3, 1), nn.ReLU(), nn.Conv2d(3, ndf // 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(first_pool)),
            *(nn.Conv2d(ndf // 2, ndf, 3, padding=1), nn.ReLU(), nn.Conv2d(ndf, ndf, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(ndf, ndf, 3, padding=1), nn.ReLU(), nn.Conv2d(ndf, ndf, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(flat, 100), nn.Tanh(), nn.Linear(100, 2), nn.Tanh(), nn.Linear(2, 1), nn.Flatten(0)),
        )

    @override
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.net(x)
        return y


def _stack(groups: Groups, channels: int, between: nn.Module) -> tuple[nn.Sequential, int]:
    """Groups of 3 x 3 convolutions with ReLU and what stands between the groups; the width at the end."""
    layers: list[nn.Module] = []
    for i, (convolutions, width) in enumerate(groups):
        layers += [between] if i else []
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers), channels
