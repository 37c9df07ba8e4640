"""What tasks offer to methods: batches, abilities that `Method.needs` asks for by name, attributes that `Method.build` may read.

A method states the kind of its task, `class DCGAN(Method[GenerationTask])`. The protocols say what such tasks have in common, whichever
file they are in; the tasks of the registry and the toys of the contract's checks keep them (see `tests/bench/test_offers.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor, nn

from bench.operators.transfer import send

if TYPE_CHECKING:
    from bench.operators.ct import Scanner

Capability = Literal["paired", "unpaired", "psf", "sinogram", "labels", "noise", "scale", "saliency", "clean", "files"]
"""What a task may offer and a method may need.

paired: `Batch.observed` and `Batch.target` of one size belong together. unpaired: the observed of one batch and the targets of another are
two domains. psf: `Batch.psf`. sinogram: `Batch.sinogram`, and the task is a `TomographyTask`. labels: `Samples.labels`. noise: the task is
a `DenoisingTask`. scale: the target is `scale` times larger, and the task is an `EnlargementTask`. saliency: the target is a map, and the
task is a `SaliencyTask`. clean: `Batch.clean`. files: what other code made can be read: the task is an `OutputsTask` or a `SamplesTask`.
"""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Pictures as every task and method exchange them: float32, N x C x H x W, [0, 1], RGB.

    `observed` is what was measured (blurred, noisy, small); `target` the truth, absent when a method is being judged;
    `psf` the N x K x K blur kernels (sum 1), only where the task offers "psf"; `sigma` the standard deviation of the noise on [0, 1];
    `sinogram` the N x V x D noisy line integrals behind `observed`, only where the task offers "sinogram";
    `clean` the picture without its noise where the target is something else, only where the task offers "clean", and absent like `target`;
    `names` those of the pictures, in order, while a method is judged.
    """

    observed: Tensor
    target: Tensor | None = None
    psf: Tensor | None = None
    sigma: float = 0.0
    sinogram: Tensor | None = None
    clean: Tensor | None = None
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.observed)

    @property
    def truth(self) -> Tensor:
        """The target where there must be one: in training, and for those who judge.

        Raises:
            ValueError: it was taken away, as it is while a method is being judged.
        """
        if self.target is None:
            raise ValueError("this batch has no target: methods do not see the truth of what they restore")
        return self.target

    def without_target(self) -> Batch:
        """The same measurement with the truth taken away."""
        return dataclasses.replace(self, target=None, clean=None)

    def pick(self, index: int) -> Batch:
        """The batch of one picture."""
        one = {name: value[index : index + 1] for name, value in self._tensors().items()}
        return dataclasses.replace(self, **one, names=self.names[index : index + 1])

    def to(self, device: torch.device | str) -> Batch:
        """The batch on another device, without a wait (see `bench.operators.transfer`)."""
        moved: dict[str, Any] = {name: send(value, device) for name, value in self._tensors().items()}
        return dataclasses.replace(self, **moved)

    def _tensors(self) -> dict[str, Any]:
        return {f.name: value for f in dataclasses.fields(self) if isinstance(value := getattr(self, f.name), Tensor)}


@dataclasses.dataclass(frozen=True)
class Samples:
    """Draws from a distribution, as generative tasks and methods exchange them.

    `x` is N x d (points) or N x C x H x W, float32, [0, 1] (pictures); `labels` N, int64, where the task offers "labels".
    """

    x: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device | str) -> Samples:
        """The samples on another device, without a wait (see `bench.operators.transfer`)."""
        return Samples(send(self.x, device), None if self.labels is None else send(self.labels, device))


class FeatureCritic(nn.Module):
    """A critic that is `head(represent(x))`, so that a method can read its features or put another head on them."""

    head: nn.Module  # N x features to N raw scores, or N x outputs
    features: int

    def represent(self, x: Tensor) -> Tensor:
        """The features before the head: N x features."""
        raise NotImplementedError


class OfferedTask(Protocol):
    """What every task offers."""

    @property
    def device(self) -> torch.device:
        """Where networks are built and batches lie."""

    @property
    def offers(self) -> frozenset[Capability]:
        """The abilities that a method may need."""


class OutputsTask(OfferedTask, Protocol):
    """What other code restored can be read from files."""

    def open_outputs(self, folder: Path, match: str) -> Callable[[str], Tensor]:
        """What reads the restored picture of a name, C x H x W in [0, 1], or what the task compares in its place (boxes, labels); raises
        UsageError where it has no readable file.

        Args:
            folder: of the files; or the file of the only picture.
            match: how a file is called below the folder, without its ending; {} stands for the name.

        Raises:
            UsageError: there is no such folder, or two files are for one picture.
        """


class SamplesTask(OfferedTask, Protocol):
    """What other code drew can be read from files."""

    def read_samples(self, path: Path) -> Tensor:
        """As many samples as the task draws, or more: n x shape, [0, 1]. Raises UsageError where there are fewer, or others."""


class RestorationTask(OfferedTask, Protocol):
    """Pictures in, pictures out: batches are `Batch`, float32, N x C x H x W, [0, 1]."""

    @property
    def channels(self) -> int:
        """C of what is observed and of the target: 3 (RGB), or 1 (gray, CT)."""

    @property
    def crop(self) -> int:
        """Height and width of training targets, pixels."""


class EnlargementTask(RestorationTask, Protocol):
    """Super-resolution: what is observed is smaller than the target."""

    @property
    def scale(self) -> int:
        """Sides of the target over those of what is observed; divides `crop`."""


class DenoisingTask(RestorationTask, Protocol):
    """Noise that can be drawn again."""

    def corrupt(self, x: Tensor) -> Tensor:
        """Another measurement of clean pictures (N x C x H x W, [0, 1]), not clipped; from torch's global random numbers."""


class TomographyTask(RestorationTask, Protocol):
    """CT slices (C = 1) with the scanner that saw them."""

    @property
    def scanner(self) -> Scanner:
        """The geometry behind the sinograms of a batch."""

    def scans(self, n: int) -> Batch:
        """At most n whole training slices of one size with their sinograms: what is tuned on (crops have none)."""


class SaliencyTask(OfferedTask, Protocol):
    """Photographs in, maps out: N x 3 x H x W to N x 1 x H x W in [0, 1]."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of training pictures, pixels."""


class GenerationTask(OfferedTask, Protocol):
    """Samples of a distribution: batches are `Samples`, points N x d or pictures N x C x H x W in [0, 1]."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample: (d,) or (C, H, W)."""

    @property
    def classes(self) -> int:
        """How many labels there are; 0 where there are none."""

    @property
    def z_dim(self) -> int:
        """Entries of a latent."""

    def generator(self) -> nn.Module:
        """A new default generator: N x z_dim latents to N x shape."""

    def critic(self, outputs: int = 1) -> FeatureCritic:
        """A new default critic: N x shape to N raw scores, or to N x outputs."""


class MinimisationTask(OfferedTask, Protocol):
    """A model and a loss to descend."""

    @property
    def limit(self) -> float:
        """The loss beyond which a run has diverged."""

    def model(self) -> nn.Module:
        """What is descended, at its start; random starts come from torch's global random numbers."""

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """What one update descends: a scalar with its graph."""

    def project(self, model: nn.Module) -> None:
        """Put a model back where the problem allows it, in place."""
