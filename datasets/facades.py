"""Fronts of buildings and the labels of their parts, 256 x 256: the first example of pix2pix."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from datasets.reading.pairs import Pairs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facades(Pairs):
    """Tylecek and Sara, "Spatial pattern templates for recognition of objects with regular structure", GCPR 2013, as pix2pix distributes
    it.

    A is the photograph, B its labels (twelve colours), so labels -> photo is BtoA. 400 pairs to train on, 100 to validate, 106 to test;
    the small layout has 160 and 40.
    """

    origin: ClassVar[str] = "https://efrosgans.eecs.berkeley.edu/pix2pix/datasets/facades.tar.gz"
    licence: ClassVar[str] = "research only (CMP Facade Database)"
    layout: ClassVar[str] = "facades/{train,val,test}/*.jpg, or facades_200/{train,test}/*.jpg: 512 x 256, photo left, labels right"
    folders: ClassVar[tuple[str, ...]] = ("facades", "facades_200")
