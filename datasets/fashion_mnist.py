"""Fashion-MNIST: clothes in MNIST's format. Xiao, Rasul, Vollgraf, 2017, arXiv:1708.07747."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from datasets.reading.idx import IdxFiles


@dataclasses.dataclass(frozen=True, kw_only=True)
class FashionMNIST(IdxFiles):
    """The four official files, gzipped or not, or as torchvision unpacks them."""

    origin: ClassVar[str] = "https://github.com/zalandoresearch/fashion-mnist"
    licence: ClassVar[str] = "MIT"
    folders: ClassVar[tuple[str, ...]] = ("fashion_mnist", "fashion-mnist", "FashionMNIST/raw", "FashionMNIST")
    layout: ClassVar[str] = f"fashion_mnist/ or FashionMNIST/raw/ with {IdxFiles.layout}"
    names: ClassVar[tuple[str, ...]] = (
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    )
