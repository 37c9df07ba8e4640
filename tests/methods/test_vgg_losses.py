"""SRGAN's two VGG losses beside torchvision's own network, called layer by layer."""

import pytest
import torch
from torchvision.models import vgg

from bench import registry


@pytest.mark.oracle("content", "vgg22", "vgg54")
@pytest.mark.parametrize(
    ("name", "last"), [("vgg22", 8), ("vgg54", 35)]
)  # the ReLU after the second convolution of block 2, the fourth of 5
def test_the_mean_squared_distance_of_features_over_12_75(name, last, monkeypatch):
    network = vgg.make_layers(vgg.cfgs["E"])
    state = {f"features.{key}": value for key, value in network.state_dict().items()}
    monkeypatch.setattr("bench.external.weights.load_state_dict", lambda name: state)
    a, b = 2 * torch.rand(2, 2, 3, 32, 32) - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        x, y = (((side + 1) / 2 - mean) / std for side in (a, b))
        for layer in network[: last + 1]:
            x, y = layer(x.clone()), layer(y.clone())
        expected = ((x - y) / 12.75).square().mean()
        assert expected > 0
        assert registry.make("content", name)(a, b).item() == pytest.approx(expected.item(), rel=1e-4)
