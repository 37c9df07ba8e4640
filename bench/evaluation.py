"""How methods are evaluated: in a state from which training goes on as if nothing had happened, on pictures whose truth they do not see."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.dataset import Picture
from bench.errors import UsageError
from bench.method import Batch, Method
from bench.operators import chance
from bench.operators.images import clip
from bench.task import mix

_PIXELS = 2**18  # of a batch that is evaluated at once: 16 tiles of 128 x 128
_CHANCE_SEED = 1984  # of the random numbers that methods draw to restore


@contextlib.contextmanager
def evaluation_mode(method: Method, seed: int = 0) -> Iterator[None]:
    """Networks in eval mode, no gradients, random numbers (of CPU and device) forked and started from `seed`; all of it undone at the end.

    Args:
        method: every network that is an attribute of it is switched, frozen ones too.
        seed: of the random numbers that evaluation draws.
    """
    modes = [(m, m.training) for network in method.modules().values() for m in network.modules()]
    with torch.random.fork_rng(chance.gpus(method.device)), torch.no_grad():
        chance.seed(mix(seed, 1), method.device)
        for module, _ in modes:
            module.training = False
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode


@dataclasses.dataclass(frozen=True)
class EvaluationSet:
    """Degraded pictures with their truth, in batches of one shape each.

    Attributes:
        batches: with names, of which no two are the same; a sequence that makes them when asked holds one in memory at a time.
        groups: picture -> its group (see `Picture`), in the order of the batches.
        pictures: what the batches were made of, in that order; none where they are made when asked.
    """

    batches: Sequence[Batch]
    groups: dict[str, str]
    pictures: Sequence[Picture] = ()

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def names(self) -> list[str]:
        """Of the pictures, in the order of the batches."""
        return list(self.groups)

    def restore(self, method: Method, progress: Callable[[int], None] = lambda done: None) -> Iterator[tuple[Batch, Tensor]]:
        """Each batch with what the method makes of it, clipped to [0, 1], NaN where it is infinite. The method does not see the truth.

        Raises:
            ValueError: the result has another shape than the truth.
        """
        done = 0
        for batch in self.batches:
            assert batch.target is not None
            x_hat = _restored(method, batch.without_target(), done)
            if x_hat.shape != batch.target.shape:
                raise ValueError(
                    f"{type(method).__name__}.restore returned {tuple(x_hat.shape)} for pictures of {tuple(batch.target.shape)}"
                    f", {', '.join(batch.names[:2])}{' ...' if len(batch) > 2 else ''}",
                )
            done += len(batch)
            progress(done)
            yield batch, clip(x_hat)


def _restored(method: Any, batch: Batch, first: int) -> Tensor:
    """What a method makes of a batch that begins with picture `first`; chance gives a picture the same whatever its company."""
    if not getattr(method, "stochastic_inference", False):
        return method.restore(batch)  # type: ignore[no-any-return]
    restored = []
    for i in range(len(batch)):
        chance.seed(mix(_CHANCE_SEED, first + i), method.device)
        restored.append(method.restore(batch.pick(i)))
    return torch.cat(restored)


def evaluation_set(pictures: Iterable[Picture], degrade: Callable[[Picture, int], Batch], device: torch.device) -> EvaluationSet:
    """Degrade picture i by `degrade(picture, i)` (a batch of one) and group by shape.

    Raises:
        UsageError: there are no pictures, or two of one name.
    """
    groups: dict[tuple[object, ...], list[tuple[Picture, Batch]]] = {}
    for i, picture in enumerate(pictures):
        batch = degrade(picture, i)
        groups.setdefault((batch.observed.shape, batch.psf is None or batch.psf.shape), []).append((picture, batch))
    if not groups:
        raise UsageError("no pictures to judge: see `runner.py data` for what the sets have")
    names = Counter(picture.name for group in groups.values() for picture, _ in group)
    if (most := names.most_common(1)[0])[1] > 1:
        raise UsageError(f"two pictures to judge are called {most[0]}: rename one of them")
    batches = [
        _join(group[start : start + n]).to(device)
        for group in groups.values()
        for n in [max(1, _PIXELS // group[0][0].target[0].numel())]
        for start in range(0, len(group), n)
    ]
    ordered = [picture for group in groups.values() for picture, _ in group]
    return EvaluationSet(batches, {p.name: p.group or p.name for p in ordered}, ordered)


def _join(observed: Sequence[tuple[Picture, Batch]]) -> Batch:
    """One batch of pictures of one shape."""
    batches = [batch for _, batch in observed]
    tensors = [f.name for f in dataclasses.fields(Batch) if isinstance(getattr(batches[0], f.name), Tensor)]
    joined: dict[str, Any] = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in tensors}
    return dataclasses.replace(batches[0], **joined, names=tuple(picture.name for picture, _ in observed))
