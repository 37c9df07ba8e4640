"""The history of generated pictures that a critic is shown: Shrivastava et al., CVPR 2017 (arXiv:1612.07828), as CycleGAN uses it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Pool:
    """Remembers `size` pictures. The first ones fill it; later, every second one by chance is exchanged for one that it remembers."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.pictures: list[Tensor] = []

    def exchange(self, new: Tensor) -> Tensor:
        """N x C x H x W new pictures -> as many, each new or old. Draws from torch's CPU generator, so nothing waits for the device."""
        return torch.stack([self._exchange(picture) for picture in new.detach()])

    def _exchange(self, new: Tensor) -> Tensor:
        if len(self.pictures) < self.size:
            self.pictures.append(new.clone())
            return new
        if self.size == 0 or torch.rand(()) < 0.5:
            return new
        index = int(torch.randint(self.size, ()))
        old, self.pictures[index] = self.pictures[index], new.clone()
        return old

    def state_dict(self) -> dict[str, Any]:
        """The pictures that the pool holds."""
        return {"pictures": self.pictures}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.pictures = list(state["pictures"])
