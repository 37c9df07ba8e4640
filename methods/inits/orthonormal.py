"""Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Networks. Saxe, McClelland, Ganguli. ICLR 2014, arXiv:1312.6120."""

from typing import Annotated

from torch import nn

from methods.inits._layers import weighted, zero_bias


def orthonormal(network: nn.Module, *, gain: Annotated[float, "factor of every weight"] = 1.0) -> None:
    """Weights as out x (in K K) matrices with orthonormal rows or columns, times `gain`; biases 0. In place, frozen parameters stay."""
    for layer in weighted(network):
        nn.init.orthogonal_(layer.weight, gain)
        zero_bias(layer)
