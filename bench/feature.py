"""What a feature network is: samples in, one vector each out, with a fingerprint of what decides it. Sets are compared in them."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from typing_extensions import override

from bench.errors import UsageError
from bench.remember import made_of, remember


@dataclasses.dataclass(frozen=True, kw_only=True)
class Features:
    """Base of every feature network. Options are dataclass fields. Only `pixels` and `pca` take points (N x d)."""

    def __call__(self, x: Tensor) -> Tensor:
        """Features of samples.

        Args:
            x: N x C x H x W, float in [0, 1], gray or RGB, any size (clipped and rounded to 8 bits, as a saved picture would be);
                or N x d points, taken as they are.

        Returns:
            N x k, float32, on the device of `x`.

        Raises:
            UsageError: the network does not take such samples.
            Unavailable: as `require`.
        """
        raise NotImplementedError

    def probabilities(self, x: Tensor) -> Tensor:
        """Class probabilities of pictures, N x K, float64.

        Raises:
            UsageError: the network is no classifier.
        """
        return self.logits(x).double().softmax(1)

    def logits(self, x: Tensor) -> Tensor:
        """Scores of the classes before the softmax, N x K, float32. Raises as `probabilities`."""
        raise UsageError(f"features {self.name!r} have no classes: name a classifier, such as digits_cnn")

    def fit(self, real: Tensor) -> Features:
        """Features with what they learn from the real samples, such as directions; these themselves where there is nothing to learn."""
        return self

    def fingerprint(self) -> str:
        """The sha256 of the weights, which decide the features besides options and code; empty where there are none.

        Raises as `require`.
        """
        return ""

    def require(self) -> None:
        """Raise `bench.errors.Unavailable` with what is missing and how to get it; nothing by default."""

    def protocol(self) -> dict[str, Any]:
        """What of these features decides a number, as JSON values for its card: name, options, fingerprint. Raises as `require`."""
        return {"name": self.name, **dataclasses.asdict(self), "sha256": self.fingerprint(), "pictures": "clipped, rounded to 8 bits"}

    @property
    def name(self) -> str:
        """The name of the file that defines it, as in a spec."""
        return type(self).__module__.rpartition(".")[2]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierFeatures(Features):
    """A trained classifier: its last hidden layer and logits, computed in batches and cached for as long as the samples live."""

    def network(self, device: torch.device) -> nn.Module:
        """The network on that device, in evaluation mode: pictures as `prepare` makes them -> (N x k features, N x K logits)."""
        raise NotImplementedError

    def prepare(self, x: Tensor) -> Tensor:
        """Stored pictures (N x C x H x W, multiples of 1/255) as the network wants them."""
        return x

    @override
    def __call__(self, x: Tensor) -> Tensor:
        return self._outputs(x)[0]

    @override
    def logits(self, x: Tensor) -> Tensor:
        return self._outputs(x)[1]

    def _outputs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            raise UsageError(
                f"features {self.name!r} want pictures, N x 1 or 3 x H x W, not {tuple(x.shape)}; points are compared with net=pixels"
            )
        self.require()
        return remember(x, _Outputs(self, self.fingerprint()), lambda: self._compute(x))

    def _compute(self, x: Tensor) -> tuple[Tensor, Tensor]:
        network = self.network(x.device)
        with torch.no_grad():
            parts = [network(self.prepare(round_to_8_bits(batch))) for batch in torch.split(x, _BATCH)]
        return torch.cat([f for f, _ in parts]), torch.cat([y for _, y in parts])


_BATCH = 128


class _Outputs(NamedTuple):
    """Of what is remembered, features and logits."""

    network: ClassifierFeatures
    fingerprint: str


def subset(x: Tensor, rows: Tensor) -> Tensor:
    """Some of the samples, as a set of its own; what classifiers made of `x` is copied for them, not computed again.

    Args:
        x: N samples.
        rows: N booleans.
    """
    part = x[rows]
    for key, outputs in made_of(x).items():
        if isinstance(key, _Outputs):
            remember(part, key, functools.partial(_chosen, outputs, rows))
    return part


def _chosen(outputs: tuple[Tensor, Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
    return outputs[0][rows], outputs[1][rows]


def round_to_8_bits(x: Tensor) -> Tensor:
    """Pictures as a file holds them: float32, clipped to [0, 1], rounded to multiples of 1/255."""
    return x.float().clamp(0, 1).mul(255).round().div(255)
