"""The ORL faces: forty people, ten pictures each. Samaria, Harter, "Parameterisation of a Stochastic Model for Human Face Identification",
1994.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from bench.dataset import Split
from bench.method import param
from datasets.reading.samples import ImageFiles, Listed

_SHOTS: dict[Split, range] = {"train": range(1, 8), "validation": range(8, 9), "test": range(9, 11)}  # of every person
_PEOPLE = range(1, 41)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ORL(ImageFiles):
    """Gray faces, cut to their central 92 x 92: of every person seven pictures to train, one to validate, two to test. The
    label and the group are the person.
    """

    origin: ClassVar[str] = "https://cam-orl.co.uk/facedatabase.html"
    licence: ClassVar[str] = "free for research, with a mention of AT&T Laboratories Cambridge"
    layout: ClassVar[str] = "orl_faces/s1/1.pgm .. s40/10.pgm"
    folders: ClassVar[tuple[str, ...]] = ("orl_faces", "orl", "att_faces")

    gray: bool = param(True, "one channel; else three alike")

    @override
    def listed(self, folder: Path, split: Split) -> list[Listed]:
        """The pictures of a split, person by person."""
        return [Listed(folder / f"s{person}" / f"{shot}.pgm", person - 1, f"s{person}") for person in _PEOPLE for shot in _SHOTS[split]]

    @override
    def classes(self, folder: Path) -> list[str]:
        """One class a person."""
        return [f"s{person}" for person in _PEOPLE]
