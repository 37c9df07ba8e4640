"""DCGAN's initialisation, kept by pix2pix, CycleGAN and DeblurGAN. Radford, Metz, Chintala. ICLR 2016, arXiv:1511.06434, Sec. 4."""

from torch import nn

from methods.inits._layers import weighted, zero_bias


def normal02(network: nn.Module) -> None:
    """Weights N(0, 0.02^2), biases 0, gains of batch norms N(1, 0.02^2); in place, frozen parameters stay."""
    for layer in weighted(network):
        nn.init.normal_(layer.weight, 0.0, 0.02)
        zero_bias(layer)
    for norm in network.modules():
        if isinstance(norm, nn.modules.batchnorm._NormBase) and norm.weight is not None and norm.weight.requires_grad:
            nn.init.normal_(norm.weight, 1.0, 0.02)
            zero_bias(norm)
