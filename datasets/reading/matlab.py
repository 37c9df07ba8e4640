"""Numbers and structs of MATLAB's MAT files, level 5 (versions 5 to 7): "MAT-File Format", The MathWorks.

scipy reads more kinds, but a damaged file can make it crash the process.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_MATRIX, _COMPRESSED = 14, 15  # kinds of elements
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_STRUCT, _NUMERIC = 2, range(6, 16)  # classes of matrices
_MOST = 1 << 26  # bytes that a compressed element may unfold to
_DEEPEST = 10  # structs inside one another


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a file: arrays of numbers; structs as a list of records, in MATLAB's order; None for any other kind.

    Raises:
        ValueError, LookupError, struct.error, zlib.error: the file is damaged.
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    if data[126:128] not in (b"IM", b"MI"):
        raise ValueError("it is no MAT file of version 5 to 7")
    order = "<" if data[126:128] == b"IM" else ">"
    variables = (_unfolded(kind, content, order) for kind, content in _elements(data[128:], order))
    return dict(_matrix(content, order) for kind, content in variables if kind == _MATRIX)


def _unfolded(kind: int, content: bytes, order: str) -> tuple[int, bytes]:
    if kind != _COMPRESSED:
        return kind, content
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(content, _MOST)
    if not unpacker.eof:
        raise ValueError(f"a variable is cut or unfolds to more than {_MOST:,} bytes")
    return next(_elements(content, order))


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(kind, content): a tag of 8 bytes and the content, padded to 8; up to 4 bytes of content lie within the tag."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        start, padded = at + 8, size if kind == _COMPRESSED else size + -size % 8
        if kind >> 16:
            kind, size, start, padded = kind & 0xFFFF, kind >> 16, at + 4, 0
        if start + size > len(data) or (not padded and size > 4):
            raise ValueError("an element is longer than the file")
        yield kind, data[start : start + size]
        at += 8 + padded


def _matrix(data: bytes, order: str, depth: int = 0) -> tuple[str, Any]:
    """The name and the value of one matrix."""
    if depth > _DEEPEST:
        raise ValueError(f"more than {_DEEPEST} structs inside one another")
    if not data:
        return "", np.zeros((0, 0))
    (_, flags), (_, dims), (_, name), *rest = _elements(data, order)
    shape, kind = np.frombuffer(dims, f"{order}i4").tolist(), int(np.frombuffer(flags, f"{order}u4")[0]) & 0xFF
    if min(shape) < 0:
        raise ValueError(f"a variable has {shape} values")
    value: Any = None
    if kind == _STRUCT:
        value = _records(rest, math.prod(shape), order, depth)
    elif kind in _NUMERIC:
        value = np.frombuffer(rest[0][1], order + _NUMBERS[rest[0][0]]).reshape(shape, order="F")
    return name.decode("latin-1"), value


def _records(elements: list[tuple[int, bytes]], count: int, order: str, depth: int) -> list[dict[str, Any]]:
    (_, width), (_, names), *fields = elements
    step = int(np.frombuffer(width, f"{order}i4")[0])
    keys = [names[i : i + step].partition(b"\0")[0].decode("latin-1") for i in range(0, len(names), step)]
    if not keys or len(fields) != count * len(keys):
        raise ValueError(f"{len(fields)} fields for {count} records of {len(keys)}")
    values = [_matrix(content, order, depth + 1)[1] for _, content in fields]
    return [dict(zip(keys, values[i : i + len(keys)], strict=True)) for i in range(0, len(values), len(keys))]
