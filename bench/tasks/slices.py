"""CT slices that were restored elsewhere, beside those of the full dose, in Hounsfield units."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from bench.errors import UsageError
from bench.method import param
from bench.operators import ct
from bench.tasks._restored_files import RestoredFiles
from datasets.reading.dicom import HU_ENDINGS, read_hu


@dataclasses.dataclass(kw_only=True, eq=False)
class Slices(RestoredFiles):
    """Compare slices in DICOM (.dcm, .IMA) or arrays of HU (.npy) with true ones of the same names, within windows of HU.

    What lies outside -1024 to 3072 HU is clipped on both sides.
    """

    output_endings: ClassVar[frozenset[str]] = HU_ENDINGS

    metrics: tuple[str, ...] = param(
        ("psnr_hu", "ssim_hu", "psnr_hu[window=full]", "ssim_hu[window=full]", "rmse_hu"), "of slices; the first one ranks"
    )
    profile: str = param("ct_window", 'whose convention "psnr" and "ssim" follow (bench/judging/profiles.py)')

    @property
    @override
    def channels(self) -> int:
        return 1

    @override
    def _read_output(self, file: Path, name: str) -> Tensor:
        return read_hu(file)

    @override
    def _read_truth(self, file: Path, name: str) -> Tensor:
        found = read_hu(file)
        if not found.isfinite().all():
            raise UsageError(f"the true slice {file} holds values that are not finite (NaN or infinity): replace it")
        return found

    @override
    def _show(self, image: Tensor) -> Tensor:
        """Through the window of the belly."""
        return ct.clip_to_window(image, "abdomen")
