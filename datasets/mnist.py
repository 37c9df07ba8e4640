"""MNIST: handwritten digits. LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from datasets.reading.idx import IdxFiles


@dataclasses.dataclass(frozen=True, kw_only=True)
class MNIST(IdxFiles):
    """The four official files, gzipped or not, or as torchvision unpacks them."""

    origin: ClassVar[str] = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    licence: ClassVar[str] = "CC BY-SA 3.0"
    folders: ClassVar[tuple[str, ...]] = ("mnist", "MNIST/raw", "MNIST")
    layout: ClassVar[str] = f"mnist/ or MNIST/raw/ with {IdxFiles.layout}"
    names: ClassVar[tuple[str, ...]] = tuple(str(d) for d in range(10))
