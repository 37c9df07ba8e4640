"""What every data set must hold: pictures of one form under names of their own, splits that share none, a fingerprint of the content."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench import registry
from bench.conformance._tools import Checks, generator, leaves_no_trace, same
from bench.dataset import SPLITS, Picture, Source, Split
from bench.errors import Unavailable, UsageError
from bench.method import Samples
from bench.spec import parse

_LOOKED_AT = 3  # pictures of a split, evenly spread
_ROOT = "GANBENCH_DATA"


def _root() -> Path | None:
    return Path(os.environ[_ROOT]) if os.environ.get(_ROOT) else None


def _source(name: str) -> Any:
    try:
        return registry.make("dataset", name)
    except TypeError as error:  # a required option
        raise Unavailable(f"{name}: {error}") from error


def _opened(name: str) -> dict[Split, Any]:
    """The splits of a set that is here, without those that its authors do not publish; opened once for all checks.

    Raises:
        Unavailable: it is not here.
    """
    return _open(registry.find("dataset", parse(name).name), name, _root())


@functools.lru_cache(maxsize=1)
def _open(part: type, name: str, root: Path | None) -> dict[Split, Any]:
    source, found = _source(name), dict[Split, Any]()
    for split in SPLITS:
        try:
            found[split] = source.open(root, split)
        except UsageError as error:
            refusal = error
    if not any(map(len, found.values())):
        raise Unavailable(f"{name} opens no split: {refusal}" if len(found) < len(SPLITS) else f"every split of {name} is empty")
    return {split: pictures for split, pictures in found.items() if len(pictures)}


def _some(pictures: Sequence[Any]) -> list[int]:
    n = min(len(pictures), _LOOKED_AT)
    return [i * len(pictures) // n for i in range(n)]


def check_fingerprint(name: str) -> None:
    """Opened again, a split has the same fingerprint and length; two splits have different ones; `count` knows how many there are."""
    prints = dict[str, Split]()
    for split, pictures in _opened(name).items():
        again, counted = _source(name).open(_root(), split), _source(name).count(_root(), split)
        assert len(pictures.fingerprint) >= 8, (
            f"{name}/{split}: the fingerprint {pictures.fingerprint!r} is too short to tell contents apart"
        )
        assert pictures.fingerprint == again.fingerprint, f"{name}/{split}: the fingerprint changes between two openings"
        assert len(pictures) == len(again), f"{name}/{split}: the number of pictures changes between two openings"
        assert counted is not None, f"{name}/{split}: count says nothing"
        assert counted >= len(pictures), f"{name}/{split}: count says {counted}, and there are {len(pictures)}"
        other = prints.setdefault(pictures.fingerprint, split)
        assert other == split, f"{name}: {other} and {split} have one fingerprint"


# -- pictures that are read when asked for
def check_pictures(name: str) -> None:
    """A picture is called as its set says, reads the same every time, and has the form that tasks take."""
    for split, pictures in _opened(name).items():
        for i in _some(pictures):
            where, picture = f"{name}/{split}: the picture {pictures.names[i]}", pictures[i]
            assert isinstance(picture, Picture), f"{where} is a {type(picture).__name__}, not a Picture"
            assert picture.name == pictures.names[i], f"{where} calls itself {picture.name}"
            _check_picture(where, picture)
        assert same(pictures[0].target, pictures[0].target), (
            f"{name}/{split}: the picture {pictures.names[0]} differs when it is read again"
        )


def _check_picture(where: str, picture: Picture) -> None:
    _check_image(where, picture.target)
    if picture.observed is not None:
        _check_image(f"{where}, as observed,", picture.observed)
    if picture.small is not None:
        _check_image(f"{where}, made small,", picture.small)
    if picture.psf is not None:
        assert abs(float(picture.psf.sum()) - 1) < 1e-3, f"{where} has a blur kernel of sum {float(picture.psf.sum()):.4f}, not 1"
    if picture.boxes is not None:
        assert picture.labels is not None, f"{where} has boxes and no labels"
        assert picture.boxes.shape == (len(picture.labels), 4), (
            f"{where} has boxes of {tuple(picture.boxes.shape)} for {len(picture.labels)} labels"
        )


def _check_image(where: str, image: Tensor) -> None:
    assert image.dtype == torch.float32, f"{where} is {image.dtype}, not torch.float32"
    assert image.ndim == 3, f"{where} has the shape {tuple(image.shape)}, not C x H x W"
    assert image.shape[0] in (1, 3), f"{where} has {image.shape[0]} channels, not 3 (CT: 1)"
    low, high = float(image.min()), float(image.max())
    assert low >= 0, f"{where} goes down to {low:.4g}, below 0"
    assert high <= 1, f"{where} goes up to {high:.4g}, above 1"


def check_names(name: str) -> None:
    """Every picture has a name of its own, and no picture stands in two splits."""
    homes: dict[str, tuple[Split, int]] = {}
    for split, pictures in _opened(name).items():
        assert len(set(pictures.names)) == len(pictures.names) == len(pictures), f"{name}/{split}: names are not unique"
        assert all(pictures.names), f"{name}/{split}: a picture has no name"
        for i in [i for i, called in enumerate(pictures.names) if called in homes][:_LOOKED_AT]:
            other, j = homes[pictures.names[i]]
            known = same(pictures[i].target, _opened(name)[other][j].target)
            assert not known, f"{name}: the picture {pictures.names[i]} stands in {other} and in {split}"
        homes |= {called: (split, i) for i, called in enumerate(pictures.names)}


# -- small pictures that are held whole
def check_samples(name: str) -> None:
    """uint8, N x C x H x W of one size, with labels that its classes name; drawn by the given random numbers alone."""
    for split, found in _opened(name).items():
        where = f"{name}/{split}"
        assert found.x.dtype == torch.uint8, f"{where} holds {found.x.dtype}, not torch.uint8"
        assert found.x.ndim == 4, f"{where} has the shape {tuple(found.x.shape)}, not N x C x H x W"
        assert found.x.shape[1] in (1, 3), f"{where} has {found.x.shape[1]} channels, not 1 or 3"
        if found.labels is not None:
            assert found.labels.shape == (len(found),), f"{where} has {tuple(found.labels.shape)} labels for {len(found)} pictures"
            assert found.labels.dtype == torch.int64, f"{where} has labels of {found.labels.dtype}, not torch.int64"
            assert 0 <= found.labels.min(), f"{where} has a label below 0"
            assert found.labels.max() < len(found.classes), (
                f"{where} has {len(found.classes)} classes and the label {int(found.labels.max())}"
            )
        assert not found.groups or len(found.groups) == len(found), f"{where} has {len(found.groups)} groups for {len(found)} pictures"
        _check_draws(where, found)


def check_shared(name: str) -> None:
    """The test split is not the training split under another name: at most one in a hundred of its pictures is to be found there."""
    opened = _opened(name)
    seen = {x.numpy().tobytes() for x in opened["train"].x} if "train" in opened else set()
    tested = opened["test"].x if "test" in opened else []
    known = sum(x.numpy().tobytes() in seen for x in tested)
    assert known <= len(tested) / 100, f"{name}: {known} of {len(tested)} test pictures are training pictures, too"


# -- distributions
def check_points(name: str) -> None:
    """Points n x d, float32, drawn by the given random numbers alone, of a density that is known."""
    source = _source(name)
    _check_draws(name, source)
    points = source.draw(64, generator()).x
    assert points.ndim == 2, f"{name} draws {tuple(points.shape)}, not n x d"
    assert source.log_density(points).isfinite().all(), f"{name}: the density at its own points is 0 or not a number"
    assert source.log_density(points).shape == (64,), f"{name}: log_density gives {tuple(source.log_density(points).shape)} for 64 points"
    assert source.fingerprint() == _source(name).fingerprint(), f"{name}: the fingerprint changes"
    assert source.weights().sum().isclose(torch.ones((), dtype=torch.float64)), f"{name}: the shares of its components do not add up to 1"


def _check_draws(who: str, source: Any) -> None:
    with leaves_no_trace(f"{who}: draw"):
        first, again, other = (source.draw(32, generator(seed)) for seed in (0, 0, 1))
    assert isinstance(first, Samples), f"{who}: draw gives {type(first).__name__}, not Samples"
    assert first.x.dtype == torch.float32, f"{who}: draw gives {first.x.dtype}, not torch.float32"
    assert len(first) == 32, f"{who}: draw gives {len(first)} samples where 32 are asked for"
    assert same(first.x, again.x), f"{who}: the same generator draws other samples"
    assert not same(first.x, other.x), f"{who}: another generator draws the same samples"


_PICTURES: Checks = {"fingerprint": check_fingerprint, "names": check_names, "pictures": check_pictures}
_SAMPLES: Checks = {"fingerprint": check_fingerprint, "samples": check_samples, "splits": check_shared}


def checks_of(name: str) -> Checks:
    """Title -> check: of pictures that are read when asked for, of small pictures held whole, or of distributions of points."""
    part = registry.find("dataset", parse(name).name)
    if issubclass(part, Source):
        return _PICTURES
    return _SAMPLES if hasattr(part, "open") else {"points": check_points}
