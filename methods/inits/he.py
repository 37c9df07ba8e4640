"""Delving Deep into Rectifiers. He, Zhang, Ren, Sun. ICCV 2015, arXiv:1502.01852."""

import math

from torch import nn

from methods.inits._layers import Weighted, weighted, zero_bias


def he(network: nn.Module) -> None:
    """Weights N(0, 2 / fan-in) (Eq. 10), biases 0; in place, frozen parameters stay. Normalisation layers keep gain 1."""
    for layer in weighted(network):
        nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / _fan_in(layer)))
        zero_bias(layer)


def _fan_in(layer: Weighted) -> float:
    """Terms summed for one output; a transposed convolution's weight is in x out x K x K, and only K^2 / stride^2 taps meet a pixel."""
    if isinstance(layer, nn.modules.conv._ConvTransposeNd):
        return layer.in_channels / layer.groups * math.prod(layer.kernel_size) / math.prod(layer.stride)
    return layer.weight[0].numel()
