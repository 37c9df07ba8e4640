"""Default classifiers that tasks hand out, so that optimizers compete on the same networks: pictures N x C x H x W to N x K logits.

Pictures are [0, 1] and used as they are.
"""

from __future__ import annotations

import math

from torch import nn

Shape = tuple[int, ...]


def logistic(shape: Shape, classes: int, width: int = 0) -> nn.Module:
    """One linear layer; `width` is not used."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes))


def mlp(shape: Shape, classes: int, width: int = 32) -> nn.Module:
    """One hidden ReLU layer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), width), nn.ReLU(), nn.Linear(width, classes))


def conv(shape: Shape, classes: int, width: int = 32) -> nn.Module:
    """Two 3 x 3 convolutions, `width` / 2 and `width` channels, each with ReLU and a halving; one linear layer."""
    channels, height, side = shape
    half = max(width // 2, 1)
    first = [nn.Conv2d(channels, half, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(half, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(width * (height // 4) * (side // 4), classes))


def conv3_dense3(shape: Shape, classes: int, width: int = 0) -> nn.Module:
    """The 3c3d of DeepOBS (arXiv:1903.05499): 895,210 parameters on 32 x 32 RGB in ten classes; it has one width.

    Convolutions 5 x 5 to 64, 3 x 3 to 96 (both without padding) and 3 x 3 to 128 (padded) channels, each with ReLU and a 3 x 3 maximum at
    stride 2, padded at the end; layers of 512, 256 and K units. Weights Glorot normal, biases 0. The layers are recalled, not read in the
    paper; their parameter count is the published one, as recalled.
    """
    layers: list[nn.Module] = []
    channels, height, side = shape
    for width_, kernel, padding in ((64, 5, 0), (96, 3, 0), (128, 3, 1)):
        layers += [nn.Conv2d(channels, width_, kernel, padding=padding), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
        channels, height, side = width_, *(_pooled(n + 2 * padding - kernel + 1) for n in (height, side))
    features = channels * height * side
    dense = [nn.Linear(features, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, classes)]
    network = nn.Sequential(*layers, nn.Flatten(), *dense)
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return network


def _pooled(n: int) -> int:
    """What a window of 3 at stride 2, padded at the end, leaves of n."""
    return math.ceil((n - 3) / 2) + 1
