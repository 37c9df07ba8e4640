"""What every segmenter must hold: a known class for every pixel, the same for a picture alone as in company."""

from __future__ import annotations

import json
from typing import Any

import torch

from bench import registry
from bench.conformance._tools import Checks, leaves_no_trace, pictures


def _made(name: str) -> Any:
    segmenter: Any = registry.make("segmenter", name)
    segmenter.require()
    return segmenter


def check_labels(name: str) -> None:
    """N x H x W, int64, from 0 to classes - 1, or -1 where a pixel does not count."""
    segmenter, x = _made(name), pictures(2, side=64)
    with leaves_no_trace(name, x):
        found = segmenter(x)
    assert found.shape == (2, 64, 64), f"{name} gives {tuple(found.shape)} for two pictures of 64 x 64, not N x H x W"
    assert found.dtype == torch.int64, f"{name} gives {found.dtype}, not torch.int64"
    known = (found >= -1) & (found < segmenter.classes)
    assert known.all(), f"{name} gives the class {int(found[~known][0])}, and there are {segmenter.classes}" if not known.all() else ""


def check_company(name: str) -> None:
    """A picture alone gives what it gives in a batch."""
    segmenter, x = _made(name), pictures(2, side=64)
    together, alone = segmenter(x), torch.cat([segmenter(x[i : i + 1]) for i in range(2)])
    assert (together == alone).float().mean() > 0.999, f"{name} gives a picture other classes alone than in company"


def check_protocol(name: str) -> None:
    """What decides a number is the same every time, and JSON."""
    assert _made(name).protocol() == _made(name).protocol(), f"{name}: its protocol changes"
    json.dumps(_made(name).protocol())


def checks_of(name: str) -> Checks:
    """Title -> check."""
    return {"labels": check_labels, "company": check_company, "protocol": check_protocol}
