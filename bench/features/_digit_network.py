"""The network of `digits_cnn`, as it is trained and as it is used."""

from __future__ import annotations

from torch import Tensor, nn


class DigitNetwork(nn.Module):
    """Five convolutions, of which three halve the side, and two layers; 152,178 parameters."""

    side = 32  # pixels of a picture

    def __init__(self) -> None:
        super().__init__()
        sides = [(1, 24, 2), (24, 32, 1), (32, 48, 2), (48, 64, 1), (64, 64, 2)]
        blocks = [
            nn.Sequential(nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True)) for i, o, stride in sides
        ]
        self.body = nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 4 * 4, 64), nn.ReLU(inplace=True))
        self.head = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(x)  # N x 64
        return features, self.head(features)
