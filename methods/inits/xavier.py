"""Understanding the Difficulty of Training Deep Feedforward Neural Networks. Glorot, Bengio. AISTATS 2010."""

from torch import nn

from methods.inits._layers import weighted, zero_bias


def xavier(network: nn.Module) -> None:
    """Weights U(-a, a), a = sqrt(6 / (fan-in + fan-out)) (Eq. 16), biases 0; in place, frozen parameters stay."""
    for layer in weighted(network):
        nn.init.xavier_uniform_(layer.weight)
        zero_bias(layer)
