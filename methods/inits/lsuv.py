"""All You Need Is a Good Init: layer-sequential unit variance. Mishkin, Matas. ICLR 2016, arXiv:1511.06422, Algorithm 1.

The batch is what training feeds a layer first. A network that the first update leaves out stays orthonormal.
"""

import dataclasses
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from bench.spec import param
from methods.inits._layers import Weighted, weighted
from methods.inits.orthonormal import orthonormal


@dataclasses.dataclass(frozen=True, kw_only=True)
class LSUV:
    """Orthonormal weights, then layer by layer, in the order of the forward pass, output variance 1 before the non-linearity."""

    tolerance: float = param(0.02, "how near to 1 the variance of a layer's output is brought (Tol_var)")
    attempts: int = param(10, "rescalings of a layer at most (T_max)")

    def __post_init__(self) -> None:
        if self.tolerance <= 0 or self.attempts < 1:
            raise ValueError("tolerance must be positive and attempts at least 1")

    def __call__(self, network: nn.Module) -> None:
        """Orthonormal weights, biases 0; in place, frozen parameters stay."""
        orthonormal(network)

    def fit(self, networks: Iterable[nn.Module], update: Callable[[], None]) -> None:
        """Rescale each layer on its first input.

        Args:
            networks: those whose trainable layers are rescaled, in place.
            update: runs the networks on real data and puts everything back, their weights included.
        """
        scales: dict[Weighted, Tensor] = {}

        def rescale(layer: Weighted, inputs: tuple[Tensor, ...]) -> None:
            if layer not in scales:
                scales[layer] = self._rescaled(layer, inputs)

        hooks = [layer.register_forward_pre_hook(rescale) for network in networks for layer in weighted(network)]
        try:
            update()
        finally:
            for hook in hooks:
                hook.remove()
        for layer, scale in scales.items():
            layer.weight.data.mul_(scale)

    @torch.no_grad()
    def _rescaled(self, layer: Weighted, inputs: tuple[Tensor, ...]) -> Tensor:
        """Bring the variance to 1, in place; returns the factor. Where the bias is 0 one step is enough."""
        total = torch.ones((), device=layer.weight.device)
        for _ in range(self.attempts):
            variance = layer.forward(*inputs).var(correction=0)
            if (variance - 1).abs() < self.tolerance or variance == 0:
                break
            layer.weight.data.div_(variance.sqrt())  # data: autograd may hold the weight, but its gradients are thrown away
            total = total / variance.sqrt()
        return total
