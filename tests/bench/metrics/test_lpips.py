"""LPIPS with a random backbone against torchmetrics; without a backbone there is no number."""

import hashlib
import re
import warnings

import pytest
import torch
import torchvision

from bench import registry
from bench.errors import Unavailable
from bench.external import weights

BACKBONES = {"alex": "alexnet", "squeeze": "squeezenet1_1"}


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    for name in ("GANBENCH_WEIGHTS", "GANBENCH_DATA", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


def test_unavailable_names_the_file(nowhere):
    metric = registry.make("metric", "lpips[net=squeeze]")
    for call in (metric.require, metric.card, lambda: metric(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))):
        with pytest.raises(Unavailable, match=rf"squeezenet1_1-b8a52dc0\.pth.*https://.*{nowhere}"):
            call()


@pytest.mark.oracle("metric", "lpips")
@pytest.mark.parametrize("net", BACKBONES)
@pytest.mark.filterwarnings("ignore:The parameter 'pretrained':UserWarning", "ignore:Arguments other than a weight enum:UserWarning")
def test_agrees_with_torchmetrics(nowhere, monkeypatch, net):
    from torchmetrics.functional.image.lpips import _LPIPS  # the network itself: the public class would download

    torch.manual_seed(0)
    backbone = getattr(torchvision.models, BACKBONES[net])(weights=None)
    # only what LPIPS reads, to keep the file small
    state = {k: v for k, v in backbone.state_dict().items() if k.startswith("features")}
    known = weights.manifest()[BACKBONES[net]]
    file = nowhere / known.filename
    torch.save(state, file)
    entry = weights.Weight(**{**vars(known), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()})
    monkeypatch.setattr(weights, "manifest", lambda: {entry.id: entry})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = _LPIPS(pretrained=True, net=net, pnet_rand=True, eval_mode=True)
    other.net.load_state_dict({k: state[re.sub(r"^slices?\.?\d+", "features", k)] for k in other.net.state_dict()})
    x = (torch.rand(3, 3, 64, 72) * 255).round() / 255
    y = (torch.rand(3, 3, 64, 72) * 255).round() / 255
    metric = registry.make("metric", f"lpips[net={net}]")
    with torch.no_grad():
        expected = other(y, x, normalize=True).flatten().double()
    scores = metric(y, x)
    assert (scores > 1e-4).all()
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(metric(x, x), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-7)
    torch.testing.assert_close(torch.cat([metric(y[i : i + 1], x[i : i + 1]) for i in range(3)]), scores, rtol=1e-5, atol=1e-7)
    assert metric.card().protocol["sha256"] == entry.sha256
