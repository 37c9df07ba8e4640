"""Denoising: gray or colour photographs under noise of a known or an unknown level.

Zhang et al., "Beyond a Gaussian denoiser", TIP 2017: the protocol of the gray tables, `data=bsd68,tile=0`. BM3D, their usual classical row,
is not among the methods: its reference implementation may not be used commercially or passed on; who has it can join it by `--plugin`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import override

from bench import registry
from bench.dataset import Picture
from bench.errors import UsageError
from bench.evaluation import EvaluationSet, evaluation_set
from bench.method import Batch, Method, param
from bench.offers import Capability
from bench.operators.colour import luma
from bench.operators.noise import Noise
from bench.spec import Spec, parse
from bench.task import Scores, mix
from bench.tasks._cached import cached_method
from bench.tasks._picture_task import EVALUATION_SEED
from bench.tasks._pictures import together
from bench.tasks._restoration import Restoration

Level = float | tuple[float, float] | Literal["blind"]
_BLIND = (0.0, 55.0)  # DnCNN-B, Sec. IV-A


@dataclasses.dataclass(kw_only=True, eq=False)
class Denoise(Restoration):
    """Remove noise; every picture that is judged has noise of its own seed, the same for every method.

    Methods are told the level (`Batch.sigma`) where it is one number and training sees the same; else it is 0 and denoising is
    blind. Pictures that come with a noisy version (cc15) are judged as they are. Methods may read `channels`, and `corrupt`,
    which measures clean pictures anew.
    """

    noise: str = param("gaussian", "degradation of pictures that come without a noisy version; real: there are none such")
    sigma: Level = param(25.0, 'level on 0 .. 255, as `noise` means it; a pair is a range from which every picture draws, "blind" (0, 55)')
    train_sigma: Level | None = param(None, 'the same in training, such as "blind" for DnCNN-B; None: as `sigma`')
    channels: Literal[1, 3] = param(1, "1: gray pictures; 3: colour")
    crop: int = param(40, "side of training crops, pixels")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self.sigma = _BLIND if self.sigma == "blind" else self.sigma
        self.train_sigma = _BLIND if self.train_sigma == "blind" else self.train_sigma
        if self.channels == 3 and self.profile == "bsd68":
            raise ValueError("bsd68 is a protocol for gray pictures: with channels=3 give profile=default")

    # -- what a method may read
    def corrupt(self, x: Tensor) -> Tensor:
        """Another measurement of clean pictures, N x C x H x W: training noise from torch's global random numbers."""
        return self._noise(self.train_sigma).apply(x)

    @property
    @override
    def offers(self) -> frozenset[Capability]:
        """Those of any restoration; more measurements of one picture where noise is simulated."""
        return super().offers | (set() if parse(self.noise).name == "real" else {"noise"})

    # -- what decides a result
    @override
    def components(self) -> list[tuple[str, str]]:
        return [*super().components(), ("degradation", self.noise)]

    @override
    def degrade(self, x: Tensor, rng: torch.Generator) -> Batch:
        """What is judged: N x 3 x H x W clean -> N x `channels` x H x W noisy."""
        return self._noisy(x, self._noise(self.sigma), rng)

    # -- training
    @override
    def batch(self, n: int, rng: torch.Generator) -> Batch:
        crops = [self._crops.draw(u) for u in torch.rand(n, 4, generator=rng).tolist()]
        noise = torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
        x = together([clean for clean, _ in crops], self.device)
        own = [noisy for _, noisy in crops if noisy is not None]
        return Batch(self._seen(together(own, self.device)), self._seen(x)) if own else self._noisy(x, self._noise(self.train_sigma), noise)

    # -- judging
    @override
    def score(self, method: Method, progress: Callable[[int, int], None]) -> Scores:
        """Image metrics on the test pictures, and beside them the PSNR of the noisy ones as they are, neither clipped nor rounded."""
        pairs = [(batch.observed, batch.target) for batch in self._test.batches if batch.target is not None]
        noisy = torch.cat([-10 * (y - x).double().square().mean((1, 2, 3)).log10() for y, x in pairs])
        return super().score(method, progress).joined(Scores({}, summary={"noisy_psnr_unclipped": float(noisy.mean())}))

    @override
    def _evaluation_set(self, pictures: list[Picture], part: int) -> EvaluationSet:
        def observe(picture: Picture, i: int) -> Batch:
            if picture.observed is not None:
                return Batch(self._seen(picture.observed[None]), self._seen(picture.target[None]))
            return self.degrade(picture.target[None], torch.Generator().manual_seed(mix(EVALUATION_SEED, part, i)))

        return evaluation_set(pictures, observe, self.device)

    # -- noise and colour
    def _noisy(self, x: Tensor, noise: Noise, rng: torch.Generator) -> Batch:
        clean = self._seen(x)
        return Batch(noise.apply(clean, rng), clean, sigma=0.0 if self.train_sigma not in (None, self.sigma) else noise.std)

    @cached_method
    def _noise(self, sigma: Level | None) -> Noise:
        spec = parse(self.noise)
        takes = "sigma" in registry.settings(registry.find("degradation", spec.name))
        given = {"sigma": self.sigma if sigma is None else sigma} if takes else {}
        noise = registry.make("degradation", Spec(spec.name, given | dict(spec.options)))
        if not isinstance(noise, Noise):
            raise UsageError(f"the task denoise needs a noise, not {self.noise}")
        return noise

    def _seen(self, x: Tensor) -> Tensor:
        """N x 3 x H x W in the task's channels; gray as MATLAB's rgb2gray made the benchmarks, rounded to 8 bits as files are."""
        return x if self.channels == 3 else (luma(x) * 255).round() / 255
