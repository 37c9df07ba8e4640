"""Distance in the features of a frozen network. Johnson, Alahi, Fei-Fei. ECCV 2016, arXiv:1603.08155; as used by DeblurGAN."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor, nn

from bench.external import weights
from bench.operators.colour import IMAGENET_MEAN, IMAGENET_STD
from bench.operators.transfer import constant
from bench.spec import param

_LAYERS = {"vgg19": 14, "vgg16": 15, "squeezenet": 4, "random_vgg19": 14}  # torchvision's indices in `features`


@dataclasses.dataclass(frozen=True, kw_only=True)
class Perceptual:
    """Mean squared difference of features (over channels and places too); images N x 3 x H x W, RGB in [-1, 1].

    Made of vgg19, vgg16 or squeezenet (SqueezeNet 1.0 of Deep Compression) it reads their published weights.

    Raises:
        Unavailable: these are not here.
    """

    net: Literal["vgg19", "vgg16", "squeezenet", "random_vgg19"] = param(
        "vgg19", "the frozen network whose features are compared; random_vgg19 (He) is a control, no published number stands beside it"
    )
    layer: int = param(
        -1, "index of the last layer; -1: conv3_3 before its ReLU (vgg19), block3_conv3 after it (vgg16), fire3 (squeezenet)"
    )
    normalize: bool = param(False, "subtract ImageNet's mean and divide by its deviation (the VGGs only); DeblurGAN's code does not")
    seed: int = param(0, "of the weights of random_vgg19")
    _features: nn.Module = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.normalize and self.net == "squeezenet":
            raise ValueError("squeezenet brings its own normalisation: leave normalize off")
        layer = _LAYERS[self.net] if self.layer == -1 else self.layer
        features = _random_vgg19(layer, self.seed) if self.net == "random_vgg19" else _pretrained(self.net, layer)
        object.__setattr__(self, "_features", features.requires_grad_(False).eval().to(torch.get_default_device()))

    def __call__(self, x_hat: Tensor, x: Tensor) -> Tensor:
        """The distance, a scalar; gradients flow to both arguments that want them."""
        return (self.features(x_hat) - self.features(x)).square().mean()

    def features(self, x: Tensor) -> Tensor:
        """The feature maps of images in [-1, 1]."""
        if self.net == "squeezenet":
            x = (x + 1) / 2
        elif self.normalize:
            mean, std = (constant(v, x).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
            x = ((x + 1) / 2 - mean) / std
        y: Tensor = self._features.to(x.device)(x)
        return y


def _architecture(net: str, layer: int) -> nn.Sequential:
    """The first layers, on the meta device: no memory, no random numbers."""
    from torchvision.models import squeezenet1_0, vgg

    with torch.device("meta"):
        whole = squeezenet1_0().features if net == "squeezenet" else vgg.make_layers(vgg.cfgs["D" if net == "vgg16" else "E"])
    if not 0 <= layer < len(whole):
        raise ValueError(f"layer must be in 0..{len(whole) - 1}, not {layer}")
    return whole[: layer + 1]


def _pretrained(net: str, layer: int) -> nn.Sequential:
    features = _architecture(net, layer)
    name = "squeezenet1_0" if net == "squeezenet" else net
    with weights.explain_misfit(name):
        state = weights.load_state_dict(name)
        features.load_state_dict({k: state[f"features.{k}"].float() for k in features.state_dict()}, assign=True)
    return features


def _random_vgg19(layer: int, seed: int) -> nn.Sequential:
    """He's scale keeps the second moment of the activations from layer to layer."""
    features = _architecture("vgg19", layer).to_empty(device="cpu")
    rng = torch.Generator().manual_seed(seed)
    for conv in features:
        if isinstance(conv, nn.Conv2d):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu", generator=rng)
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
    return features
