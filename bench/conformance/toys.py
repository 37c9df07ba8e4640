"""Tasks small enough to train on in a second, one for each verb: what the contract's checks give a method to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from bench.method import Batch, Method, Samples
from bench.offers import Capability, FeatureCritic
from bench.operators import ct
from bench.operators.transfer import send
from bench.task import Scores, Task


@dataclasses.dataclass(kw_only=True, eq=False)
class _Toy(Task):
    def draw(self, n: int, rng: torch.Generator) -> Any:
        """A batch on the CPU."""
        raise NotImplementedError

    def batch(self, n: int, rng: torch.Generator) -> Any:
        """The same on the device."""
        drawn = self.draw(n, rng)
        return send(drawn, self.device) if isinstance(drawn, torch.Tensor) else drawn.to(self.device)

    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """As in validation."""
        return Scores(self.validate(method))


@dataclasses.dataclass(kw_only=True, eq=False)
class ToyRestoration(_Toy):
    """Smooth random pictures, blurred by a 3 x 3 box, with everything a method may need."""

    verb = "restore"
    crop: int = 32
    channels: ClassVar[int] = 3

    @property
    def offers(self) -> frozenset[Capability]:
        """Everything."""
        return frozenset({"paired", "unpaired", "psf", "labels", "noise", "files"})

    def open_outputs(self, folder: Path, match: str) -> Callable[[str], torch.Tensor]:
        """A gray picture, whatever its name."""
        return lambda name: torch.full((self.channels, self.crop, self.crop), 0.5, device=self.device)

    def corrupt(self, x: torch.Tensor) -> torch.Tensor:
        """Noise from torch's global random numbers."""
        return x + 0.1 * torch.randn_like(x)

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        """N pictures of crop x crop."""
        from bench.operators.psf import convolve

        target = F.interpolate(torch.rand(n, 3, 8, 8, generator=rng), size=self.crop, mode="bicubic", align_corners=False).clamp(0, 1)
        psf = torch.full((n, 3, 3), 1 / 9)
        return Batch(convolve(target, psf), target, psf, 0.01)

    def validate(self, method: Method) -> dict[str, float]:
        """Mean squared error on four pictures."""
        batch = self.batch(4, torch.Generator().manual_seed(1))
        return {"mse": float((method.restore(batch.without_target()) - batch.target).square().mean())}  # type: ignore[attr-defined]


@dataclasses.dataclass(kw_only=True, eq=False)
class ToyEnlargement(ToyRestoration):
    """The same pictures at half the size."""

    scale: int = 2

    @property
    def offers(self) -> frozenset[Capability]:
        """Pairs of a small and a large picture."""
        return frozenset({"scale"})

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        """N pictures of crop x crop, observed as crop / scale x crop / scale."""
        target: torch.Tensor | None = super().draw(n, rng).target
        assert target is not None
        return Batch(F.avg_pool2d(target, self.scale), target)


@dataclasses.dataclass(kw_only=True, eq=False)
class ToyTomography(ToyRestoration):
    """Smooth random slices of tissue and their noisy line integrals."""

    channels: ClassVar[int] = 1

    @property
    def scanner(self) -> ct.Scanner:
        """Twelve views."""
        return ct.Scanner(views=12)

    def scans(self, n: int) -> Batch:
        """N slices to tune on."""
        scans: Batch = self.batch(n, torch.Generator().manual_seed(2))
        return scans

    @property
    def offers(self) -> frozenset[Capability]:
        """Pairs with sinograms."""
        return frozenset({"paired", "sinogram"})

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        """N slices of crop x crop."""
        target: torch.Tensor | None = super().draw(n, rng).target
        assert target is not None
        mu = ct.attenuation(target[:, :1] / 2) * ct.inscribed_disc(self.crop)
        clean = self.scanner.project(mu)
        sinogram = clean + 0.01 * torch.randn(clean.shape, generator=rng)
        return Batch(ct.picture(self.scanner.fbp(sinogram, self.crop)), ct.picture(mu), sinogram=sinogram)


