"""What networks that only draw pictures ask of a task."""

from __future__ import annotations

from bench.errors import Unavailable


def coarsest(shape: tuple[int, ...]) -> tuple[int, int]:
    """The side of the coarsest map of a convolutional pyramid, 4 to 7 pixels where it can be, and the doublings from there to the picture.

    Args:
        shape: of a sample: 64 x 64 gives (4, 4), 32 x 32 (4, 3), 28 x 28 (7, 2).

    Raises:
        Unavailable: the samples are not square pictures.
    """
    side, doublings = picture_side(shape), 0
    while side > 7 and side % 2 == 0:
        side, doublings = side // 2, doublings + 1
    return side, doublings


def picture_side(shape: tuple[int, ...], multiple: int = 1) -> int:
    """The side of a square picture.

    Raises:
        Unavailable: the samples are not square pictures, or the side is not a multiple of `multiple`.
    """
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] % multiple:
        wanted = "square pictures" + (f" with a side that {multiple} divides" if multiple > 1 else "")
        raise Unavailable(f"its networks draw {wanted}; the samples of this task have shape {tuple(shape)}")
    return shape[1]
