"""Small pictures: how close are a method's samples to pictures it has not seen, how varied, and are they copies?

Borji, "Pros and Cons of GAN Evaluation Measures", CVIU 2019, surveys the measures; each metric's card says what it computes.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench import registry
from bench.dataset import SPLITS, Split
from bench.errors import UsageError
from bench.judging.sheets import fixed_latents, interpolations, sheet, write_item
from bench.method import Method, Samples, param
from bench.metrics.nearest_neighbour import NearestNeighbour
from bench.offers import FeatureCritic
from bench.tasks._cached import cached_method
from bench.tasks._generation import Generation
from bench.tasks._splits import skipped_note
from datasets.reading.samples import SampleSet, SampleSource
from methods.networks.backbones import ConvGenerator, MLPGenerator, conv_critic, mlp_critic

_COLUMNS, _ROWS = 10, 6  # of a sheet


@dataclasses.dataclass(kw_only=True, eq=False)
class Generate(Generation):
    """Draw pictures like those of a data set; judged beside its test split, the best step chosen on its validation split."""

    verb: ClassVar[str] = "sample"

    data: str = param("digits", "set of small pictures")
    metrics: tuple[str, ...] = param(
        (
            "fd[net=digits_cnn]",
            "prdc",
            "mode_score",
            "geometry_score[repeats=100]",
            "nearest_neighbour",
        ),
        "of sets of pictures; the first one chooses the best step",
    )
    backbone: Literal["conv", "mlp"] = param("conv", "kind of the default networks")
    width: int = param(32, "conv: channels beside the picture, doubled at every halving of its side; mlp: units of a layer")
    layers: int = param(2, "hidden ones of the mlp; the conv nets have one for every halving of the side down to 4")
    critic_norm: Literal["none", "batch"] = param("none", "of the conv critic; gradient penalties need none")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.layers) < 1:
            raise ValueError("width and layers must be >= 1")

    @property
    @override
    def shape(self) -> tuple[int, ...]:
        """(C, H, W)."""
        return tuple(self._split("train").x.shape[1:])

    @property
    @override
    def classes(self) -> int:
        return len(self._split("train").classes)

    @override
    def fingerprint(self) -> dict[str, str]:
        return {f"{self.data}/{split}": self._split(split).fingerprint for split in SPLITS}

    @override
    def notes(self) -> dict[str, str]:
        return super().notes() | skipped_note([line for split in SPLITS for line in self._split(split).skipped])

    # -- networks
    @override
    def generator(self) -> nn.Module:
        """N x z_dim to N x C x H x W in [0, 1]. Raises UsageError where conv nets cannot make such pictures."""
        if self.backbone == "mlp":
            return MLPGenerator(self.z_dim, self.shape, (self.width,) * self.layers)
        self._check_side()
        return ConvGenerator(self.z_dim, self.shape, self.width)

    @override
    def critic(self, outputs: int = 1) -> FeatureCritic:
        """N x C x H x W to N raw scores, or N x outputs. Raises as `generator`."""
        if self.backbone == "mlp":
            return mlp_critic(self.shape, (self.width,) * self.layers, outputs)
        self._check_side()
        return conv_critic(self.shape, self.width, outputs, self.critic_norm)

    def _check_side(self) -> None:
        height, width = self.shape[1:]
        if height != width or width < 8 or math.log2(width / 4) % 1:
            wrong = f"backbone=conv makes squares of 8, 16, 32, 64, ... pixels, not {height} x {width}"
            raise UsageError(f"{wrong}: set backbone=mlp or another size of the data")

    # -- data
    @override
    def batch(self, n: int, rng: torch.Generator) -> Samples:
        return self._split("train").draw(n, rng)

    @override
    def real(self, split: Split, n: int) -> Tensor:
        """At most n pictures of a split, evenly spread over it."""
        return self._split(split).spread(n).x

    @cached_method
    def _split(self, split: Split) -> SampleSet:
        source = registry.make("dataset", self.data)
        if not isinstance(source, SampleSource):
            raise UsageError(f"the task generate needs a set of small pictures, such as digits or images[path=...], not {self.data}")
        return source.open(self.root, split).to(self.device)

    # -- pictures
    @override
    def gallery(self, method: Method, folder: Path) -> None:
        """Samples from fixed latents beside real pictures and over their nearest training pictures, interpolations, a method's own sheets.

        A method's `sheets(columns)` are the figures its paper would print: a title for each, rows x columns x C x H x W in [0, 1].
        """
        with fixed_latents(self.device):
            made = self.draw_from(method, _COLUMNS * _ROWS)
            between = interpolations(method, _ROWS // 2, _COLUMNS)
            own = method.sheets(_COLUMNS) if hasattr(method, "sheets") else {}
        train = self.real("train", len(self._split("train")))
        _, nearest = NearestNeighbour().nearest(made[:_COLUMNS], train)
        write_item(folder, "Samples", sheet(made, _COLUMNS), sheet(self.real("test", len(made)), _COLUMNS))
        write_item(folder, "Samples over the nearest training pictures", sheet(torch.cat([made[:_COLUMNS], train[nearest]]), _COLUMNS))
        if between is not None:
            write_item(folder, "Between two latents", sheet(between, _COLUMNS))
        for name, rows in own.items():
            write_item(folder, name, sheet(rows.flatten(0, 1), rows.shape[1]))