@dataclasses.dataclass(kw_only=True, eq=False)
class ToySaliency(ToyRestoration):
    """Where the same pictures are bright, seen through noise."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.crop, self.crop

    @property
    def offers(self) -> frozenset[Capability]:
        """Maps and the pictures without noise."""
        return frozenset({"saliency", "clean"})

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        """N pictures of crop x crop."""
        clean: torch.Tensor | None = super().draw(n, rng).target
        assert clean is not None
        noisy = (clean + 0.1 * torch.randn(clean.shape, generator=rng)).clamp(0, 1)
        return Batch(noisy, (clean.mean(1, keepdim=True) > 0.5).float(), sigma=0.1, clean=clean)


@dataclasses.dataclass(kw_only=True, eq=False)
class ToyGeneration(_Toy):
    """Gray noise of 16 x 16 pixels with one bright row, whose number is the label."""

    verb = "sample"
    shape: ClassVar[tuple[int, ...]] = (1, 16, 16)
    z_dim: ClassVar[int] = 8
    classes: ClassVar[int] = 10

    @property
    def offers(self) -> frozenset[Capability]:
        """Labels."""
        return frozenset({"labels", "files"})

    def read_samples(self, path: Path) -> torch.Tensor:
        """Sixteen pictures."""
        samples: Samples = self.batch(16, torch.Generator().manual_seed(3))
        return samples.x

    def generator(self) -> nn.Module:
        """N x 8 latents to N x 1 x 16 x 16 in [0, 1]."""
        from methods.networks.backbones import ConvGenerator

        return ConvGenerator(self.z_dim, self.shape, ngf=4)

    def critic(self, outputs: int = 1) -> FeatureCritic:
        """N x 1 x 16 x 16 to N raw scores, or N x outputs."""
        from methods.networks.backbones import conv_critic

        return conv_critic(self.shape, ndf=4, outputs=outputs)

    def draw(self, n: int, rng: torch.Generator) -> Samples:
        """N pictures with their labels."""
        labels = torch.randint(self.classes, (n,), generator=rng)
        x = torch.rand(n, *self.shape, generator=rng) / 2
        x[torch.arange(n), :, labels] = 1
        return Samples(x, labels)

    def validate(self, method: Method) -> dict[str, float]:
        """Squared error of the mean picture of sixteen samples."""
        real = self.batch(64, torch.Generator().manual_seed(1)).x
        return {"mse": float((method.sample(16).mean(0) - real.mean(0)).square().mean())}  # type: ignore[attr-defined]


@dataclasses.dataclass(kw_only=True, eq=False)
class ToyMinimisation(_Toy):
    """A line through the sums of four random numbers."""

    verb = "minimise"
    limit: ClassVar[float] = 1e4

    @property
    def offers(self) -> frozenset[Capability]:
        """A model and its loss."""
        return frozenset()

    def model(self) -> nn.Module:
        """N x 4 to N x 1."""
        return nn.Linear(4, 1)

    def draw(self, n: int, rng: torch.Generator) -> torch.Tensor:
        """N x 4."""
        return torch.randn(n, 4, generator=rng)

    def loss(self, model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        """Mean squared error."""
        error: torch.Tensor = model(batch) - batch.sum(1, keepdim=True)
        return error.square().mean()

    def project(self, model: nn.Module) -> None:
        """Every line is allowed."""

    def validate(self, method: Method) -> dict[str, float]:
        """The loss on sixteen points."""
        return {"mse": float(self.loss(method.minimise(), self.batch(16, torch.Generator().manual_seed(1))))}  # type: ignore[attr-defined]


TOYS: tuple[Callable[[], Task], ...] = (ToyRestoration, ToyEnlargement, ToyTomography, ToySaliency, ToyGeneration, ToyMinimisation)
"""The first with a method's verb that offers what it needs is its own."""
