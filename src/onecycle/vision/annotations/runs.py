"""Masks as runs of equal pixels, in the ways of COCO, Label Studio's brush and CVAT."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def decompressed(counts: str) -> list[int]:
    """Return the runs of COCO's compressed text: 5 bits a letter, from the fourth run on as a change.

    Raises:
        ValueError: It is not such a text.
    Example:
        >>> decompressed("235")
        [2, 3, 5]
    """
    runs: list[int] = []
    value = shift = 0
    for letter in counts:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{letter!r} is no letter of a compressed mask")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs


def runs_of(covered: NDArray[np.bool_]) -> list[int]:
    """Return a bitmap, (height, width), as COCO's runs: lengths of 0, 1, 0, ... column by column.

    Example:
        >>> runs_of(np.array([[0, 1], [0, 1]], bool))
        [2, 2]
    """
    flat = covered.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=np.False_))
    return [int(length) for length in np.diff(np.concatenate([[0], edges, [flat.size]]))]


def bitmap(runs: Iterable[int], height: int, width: int) -> NDArray[np.bool_]:
    """Return the bitmap of runs of 0, 1, 0, ... row by row, as CVAT has them.

    Raises:
        ValueError: They are not of this size.
    Example:
        >>> bitmap([1, 2, 1], 2, 2).tolist()
        [[False, True], [True, False]]
    """
    lengths = np.array(list(runs), np.int64)
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"runs of {lengths.sum()} pixels for {width}x{height}")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(height, width)


def brush_bitmap(data: Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """Return the bitmap that Label Studio's brush writes: red, green, blue and alpha of each pixel, as packed runs.

    The bits are 32 for the count of values, 5 for their size less 1, four times 4 for sizes of lengths less 1; then
    each run has 1 bit for whether its values are equal, 2 for the size of its length, its length less 1, and one value
    or as many as it is long.

    Raises:
        ValueError: It is not such a mask of this size.
    Source: github.com/thi-ng/umbrella, packages/rle-pack, which Label Studio writes with.
    """
    bits = "".join(f"{byte:08b}" for byte in bytes(data))
    place = 0

    def read(count: int) -> int:
        nonlocal place
        place += count
        if place > len(bits):
            raise ValueError("it ends early")
        return int(bits[place - count : place], 2)

    count, size = read(32), read(5) + 1
    if count != height * width * 4:
        raise ValueError(f"{count} values for {width}x{height} pixels")
    lengths = [read(4) + 1 for _ in range(4)]
    values = np.zeros(count, np.uint8)
    done = 0
    while done < count:
        equal = read(1)
        end = done + read(lengths[read(2)]) + 1
        values[done:end] = read(size) if equal else [read(size) for _ in range(min(end, count) - done)]
        done = end
    return np.asarray(values.reshape(height, width, 4)[..., 3] > 0)
