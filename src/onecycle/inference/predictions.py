"""Predictions of many items as a table."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from onecycle.calls import explains_calls
from onecycle.data.arrow_results import ArrowResult
from onecycle.data.categories import ClassTarget
from onecycle.data.preview import html_of_table
from onecycle.data.target import Target
from onecycle.errors import DataError, check_count, counted
from onecycle.inference.item_names import short_names
from onecycle.notebook import html_lines


@explains_calls
@dataclass(frozen=True, repr=False)
class Predictions(ArrowResult):
    """Predictions for many items, as an Arrow table; pandas, polars and pyarrow take it as it is.

    Attributes:
        table: Columns: item, prediction, where known label and loss; for classes confidence and a probability a class;
            set where `sets=` was passed; unfamiliar and unfamiliarity of models that can tell.
        target: What the predictions mean.

    Example:
        >>> predictions = learner.predict_all()
        >>> len(predictions), predictions.table.column_names[:4]
        (6, ['item', 'label', 'prediction', 'confidence'])
    """

    table: pa.Table
    target: Target

    def __repr__(self) -> str:
        return f"Predictions: {counted(len(self), 'item')}, columns {', '.join(self.table.column_names[:5])}, ..."

    def _repr_html_(self) -> str:
        return html_lines(repr(self)) + html_of_table(self.table, "item")

    @property
    def probabilities(self) -> Tensor:
        """(items, classes), float32."""
        names = [f"p({name})" for name in self.target.classes]
        if not names or names[0] not in self.table.column_names:
            raise DataError(
                f"Predictions of {self.target.kind} are no probabilities.", "categories or tags.", "use table."
            )
        columns = [self.table[name].to_numpy() for name in names]
        return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))

    def to_csv(
        self,
        path: str | Path,
        *,
        name: str = "image_name",
        label: str | None = None,
        suffix: bool = False,
        names: Sequence[str] | None = None,
        how_sure: bool = False,
    ) -> None:
        """Write a row an item, as competitions ask for: its name and the prediction (tags separated by spaces).

        Where `sets=` was passed, a last column has the classes of each set, separated by semicolons. A name is the
        file's, without its folders where they are not needed to tell items apart.

        Args:
            path: The file; missing folders above it are made.
            name: Header of the first column.
            label: Header of the second, where there are two; None takes "label" or "tags".
            suffix: Keep the file's suffix in its name.
            names: What to write in the first column; None writes short names of the items.
            how_sure: Write the columns `confidence` and `unfamiliar` too, where there are such.
        """
        rows = [self.target.cells(prediction) for prediction in self.table["prediction"].to_pylist()]
        headers = list(rows[0] if rows else self._cells_of_zeros() if self.target.classes else ["label"])
        if label is not None and len(headers) == 1:
            headers = [label]
        written = short_names(self.table["item"].to_pylist(), suffix=suffix) if names is None else names
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        wanted = [*(["confidence", "unfamiliar"] if how_sure else []), "set"]
        more = [column for column in wanted if column in self.table.column_names]
        beside = [[_cell(value) for value in self.table[column].to_pylist()] for column in more]
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([name, *headers, *more])
            for item, row, *cells in zip(written, rows, *beside, strict=True):
                writer.writerow([item, *row.values(), *cells])

    def _cells_of_zeros(self) -> dict[str, Any]:
        """Return the cells of any prediction, for the headers of a table without rows."""
        return self.target.cells(self.target.decode(self.target.activate(torch.zeros(1, self.target.outputs))[0]))

    def save_masks(self, folder: str | Path) -> list[Path]:
        """Write each mask as a PNG whose values are those of the training masks, named after its image.

        Images of the same name in several folders keep these.

        Raises:
            DataError: These are not masks.
        """
        if not pa.types.is_binary(self.table["prediction"].type):
            raise DataError(f"The predictions are {self.target.kind}.", "masks.", "use to_csv().")
        Path(folder).mkdir(parents=True, exist_ok=True)
        paths = []
        names = short_names(self.table["item"].to_pylist())
        for name, png in zip(names, self.table["prediction"].to_pylist(), strict=True):
            paths.append(Path(folder) / f"{name.lstrip('/')}.png")
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            paths[-1].write_bytes(png)
        return paths

    def mistakes(self) -> Predictions:
        """Return those whose prediction is not their label; of masks, points and numbers, which never fit, all."""
        if not isinstance(self.target, ClassTarget):
            return self
        if "label" not in self.table.column_names:
            raise _no_labels()
        pairs = zip(self.table["label"].to_pylist(), self.table["prediction"].to_pylist(), strict=True)
        wrong = [set(label) != set(said) if isinstance(label, list) else label != said for label, said in pairs]
        return replace(self, table=self.table.filter(pa.array(wrong, pa.bool_())))

    def worst(self, count: int = 12, *, mistakes: bool = False) -> pa.Table:
        """Return the items with the highest loss, worst first.

        Args:
            count: How many, at most.
            mistakes: Of classes and tags, only those that were not predicted as they are labelled.
        """
        if "loss" not in self.table.column_names:
            raise _no_labels()
        check_count(count)
        table = self.mistakes().table if mistakes else self.table
        return table.sort_by([("loss", "descending")]).slice(0, count)


def _cell(value: Any) -> Any:
    """Return a value as a CSV file has it: a set of classes with semicolons, a probability with four digits."""
    return ";".join(value) if isinstance(value, list) else f"{value:.4f}" if isinstance(value, float) else value


def _no_labels() -> DataError:
    return DataError("These items have no labels.", "labelled items.", "use the validation items.")


def predictions_table(
    names: Sequence[str],
    predictions: Any,
    target: Target,
    *,
    labels: Sequence[Any] | None = None,
    losses: Tensor | None = None,
    geometries: Sequence[Tensor | None] | None = None,
    how_sure: Mapping[str, Any] | None = None,
) -> Predictions:
    """Put names, predictions and, where known, labels, losses and what `Predictor.how_sure` gave side by side."""
    places = geometries if geometries is not None else [None] * len(names)
    decoded = [target.decode(one, geometry) for one, geometry in zip(predictions, places, strict=True)]
    columns: dict[str, Any] = {"item": pa.array(list(names), pa.string())}
    if labels is not None:
        columns["label"] = pa.array(labels, target.label_type)
    predicted = target.columns(predictions, decoded)
    columns |= {name: predicted.pop(name) for name in ("prediction", "confidence") if name in predicted}
    columns |= how_sure or {}
    if losses is not None:
        columns["loss"] = losses.numpy()
    return Predictions(pa.table(columns | predicted), target)


def concatenate(parts: Sequence[Predictions], target: Target) -> Predictions:
    """Return the predictions of several batches as one table."""
    if not parts:
        return predictions_table([], torch.empty(0, target.outputs), target)
    return Predictions(pa.concat_tables([part.table for part in parts]), target)
