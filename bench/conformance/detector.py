"""What every detector must hold: boxes of known classes, the same for a picture alone as in company, and a fingerprint."""

from __future__ import annotations

import json
from typing import Any

import torch

from bench import registry
from bench.conformance._tools import Checks, leaves_no_trace, pictures
from bench.detector import Detections

_SIDE = 128
_MOST = 100  # detections of a picture


def _made(name: str) -> Any:
    detector: Any = registry.make("detector", name)
    detector.require()
    return detector


def check_detections(name: str) -> None:
    """One `Detections` a picture: at most 100 boxes that lie inside it, classes that have a name, scores in [0, 1]."""
    detector, x = _made(name), pictures(2, side=_SIDE)
    with leaves_no_trace(name, x):
        found = detector(x)
    assert len(found) == len(x), f"{name} returned {len(found)} results for {len(x)} pictures"
    for one in found:
        assert isinstance(one, Detections), f"{name} returned {type(one).__name__}, not Detections"
        assert len(one) <= _MOST, f"{name} found {len(one)} objects: {_MOST} at most"
        assert one.boxes.isfinite().all(), f"{name} returned boxes that are not finite"
        assert ((one.scores >= 0) & (one.scores <= 1)).all(), f"{name} returned scores outside [0, 1]"
        assert ((one.labels >= 0) & (one.labels < len(detector.classes))).all(), f"{name} returned a class that has no name"
        inside = (one.boxes >= 0).all() and (one.boxes <= _SIDE).all() and (one.boxes[:, :2] <= one.boxes[:, 2:]).all()
        assert inside, f"{name} returned a box that is not x0 y0 x1 y1 inside the picture"


def check_company(name: str) -> None:
    """A picture alone gives what it gives in a batch."""
    detector, x = _made(name), pictures(2, side=_SIDE)
    together, alone = detector(x), [detector(x[i : i + 1])[0] for i in range(2)]
    for a, b in zip(together, alone, strict=True):
        assert len(a) == len(b), f"{name} finds {len(a)} objects in company and {len(b)} alone"
        assert torch.allclose(a.boxes, b.boxes, atol=0.1), f"{name} finds other boxes in company than alone"
        assert torch.allclose(a.scores, b.scores, atol=1e-3), f"{name} gives other scores in company than alone"


def check_fingerprint(name: str) -> None:
    """The same every time, of sixteen digits; what decides a number is JSON."""
    detector = _made(name)
    assert len(detector.fingerprint()) == 16, f"{name}: the fingerprint {detector.fingerprint()!r} has not 16 hexadecimal digits"
    assert detector.protocol() == _made(name).protocol(), f"{name}: its protocol changes"
    json.dumps(detector.protocol())


def checks_of(name: str) -> Checks:
    """Title -> check."""
    return {"detections": check_detections, "company": check_company, "fingerprint": check_fingerprint}
