"""Low-dose CT: how close to the slice that enough photons would have shown?

Yang et al., "Low-Dose CT Image Denoising Using a GAN with Wasserstein Distance and Perceptual Loss", IEEE TMI
37(6), 2018 (arXiv:1708.00961).
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.dataset import Picture, PictureSet
from bench.errors import UsageError
from bench.evaluation import EvaluationSet, evaluation_set
from bench.judging.gallery import write_gallery
from bench.method import Batch, Method, param
from bench.offers import Capability
from bench.operators import ct
from bench.task import mix
from bench.tasks._picture_task import EVALUATION_SEED
from bench.tasks._pictures import Crops, together
from bench.tasks._restoration import Restoration
from datasets.degrade.low_dose import LowDose
from datasets.reading.dicom import HU_ENDINGS, read_hu

_TRAIN_PART = 2  # of the noise seeds: 0 and 1 are the test and the validation slices


@dataclasses.dataclass(kw_only=True, eq=False)
class LDCT(Restoration):
    """Restore CT slices from few photons; whole slices are scored, within the window of the belly (-160 to 240 HU) and over all HU.

    Pictures have one channel, HU from -1024 to 3072 on [0, 1]. A data set that brings low-dose slices (mayo) is judged as it is; to any
    other the low dose is done (`dose`): a noisy sinogram, which methods may ask for, and its reconstruction. Training pairs are made once,
    as in a study, stay on the device (2 MB a pair of 512 x 512) and are cropped at random. Methods may read `scanner` and `scans`.
    """

    output_endings: ClassVar[frozenset[str]] = HU_ENDINGS

    data: str = param("ellipses", "data set of CT slices")
    dose: str = param("low_dose", "degradation of slices that come without a low-dose version")
    crop: int = param(80, "side of training crops, pixels")
    tile: int = param(0, "0: whole slices, as a scanner turns round them")
    least_contrast: float = param(0.0, "whole slices are never left out")
    metrics: tuple[str, ...] = param(
        ("psnr", "ssim", "psnr_hu[window=full]", "ssim_hu[window=full]", "rmse_hu"), "of slices; the first one chooses the best step"
    )
    profile: str = param("ct_window", 'whose convention "psnr" and "ssim" follow (bench/judging/profiles.py)')

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tile:
            raise ValueError("tile must be 0: a scanner turns round whole slices")

    # -- what methods may read
    @property
    @override
    def channels(self) -> int:
        return 1

    @property
    def scanner(self) -> ct.Scanner:
        """The geometry behind the sinograms of a batch."""
        return self._dose.scanner

    def scans(self, n: int) -> Batch:
        """At most n whole training slices of one size, evenly spaced, with their sinograms where they have them."""
        slices = self._split("train")
        chosen = range(0, len(slices), max(1, len(slices) // n))[:n]
        return self._evaluation_set([slices[i] for i in chosen], _TRAIN_PART).batches[0]

    # -- what decides a result
    @property
    @override
    def offers(self) -> frozenset[Capability]:
        """Those of any restoration; sinograms unless the data set brings low-dose slices without them."""
        return super().offers | ({"sinogram"} if self._split("test")[0].observed is None else set())

    @override
    def components(self) -> list[tuple[str, str]]:
        return [*super().components(), ("degradation", self.dose)]

    @override
    def degrade(self, x: Tensor, rng: torch.Generator) -> Batch:
        """Whole slices N x 1 x S x S as few photons show them;
        in the truth, too, nothing is less than air, and beyond the disc there is no more.
        """
        x = x.to(self.device)
        sinogram = self._dose.scan(x, rng)
        target = ct.picture(ct.attenuation(x) * ct.inscribed_disc(x.shape[-1], x.device))
        return Batch(self._dose.reconstruct(sinogram, x.shape[-1]), target, sinogram=sinogram)

    # -- training
    @override
    def batch(self, n: int, rng: torch.Generator) -> Batch:
        """N random crops of the training pairs."""
        pairs = [self._crops.draw(u) for u in torch.rand(n, 4, generator=rng).tolist()]
        return Batch(together([low for _, low in pairs if low is not None], self.device), together([x for x, _ in pairs], self.device))

    # -- judging
    @override
    def _read_output(self, file: Path, name: str) -> Tensor:
        """A slice in DICOM, or an array of HU (.npy)."""
        return read_hu(file)

    @override
    def gallery(self, method: Method, folder: Path) -> None:
        """Four test slices, seen through the window of the belly."""
        write_gallery(folder, method, self._test, None, show=lambda x: ct.clip_to_window(x, "abdomen"))

    # -- data, read when first needed
    @functools.cached_property
    def _dose(self) -> LowDose:
        dose = registry.make("degradation", self.dose)
        if not isinstance(dose, LowDose):
            raise UsageError(f"the task ldct needs a low dose, not {self.dose}")
        return dose

    @property
    @override
    def _instead(self) -> str:
        return "ellipses"

    @functools.cached_property
    @override
    def _crops(self) -> Crops:
        slices = self._split("train")

        @functools.cache
        def load(index: int) -> Picture:
            batch = self._observe(slices[index], _TRAIN_PART, index)
            assert batch.target is not None
            return Picture(name=slices.names[index], target=batch.target[0], observed=batch.observed[0])

        return self._crops_of(PictureSet(slices.names, load, slices.fingerprint), held=True)

    @override
    def _evaluation_set(self, pictures: list[Picture], part: int) -> EvaluationSet:
        return evaluation_set(pictures, lambda picture, i: self._observe(picture, part, i), self.device)

    def _observe(self, picture: Picture, part: int, index: int) -> Batch:
        """A slice as it came, or with noise of its own."""
        if picture.observed is not None:
            return Batch(picture.observed[None], picture.target[None])
        return self.degrade(picture.target[None], torch.Generator().manual_seed(mix(EVALUATION_SEED, part, index)))
