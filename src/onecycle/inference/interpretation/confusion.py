"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from onecycle.calls import explains_calls
from onecycle.errors import check_count
from onecycle.inference.interpretation.result import Result

if TYPE_CHECKING:
    from onecycle.figure import Picture

# Classes whose names can be read along both sides of a picture.
READABLE = 25


@explains_calls
@dataclass(frozen=True, repr=False)
class ConfusionMatrix(Result):
    """How often each class was predicted as each: the table has a row for each pair that occurred.

    Attributes:
        classes: Names, in the order of the matrix.
        matrix: By true class (rows) and predicted class (columns), int64, (classes, classes).

    Example:
        >>> found = confusion_result(("cat", "dog"), np.array([[3, 1], [0, 2]]), "items")
        >>> found.table.to_pylist()[1]
        {'label': 'cat', 'prediction': 'dog', 'items': 1}
    """

    classes: tuple[str, ...] = ()
    matrix: NDArray[np.int64] | None = None

    def of_most_confused(self, count: int = READABLE) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Return the part of the matrix that can be read: the classes with the most confusions, and "others".

        Example:
            >>> matrix = np.array([[3, 1, 0], [0, 2, 0], [0, 0, 9]])
            >>> confusion_result(("a", "b", "c"), matrix, "items").of_most_confused(2)
            (('a', 'b', 'others'), array([[3, 1, 0],
                   [0, 2, 0],
                   [0, 0, 9]]))
        """
        check_count(count, "classes")
        assert self.matrix is not None
        if len(self.classes) <= count:
            return self.classes, self.matrix
        chosen = _most_confused_classes(self.matrix, count)
        groups = np.full(len(self.classes), count)
        groups[chosen] = range(count)
        part = np.zeros((count + 1, count + 1), np.int64)
        np.add.at(part, (groups[:, None], groups[None, :]), self.matrix)
        return (*(self.classes[number] for number in chosen), "others"), part


def confusion_result(classes: Sequence[str], matrix: NDArray[np.int64], what: str) -> ConfusionMatrix:
    """Return a confusion matrix; `what` it counts, such as "items", is the name of its last column."""
    true, predicted = matrix.nonzero()
    names = np.array(classes, object)
    table = pa.table({
        "label": pa.array(names[true], pa.string()),
        "prediction": pa.array(names[predicted], pa.string()),
        what: matrix[true, predicted],
    })  # fmt: skip
    wrong = matrix.sum() - matrix.diagonal().sum()
    note = f"{wrong:,} of {matrix.sum():,} {what} are predicted as another class."
    result = ConfusionMatrix(table, "Confusion matrix", note, None, tuple(classes), matrix)
    object.__setattr__(result, "draw", lambda: _draw(result))
    return result


class Pairs(NamedTuple):
    """Pairs of classes: their numbers, and a table of them."""

    numbers: list[tuple[int, int]]
    table: pa.Table


def confused_pairs(classes: Sequence[str], matrix: NDArray[np.int64], count: int, what: str = "count") -> Pairs:
    """Return the pairs that were taken for each other most often, most often first.

    Example:
        >>> confused_pairs(("cat", "dog"), np.array([[3, 1], [0, 2]]), 5).table.to_pylist()
        [{'label': 'cat', 'prediction': 'dog', 'count': 1, 'share': 0.25}]
    """
    check_count(count, "pairs")
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    numbers = [(int(true), int(said)) for true, said in zip(*np.unravel_index(order, wrong.shape), strict=True)]
    numbers = [pair for pair in numbers if wrong[pair] > 0]
    table = pa.table({
        "label": pa.array([classes[true] for true, _ in numbers], pa.string()),
        "prediction": pa.array([classes[predicted] for _, predicted in numbers], pa.string()),
        what: pa.array([int(wrong[pair]) for pair in numbers], pa.int64()),
        "share": pa.array([float(wrong[pair] / matrix[pair[0]].sum()) for pair in numbers], pa.float64()),
    })  # fmt: skip
    return Pairs(numbers, table)


def _most_confused_classes(matrix: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the classes with the most confusions, those that are taken for each other side by side."""
    wrong = matrix + matrix.T
    np.fill_diagonal(wrong, 0)
    left = list(np.argsort(-wrong.sum(1), kind="stable")[:count])
    ordered = [left.pop(0)]
    while left:
        nearest = max(left, key=lambda number: wrong[ordered[-1], number])
        left.remove(nearest)
        ordered.append(nearest)
    return np.array(ordered)


def _draw(result: ConfusionMatrix) -> Picture:
    from onecycle.figure import Picture

    classes, matrix = result.of_most_confused()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = 2.2 + 0.32 * len(classes)
    figure = Picture(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=90, fontsize=8, parse_math=False)
    axes.set_yticks(range(len(classes)), classes, fontsize=8, parse_math=False)
    axes.set(xlabel="predicted", ylabel="label")
    for row, column in zip(*matrix.nonzero(), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        text = f"{matrix[row, column]}" if matrix.max() < 10_000 else f"{shares[row, column]:.0%}"
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    return figure.ready()
