"""What every feature network must hold: one vector a sample, the same alone as in company, and a fingerprint."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from bench import registry
from bench.conformance._tools import Checks, leaves_no_trace, pictures
from bench.errors import Unavailable, UsageError


def _made(name: str) -> Any:
    """The features, fitted where there is something to fit."""
    features: Any = registry.make("feature", name)
    features.require()
    return features.fit(pictures(32, 1, 16, seed=3))


def _taken(features: Any, name: str) -> Tensor:
    """Pictures that the network takes: gray ones, or else in colour."""
    for channels in (1, 3):
        x = pictures(4, channels, 16)
        try:
            features(x)
        except UsageError as error:
            refusal = error
        else:
            return x
    raise Unavailable(f"{name} takes none of the pictures made up here: {refusal}")


def check_vectors(name: str) -> None:
    """N x k, float32, finite; nothing is drawn or written to."""
    features = _made(name)
    x = _taken(features, name)
    with leaves_no_trace(name, x):
        found = features(x)
    assert found.ndim == 2, f"{name} gives {tuple(found.shape)}, not N x k"
    assert len(found) == len(x), f"{name} gives {len(found)} vectors for {len(x)} samples"
    assert found.dtype == torch.float32, f"{name} gives {found.dtype}, not torch.float32"
    assert found.isfinite().all(), f"{name} gives features that are not finite"
    assert not found.requires_grad, f"{name} keeps a graph: compute features without gradients"


def check_company(name: str) -> None:
    """A sample alone gives what it gives in a batch."""
    features = _made(name)
    x = _taken(features, name)
    together, alone = features(x), torch.cat([features(x[i : i + 1].clone()) for i in range(len(x))])
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-4), f"{name} gives a sample other features alone than in company"


def check_classes(name: str) -> None:
    """A classifier gives probabilities, float64, that add up to 1; any other says that it has none."""
    features = _made(name)
    x = _taken(features, name)
    try:
        p = features.probabilities(x)
    except UsageError:
        return
    assert p.dtype == torch.float64, f"{name} gives probabilities of {p.dtype}, not torch.float64"
    assert torch.allclose(p.sum(1).cpu(), torch.ones(len(x), dtype=torch.float64)), f"{name} gives probabilities that do not add up to 1"


def check_fingerprint(name: str) -> None:
    """The same every time; what decides a number is JSON."""
    features, again = (registry.make("feature", name) for _ in range(2))
    features.require()
    assert features.fingerprint() == again.fingerprint(), f"{name}: the fingerprint changes"
    assert features.protocol() == again.protocol(), f"{name}: its protocol changes"
    json.dumps(features.protocol())


def checks_of(name: str) -> Checks:
    """Title -> check."""
    return {"vectors": check_vectors, "company": check_company, "classes": check_classes, "fingerprint": check_fingerprint}
