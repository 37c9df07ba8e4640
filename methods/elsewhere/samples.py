"""Samples that were drawn elsewhere: a folder, an archive or an array stands in the table beside what was trained here.

`samples[path=FILE,name=mine]` is judged like any other row: as many samples as the task draws, the same metrics beside the same real ones.
Pictures are read from image files, .npy and .npz arrays or zip archives (never unpacked, never run); points from arrays.
Departures: none; nothing is trained, and what drawing the samples cost is not known here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.errors import UsageError
from bench.method import Method, param
from bench.offers import Capability, SamplesTask


class Samples(Method[SamplesTask]):
    """Reads in place of drawing."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"files"})
    toy: ClassVar[dict[str, Any]] = {"path": "toy"}
    origin: ClassVar[str] = "scored, trained elsewhere"

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """Where the samples are."""

        path: str = param("", "folder of pictures, zip archive, .npy or .npz array of the samples", file=True)
        name: str = param("", "what the row is called")

    hp: HP

    @override
    def build(self, task: SamplesTask) -> None:
        """Read as many samples as the task draws.

        Raises:
            UsageError: no such file, other samples than the task's, or fewer than it draws.
        """
        if not self.hp.path:
            raise UsageError("samples: say where the samples are: samples[path=FOLDER or FILE]")
        self._x = task.read_samples(Path(self.hp.path).expanduser())
        self._drawn = 0

    def sample(self, n: int) -> Tensor:
        """The next n samples, n x shape; after the last comes the first."""
        index = (self._drawn + torch.arange(n)) % len(self._x)
        self._drawn = (self._drawn + n) % len(self._x)
        return self._x[index].to(self.device)
