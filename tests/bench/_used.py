"""Methods at toy size as `bench.inference` loads them."""

import torch

from bench.conformance import checks
from bench.inference.load import Loaded, Origin
from bench.spec import parse


def loaded(name, **options):
    """A toy method whose weights are all random, so that no network is the identity."""
    method = checks.make(name, **options)
    with torch.no_grad():
        for network in method.networks().values():
            for p in network.parameters():
                if p.dim() > 1 and not p.any():
                    torch.nn.init.normal_(p, std=0.05)
    return Loaded(method, Origin(label=name, spec=parse(name), task="toy"))
