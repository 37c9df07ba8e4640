"""Pictures that were restored elsewhere: a folder stands in the table beside what was trained here, under the same protocol.

Whatever code made them, `outputs[path=FOLDER,name=mine]` is judged like any other row: same pictures, same metrics, same paired tests. A
file belongs to the test picture whose name is its path below the folder, both without their endings; `match="{}_restored"` says what
stands around that name. Nothing is matched by order. The hash of the folder is on record.
Departures: none; nothing is trained, and what making the pictures cost is not known here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench.errors import UnusableOutput, UsageError
from bench.method import Batch, Method, param
from bench.offers import Capability, OutputsTask


class Outputs(Method[OutputsTask]):
    """Reads in place of restoring."""

    needs: ClassVar[frozenset[Capability]] = frozenset({"files"})
    toy: ClassVar[dict[str, Any]] = {"path": "toy"}
    origin: ClassVar[str] = "scored, trained elsewhere"

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP:
        """Where the pictures are."""

        path: str = param("", "folder of the restored pictures, or the file of a single one", file=True)
        match: str = param("{}", "path of a file below the folder without its ending; {} stands for the name of the picture")
        name: str = param("", "what the row is called")

    hp: HP

    @override
    def build(self, task: OutputsTask) -> None:
        """Find the files.

        Raises:
            UsageError: no such folder, two files for one picture, a pattern without {}.
        """
        if not self.hp.path:
            raise UsageError("outputs: say where the restored pictures are: outputs[path=FOLDER]")
        self._read = task.open_outputs(Path(self.hp.path).expanduser(), self.hp.match)

    def restore(self, batch: Batch) -> Tensor:
        """N x C x H x W in [0, 1], read by the names of the batch.

        Raises:
            UnusableOutput: a picture has no file, or its file cannot be read.
        """
        try:
            found = [self._read(name) for name in batch.names or [""] * len(batch)]
        except UsageError as error:
            raise UnusableOutput(str(error)) from error
        return torch.stack(found).to(batch.observed.device)
