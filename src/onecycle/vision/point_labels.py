"""From images to their points: where the labels are, and whether they can be right."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np

from onecycle.data.items import ITEM, LABEL, Part
from onecycle.data.label import Labeller
from onecycle.data.numbers import column_of_numbers
from onecycle.errors import DataError, some
from onecycle.vision.decode import original_size
from onecycle.vision.points import Points

PointSource = Callable[[Path], Any] | Sequence[str] | Literal["all"]
# Points are compared with the size of their images for at most so many items: each file has to be opened.
SAMPLE = 5000


def points_labeller(points: PointSource, part: Part) -> Labeller:
    """Return the function from a part to lists of [x, y], see `label_points`."""
    if callable(points):
        function = points
        return lambda part: _same_count(part, [_called(function, part.locate(name)) for name in part.names()])
    columns = _columns(points, part)

    def labeller(part: Part) -> list[Any]:
        values = [column_of_numbers(part, column) for column in columns]
        return [_pairs(row) for row in zip(*values, strict=True)]

    return labeller


def point_names(points: PointSource, names: Sequence[str] | None, part: Part, count: int) -> list[str]:
    """Return the points' names: as given, from their columns where these say so, or numbers."""
    if names is not None:
        if len(names) != count or len(set(names)) < count:
            raise DataError(
                f"names= has {len(set(names))} different names, but there are {count} points.",
                "a name of its own for each point.",
                "check names=.",
            )
        return list(names)
    if callable(points):
        return [str(number) for number in range(count)]
    across, down = _columns(points, part)[::2], _columns(points, part)[1::2]
    stems = [_stem(x, y) for x, y in zip(across, down, strict=True)]
    return stems if all(stems) and len(set(stems)) == count else [str(number) for number in range(count)]


def check_points(target: Points, items: Iterable[tuple[str, list[list[float]]]]) -> None:
    """Warn, once, of points outside their images and of items without any point."""
    every = list(items)
    empty = [path for path, points in every if np.isnan(np.array(points, np.float64)).all()]
    if empty:
        warnings.warn(f"{len(empty):,} items have no point at all: {some(empty, 3)}. They teach nothing.", stacklevel=3)
    chosen = [every[int(i)] for i in np.linspace(0, len(every) - 1, min(SAMPLE, len(every)))]

    def outside(item: tuple[str, list[list[float]]]) -> int:
        path, points = item
        try:
            height, width = original_size(path)
        except DataError:
            return 0  # reading it will tell
        x, y = np.array(points, np.float64).T
        return int(((x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)).sum())

    with ThreadPoolExecutor() as pool:
        counts = list(pool.map(outside, chosen))
    if any(counts):
        where = [path for (path, _), count in zip(chosen, counts, strict=True) if count]
        among = "" if len(chosen) == len(every) else f" of {len(chosen):,} looked at"
        warnings.warn(
            f"{sum(counts):,} points lie outside their image, in {len(where):,} items{among}: {some(where, 3)}. "
            "They are kept.",
            stacklevel=3,
        )


def labelled(part: Part, labels: Sequence[Any]) -> Iterable[tuple[str, Any]]:
    """Yield each item's path with its label."""
    return ((part.locate(name), label) for name, label in zip(part.names(), labels, strict=True))


def _columns(points: Sequence[str] | Literal["all"], part: Part) -> list[str]:
    if points == "all":
        columns = [name for name in part.table.column_names if name not in (ITEM, LABEL)][1:]
    else:
        columns = [points] if isinstance(points, str) else list(points)
    if not columns or len(columns) % 2:
        raise DataError(
            f"{len(columns)} columns of coordinates: {some(columns)}.",
            "an even number, x and y of each point in turn.",
            'pass points=["x0", "y0", "x1", "y1"].',
        )
    return columns


def _stem(x: str, y: str) -> str:
    """Return what two columns have in common, such as "nose" of "nose_x" and "nose_y"; else nothing."""
    for mark in ("x", "X"):
        for place in (x.rfind(mark), x.find(mark)):
            if place >= 0 and x[:place] + ("y" if mark == "x" else "Y") + x[place + 1 :] == y:
                return (x[:place] + x[place + 1 :]).strip("_-. ")
    return ""


def _called(function: Callable[[Path], Any], path: str) -> list[list[float]]:
    try:
        given = function(Path(path))
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"The point function failed on {path}: {type(error).__name__}: {error}.",
            "a list of (x, y) for every image.",
            "mend the function.",
        ) from error
    try:
        array = np.asarray(given, np.float64)
        if array.shape == (2,):
            array = array[None]
        if array.ndim != 2 or array.shape[1] != 2 or not len(array):
            raise ValueError
    except (TypeError, ValueError):
        raise DataError(
            f"The point function gave {given!r} for {path}.",
            "a list of (x, y), such as [(10.5, 20.0)]; (nan, nan) for a missing point.",
            "mend the function.",
        ) from None
    return _pairs(array.ravel().tolist())


def _pairs(values: Sequence[float]) -> list[list[float]]:
    """Return x and y in pairs; a point of which one is missing is missing."""
    finite = [value if math.isfinite(value) else math.nan for value in values]
    pairs = [[x, y] for x, y in zip(finite[::2], finite[1::2], strict=True)]
    return [[math.nan, math.nan] if math.isnan(x) or math.isnan(y) else [x, y] for x, y in pairs]


def _same_count(part: Part, labels: list[list[list[float]]]) -> list[list[list[float]]]:
    odd = next((row for row, points in enumerate(labels) if len(points) != len(labels[0])), None)
    if odd is not None:
        raise DataError(
            f"{part.names()[odd]} has {len(labels[odd])} points, {part.names()[0]} has {len(labels[0])}.",
            "the same number of points in every image.",
            "return (nan, nan) for points that are missing.",
        )
    return labels
