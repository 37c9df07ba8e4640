"""The language of `checkpoints.toml`: sizes read from a file, patterns of keys written out, the list of tensors that a source has."""

from __future__ import annotations

import dataclasses
import fnmatch
import math
import re
from collections.abc import Iterator, Mapping, Sequence

Sizes = Mapping[str, int]
Shape = tuple[int, ...]

_KINDS: dict[str, tuple[tuple[str, str, int | None], ...]] = {  # (name there, name here, the axis of the shape that is its length)
    "conv": (("weight", "weight", None), ("bias", "bias", 0)),
    "up": (("weight", "weight", None), ("bias", "bias", 1)),
    "weight": (("weight", "weight", None),),
    "slope": (("weight", "weight", None),),
    "affine": (("weight", "weight", 0), ("bias", "bias", 0)),
    "norm": tuple((name, name, 0) for name in ("weight", "bias", "running_mean", "running_var")),
    "keras_conv": (("kernel", "weight", None), ("bias", "bias", -1)),
    "keras_norm": (
        ("gamma", "weight", 0),
        ("beta", "bias", 0),
        ("moving_mean", "running_mean", 0),
        ("moving_variance", "running_var", 0),
    ),
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One tensor of a source: its key and shape there, its key here (empty: not taken as it is), and how it is turned."""

    theirs: str
    shape: Shape
    ours: str
    turn: str


def measure(rule: str, shapes: Mapping[str, Shape]) -> int:
    """What a size is in a file with these shapes.

    Raises:
        LookupError: the file has no such tensor or axis.
        ValueError: it comes to no whole number.
    """
    if match := re.fullmatch(r"(half )?(?:(-?\d+) \+ )?count (\S+)", rule):
        found = int(match[2] or 0) + len(fnmatch.filter(shapes, match[3]))
        whole = found / (2 if match[1] else 1)
    elif match := re.fullmatch(r"(root )?(\d) of (\S+)", rule):
        found = shapes[match[3]][int(match[2])]
        whole = math.sqrt(found) if match[1] else found
    else:
        raise AssertionError(f"no rule for a size: {rule!r}")
    if whole != int(whole):
        raise ValueError(f"{rule} is {whole}")
    return int(whole)


def evaluate(text: str, sizes: Sizes) -> int:
    """A sum of products of numbers and letters, such as "4*w" or "d-5-i"."""
    return sum(
        (-1 if sign == "-" else 1) * math.prod(sizes[part] if part in sizes else int(part) for part in product.split("*"))
        for sign, product in re.findall(r"([+-]?)([\w*]+)", text)
    )


def write_out(pattern: str, sizes: Sizes) -> str:
    """A key with its braces filled in: {10+i}, or {text^times}."""

    def fill(match: re.Match[str]) -> str:
        text, power, times = match[1].rpartition("^")
        return text * evaluate(times, sizes) if power else str(evaluate(match[1], sizes))

    return re.sub(r"\{([^}]*)\}", fill, pattern)


def repeat(head: str, sizes: Sizes) -> Iterator[tuple[str, Sizes]]:
    """("conv", sizes with i) for each i of "conv*n"; once where there is no star."""
    name, star, times = head.partition("*")
    for i in range(evaluate(times, sizes) if star else 1):
        yield name, {**sizes, "i": i}


def entries(layers: Sequence[Sequence[str]], sizes: Sizes) -> list[Entry]:
    """Every tensor of a source with these sizes."""
    found = []
    for head, theirs, ours, shape, *turn in layers:
        for kind, here in repeat(head, sizes):
            whole = tuple(evaluate(side, here) for side in shape.split(","))
            there, place = write_out(theirs, here), write_out(ours, here)
            for name, own, axis in _KINDS[kind]:
                length = whole if axis is None else (whole[axis],)
                found.append(Entry(f"{there}.{name}", length, f"{place}.{own}" if ours else "", turn[0] if turn else ""))
    return found
