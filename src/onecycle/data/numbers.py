"""Numbers to predict: ages, prices, angles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from onecycle.data.decoding import by_name
from onecycle.data.rows import Rows
from onecycle.data.target import Target
from onecycle.errors import DataError, counted, some
from onecycle.losses import SmoothL1
from onecycle.registry import register


@register("target", "numbers")
@dataclass(frozen=True)
class Numbers(Target):
    """One number or several, standardised so that columns of any unit count equally in the loss.

    Attributes:
        classes: The columns' names, in the order of the outputs.
        mean: Of each column, over the training items.
        std: Their standard deviation.

    Example:
        >>> ages = Numbers.standardised(["age"], [[20.0], [40.0]])
        >>> ages.encode([40.0]), ages.decode(torch.tensor([1.0]))
        (tensor([1.]), {'age': 40.0})
    """

    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    kind: ClassVar[str] = "numbers"
    default_metrics: ClassVar[tuple[str, ...]] = ("mae", "r2")
    mixable: ClassVar[bool] = True
    label_type: ClassVar[pa.DataType] = pa.list_(pa.float64())

    @classmethod
    def standardised(cls, names: Sequence[str], labels: Sequence[Sequence[float]]) -> Numbers:
        """Return the target for columns called `names` whose training rows are `labels`.

        Raises:
            DataError: A column holds one number only.
        """
        values = np.array(labels, np.float64).reshape(-1, len(names))
        mean, std = values.mean(axis=0), values.std(axis=0)
        constant = [name for name, spread in zip(names, std, strict=True) if not spread > 0]
        if constant:
            raise DataError(
                f"All training rows hold the same number in column {some(constant)}.",
                "numbers that differ.",
                "leave the column out, or check how the items are split.",
            )
        return cls(tuple(names), tuple(mean.tolist()), tuple(std.tolist()))

    @property
    def summary(self) -> str:
        columns = zip(self.classes, self.mean, self.std, strict=True)
        return f"Numbers, {len(self.classes)}: {some((f'{name} ({m:.4g} ± {s:.4g})' for name, m, s in columns), 12)}"

    def encode(self, label: Sequence[float]) -> Tensor:
        """Return the numbers less their mean, by their standard deviation, float32, (columns,)."""
        return ((torch.tensor(label, dtype=torch.float64) - torch.tensor(self.mean)) / torch.tensor(self.std)).float()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        numbers = super().from_config(config)
        if not len(numbers.classes) == len(numbers.mean) == len(numbers.std) or not all(x > 0 for x in numbers.std):
            raise DataError(
                f"{len(numbers.classes)} columns, {len(numbers.mean)} means, deviations {some(numbers.std)}.",
                "a mean and a standard deviation above 0 for each column.",
                "export the model again.",
            )
        return numbers

    def activate(self, outputs: Tensor) -> Tensor:
        return outputs.float()

    def decode(self, prediction: Tensor, geometry: Tensor | None = None) -> dict[str, float]:
        """Return each column's number, in its own unit."""
        return by_name(self.classes, self.in_own_units(prediction))

    def metric_inputs(self, predictions: Tensor, targets: Tensor, geometries: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return both in the columns' own units."""
        return self.in_own_units(predictions), self.in_own_units(targets)

    def in_own_units(self, values: Tensor) -> Tensor:
        """Return standardised numbers, (..., columns), in the columns' own units."""
        return values * values.new_tensor(self.std) + values.new_tensor(self.mean)

    def loss(self, *, smoothing: float = 0.0) -> nn.Module:
        """Smooth L1 of the standardised numbers; there is nothing to smooth in a label."""
        return SmoothL1(beta=0.5)

    def columns(self, predictions: Tensor, decoded: Sequence[dict[str, float]]) -> dict[str, Any]:
        return {"prediction": pa.array([list(one.values()) for one in decoded], self.label_type)}

    def cells(self, label: Sequence[float] | dict[str, float]) -> dict[str, Any]:
        values = label.values() if isinstance(label, dict) else label
        return dict(zip(self.classes, values, strict=True))

    def caption(self, label: Sequence[float] | dict[str, float]) -> str:
        """Name and number, such as "age 31.2"."""
        return ", ".join(f"{name} {value:.4g}" for name, value in self.cells(label).items())


def numbers_labeller(
    columns: str | Sequence[str] | Callable[[Path], Any], names: Sequence[str] | None, rows: Rows
) -> tuple[Callable[[Rows], list[Any]], Sequence[str]]:
    """Return a function from rows to a list of numbers a row, from columns or from a function, and their names.

    Raises:
        DataError: There are not as many names as numbers.
    """
    if not callable(columns):
        listed = (columns,) if isinstance(columns, str) else tuple(columns)
        return lambda rows: numbers_from(rows, listed), _checked_names(names or listed, len(listed))
    count = len(_numbers_of(columns, rows.located()[0])) if len(rows) else 1
    usual = ["number"] if count == 1 else [f"number {place}" for place in range(1, count + 1)]
    return lambda rows: [_numbers_of(columns, path) for path in rows.located()], _checked_names(names or usual, count)


def _checked_names(names: Sequence[str], count: int) -> Sequence[str]:
    if len(names) != count:
        raise DataError(f"{len(names)} names for {count} numbers.", "a name for each.", "check names=.")
    return names


def _numbers_of(function: Callable[[Path], Any], path: str) -> list[float]:
    try:
        return [float(value) for value in np.atleast_1d(function(Path(path)))]
    except Exception as error:
        raise DataError(
            f"The label function failed on {path}: {type(error).__name__}: {error}.",
            "a number, or a list of numbers, for every item.",
            "fix the function, or leave the item out.",
        ) from error


def numbers_from(rows: Rows, names: Sequence[str]) -> list[list[float]]:
    """Read the numbers of columns, a row an item.

    Raises:
        DataError: There is no such column, or a value is missing or no number.
    """
    columns = [column_of_numbers(rows, name) for name in names]
    for name, values in zip(names, columns, strict=True):
        lacking = [item for item, value in zip(rows.names(), values, strict=True) if not np.isfinite(value)]
        if lacking:
            raise DataError(
                f"{counted(len(lacking), 'row', ('has', 'have'))} no number in column {name!r}: {some(lacking)}.",
                "a finite number in every row.",
                "fill or remove those rows.",
            )
    return [list(row) for row in zip(*columns, strict=True)]


def column_of_numbers(rows: Rows, name: str) -> list[float]:
    """Return a column as floats; what is missing is NaN.

    Raises:
        DataError: There is no such column, or a value is not a number.
    """
    numbers, wrong = [], []
    for item, value in zip(rows.names(), rows.column(name).to_pylist(), strict=True):
        text = "" if value is None else str(value).strip()
        try:
            numbers.append(float(text) if text else float("nan"))
        except ValueError:
            wrong.append(f"{text!r} ({item})")
    if wrong:
        raise DataError(
            f"Not numbers in column {name!r}: {counted(len(wrong), 'value')}, {some(wrong)}.",
            "numbers, such as 3.5.",
            "fix them, or name another column.",
        )
    return numbers
