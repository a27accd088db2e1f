"""Labels of points: reads them from columns or functions, and checks them against the images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from onecycle.data.labellers import Labeller
from onecycle.data.numbers import column_of_numbers
from onecycle.data.rows import Rows
from onecycle.data.tables import RESERVED
from onecycle.errors import DataError, counted, some, users_level
from onecycle.vision.decode import original_size
from onecycle.vision.read_options import ReadOptions
from onecycle.vision.spread import spread_over

PointSource = Callable[[Path], Any] | Sequence[str] | Literal["all"]
# For at most this many items, points are compared with the size of their image: each file has to be opened.
SAMPLE = 5000


def points_labeller(points: PointSource, rows: Rows) -> Labeller:
    """Return the function from items to lists of [x, y], see `label_points`."""
    if callable(points):
        function = points
        return lambda rows: _check_same_count(rows, [_call(function, rows.locate(name)) for name in rows.names()])
    columns = _coordinate_columns(points, rows)

    def labeller(rows: Rows) -> list[Any]:
        values = [column_of_numbers(rows, column) for column in columns]
        return [_pairs(row) for row in zip(*values, strict=True)]

    return labeller


def point_names(points: PointSource, names: Sequence[str] | None, rows: Rows, count: int) -> list[str]:
    """Return the points' names: `names`, else what the columns of each point have in common, else numbers."""
    if names is not None:
        if len(names) != count or len(set(names)) < count:
            raise DataError(
                f"names= has {len(set(names))} different names, but there are {count} points.",
                "a different name for each point.",
                "check names=.",
            )
        return list(names)
    if callable(points):
        return [str(number) for number in range(count)]
    x_columns, y_columns = _coordinate_columns(points, rows)[::2], _coordinate_columns(points, rows)[1::2]
    found = [_common_name(x, y) for x, y in zip(x_columns, y_columns, strict=True)]
    return found if all(found) and len(set(found)) == count else [str(number) for number in range(count)]


class LabelledItem(NamedTuple):
    """An image with its points.

    Attributes:
        name: Its path, or what else it is called.
        read: Returns what it is read from.
        points: (x, y) of each point.
    """

    name: str
    read: Callable[[], Any]
    points: list[list[float]]


def check_points(items: Sequence[LabelledItem], reading: ReadOptions) -> None:
    """Warn about items without any point, and about points outside their image.

    Args:
        items: The images with their points.
        reading: How images are read, which decides about their size.
    """
    empty = [one.name for one in items if np.isnan(np.array(one.points, np.float64)).all()]
    if empty:
        warnings.warn(
            f"{counted(len(empty), 'item', ('has', 'have'))} no points: {some(empty, 3)}. Nothing is learnt from them.",
            stacklevel=users_level(),
        )
    chosen = spread_over(items, SAMPLE)

    def count_outside(item: LabelledItem) -> int:
        try:
            height, width = original_size(item.read(), reading)
        except DataError:
            return 0  # the error comes up when the image is read
        x, y = np.array(item.points, np.float64).T
        return int(((x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)).sum())

    with ThreadPoolExecutor() as pool:
        counts = list(pool.map(count_outside, chosen))
    if any(counts):
        paths = [one.name for one, count in zip(chosen, counts, strict=True) if count]
        among = "" if len(chosen) == len(items) else f" of {len(chosen):,} that were checked"
        warnings.warn(
            f"{counted(sum(counts), 'point', ('is', 'are'))} outside their image, in {counted(len(paths), 'item')}"
            f"{among}: {some(paths, 3)}. They are kept.",
            stacklevel=users_level(),
        )


def labelled_items(rows: Rows, labels: Sequence[Any]) -> Iterable[LabelledItem]:
    """Yield each item with its label."""
    numbered = enumerate(zip(rows.names(), labels, strict=True))
    return (LabelledItem(rows.locate(name), partial(rows.input, row), label) for row, (name, label) in numbered)


def _coordinate_columns(points: Sequence[str] | Literal["all"], rows: Rows) -> list[str]:
    if points == "all":
        named = [name for name in rows.table.column_names if name not in RESERVED]
        columns = named if rows.shards is not None else named[1:]  # the first one names the images
    else:
        columns = [points] if isinstance(points, str) else list(points)
    if not columns or len(columns) % 2:
        raise DataError(
            f"{counted(len(columns), 'column')} of coordinates: {some(columns)}.",
            "an even number of columns, x and y of each point.",
            'pass points=["x0", "y0", "x1", "y1"].',
            shell_fix="pass --column x0,y0,x1,y1, or --task numbers.",
        )
    return columns


def _common_name(x: str, y: str) -> str:
    """Return what two columns' names have in common, such as "nose" for "nose_x" and "nose_y"; else ""."""
    for letter in ("x", "X"):
        for position in (x.rfind(letter), x.find(letter)):
            other = "y" if letter == "x" else "Y"
            if position >= 0 and x[:position] + other + x[position + 1 :] == y:
                return (x[:position] + x[position + 1 :]).strip("_-. ")
    return ""


def _call(function: Callable[[Path], Any], path: str) -> list[list[float]]:
    try:
        result = function(Path(path))
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"The point function failed for {path}: {type(error).__name__}: {error}.",
            "a list of (x, y) for every image.",
            "fix the function.",
        ) from error
    try:
        array = np.asarray(result, np.float64)
        if array.shape == (2,):
            array = array[None]
        if array.ndim != 2 or array.shape[1] != 2 or not len(array):
            raise ValueError
    except (TypeError, ValueError):
        raise DataError(
            f"The point function returned {result!r} for {path}.",
            "a list of (x, y), such as [(10.5, 20.0)]; (nan, nan) for a missing point.",
            "fix the function.",
        ) from None
    return _pairs(array.ravel().tolist())


def _pairs(values: Sequence[float]) -> list[list[float]]:
    """Return x and y in pairs; a point with a missing coordinate is missing."""
    finite = [value if math.isfinite(value) else math.nan for value in values]
    pairs = [[x, y] for x, y in zip(finite[::2], finite[1::2], strict=True)]
    return [[math.nan, math.nan] if math.isnan(x) or math.isnan(y) else [x, y] for x, y in pairs]


def _check_same_count(rows: Rows, labels: list[list[list[float]]]) -> list[list[list[float]]]:
    different = next((row for row, points in enumerate(labels) if len(points) != len(labels[0])), None)
    if different is not None:
        raise DataError(
            f"{rows.names()[different]} has {len(labels[different])} points, {rows.names()[0]} has {len(labels[0])}.",
            "the same number of points in every image.",
            "return (nan, nan) for points that are missing.",
        )
    return labels
