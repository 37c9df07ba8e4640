"""Exact Solutions to the Nonlinear Dynamics of Learning in Deep Linear Networks. Saxe, McClelland, Ganguli. ICLR 2014, arXiv:1312.6120."""

from torch import nn

from methods.inits._layers import weighted, zero_bias


def orthonormal(network: nn.Module) -> None:
    """Weights as out x (in K K) matrices with orthonormal rows or columns, biases 0; in place, frozen parameters stay. LSUV's first step."""
    for layer in weighted(network):
        nn.init.orthogonal_(layer.weight)
        zero_bias(layer)
