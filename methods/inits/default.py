"""Each layer's own initialisation: PyTorch's, or what the method's `build` set."""

from torch import nn


def default(network: nn.Module) -> None:
    """Leave the network as it was built."""
