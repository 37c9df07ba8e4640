"""Which layers an initialiser touches."""

from collections.abc import Iterator

from torch import nn

Weighted = nn.Linear | nn.modules.conv._ConvNd


def weighted(network: nn.Module) -> Iterator[Weighted]:
    """The linear, convolution and transposed convolution layers whose weights train."""
    return (m for m in network.modules() if isinstance(m, Weighted) and m.weight.requires_grad)


def zero_bias(layer: nn.Module) -> None:
    """Set a layer's bias to zero where it has one that trains."""
    bias = getattr(layer, "bias", None)
    if bias is not None and bias.requires_grad:
        nn.init.zeros_(bias)
