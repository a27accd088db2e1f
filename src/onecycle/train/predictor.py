"""From inputs to answers: what a learner and a loaded bundle have in common."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from onecycle.data.modality import Batch, Modality
from onecycle.data.target import Target
from onecycle.errors import DataError


class Prediction(NamedTuple):
    """An answer: the label (a class, or a tuple of tags), and the probability of each class."""

    label: Any
    probabilities: dict[str, float]


class Predictor:
    """A model with all it needs to answer: how inputs are read, and what its outputs mean.

    Args:
        model: Takes what `modality` prepares, gives what `target` decodes.
        modality: How an input is read.
        target: What an output means.
        device: Where to run; the model is moved there.
    """

    def __init__(self, model: nn.Module, modality: Modality, target: Target, device: torch.device) -> None:
        self.model, self.modality, self.target, self.device = (
            model.to(device).eval(),
            modality,
            target,
            device,
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what can be predicted."""
        return self.target.classes

    def predict(self, item: Any) -> Prediction:
        """Answer for one input: for images a path, a PIL image, or an array of uint8 pixels."""
        return self.predict_many([item])[0]

    def predict_many(self, items: Sequence[Any], *, batch_size: int = 32) -> list[Prediction]:
        """Answer for many inputs, in batches."""
        probabilities = self.probabilities(items, batch_size=batch_size)
        return [self._answer(row) for row in probabilities]

    def probabilities(self, items: Sequence[Any], *, batch_size: int = 32) -> Tensor:
        """Return the probabilities of each class, float32 on the CPU, (items, classes)."""
        if isinstance(items, str | Path):
            raise DataError(f"One path, {str(items)!r}.", "a list of inputs.", "call predict(path), or pass [path].")
        parts = []
        for start in range(0, len(items), batch_size):
            inputs = [
                self.modality.sample(item, None, self.target, index, training=False).input
                for index, item in enumerate(items[start : start + batch_size])
            ]
            parts.append(self.forward(self.modality.stack(inputs)))
        return torch.cat(parts) if parts else torch.empty(0, len(self.classes))

    def forward(self, stacked: Tensor) -> Tensor:
        """Return the probabilities for inputs that are read and stacked."""
        batch = Batch(stacked.to(self.device), None, torch.arange(len(stacked)))
        with torch.inference_mode():
            outputs = self.model(self.modality.prepare(batch, self.target, None).inputs)
            return self.target.activate(outputs).cpu()

    def _answer(self, probabilities: Tensor) -> Prediction:
        return Prediction(
            self.target.decode(probabilities), dict(zip(self.classes, probabilities.tolist(), strict=True))
        )


@dataclass(frozen=True)
class Predictions:
    """Answers for many items, as an Arrow table; pandas, polars and pyarrow take it as it is.

    Attributes:
        table: Columns: item, prediction, confidence, a probability a class; where known, label and loss.
        target: What the predictions mean.
    """

    table: pa.Table
    target: Target

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return f"Predictions: {len(self):,} items, columns {', '.join(self.table.column_names[:5])}, ..."

    @property
    def probabilities(self) -> Tensor:
        """(items, classes), float32."""
        columns = [self.table[f"p({name})"].to_numpy() for name in self.target.classes]
        return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))

    def to_csv(self, path: str | Path, *, name: str = "image_name", label: str = "tags", suffix: bool = False) -> None:
        """Write what competitions want: a row an item, its name and its label (tags separated by spaces).

        Args:
            path: The file.
            name: Header of the first column.
            label: Header of the second.
            suffix: Keep the file's suffix in its name.
        """
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([name, label])
            for item, answer in zip(self.table["item"].to_pylist(), self.table["prediction"].to_pylist(), strict=True):
                pure = PurePosixPath(item)
                text = answer if isinstance(answer, str) else " ".join(answer)
                writer.writerow([pure.name if suffix else pure.stem, text])

    def worst(self, count: int = 12) -> pa.Table:
        """Return the items with the highest loss, worst first."""
        if "loss" not in self.table.column_names:
            raise DataError("These items have no labels.", "labelled items.", "use the validation items.")
        return self.table.sort_by([("loss", "descending")]).slice(0, count)


def predictions(
    names: list[str], probabilities: Tensor, target: Target, labels: list[Any] | None, losses: Tensor | None
) -> Predictions:
    """Put names, answers and, where known, labels and losses side by side."""
    answers = [target.decode(row) for row in probabilities]
    columns: dict[str, Any] = {"item": names}
    if labels is not None:
        columns["label"] = labels
    columns["prediction"] = [answer if isinstance(answer, str) else list(answer) for answer in answers]
    columns["confidence"] = probabilities.max(dim=1).values.numpy()
    if losses is not None:
        columns["loss"] = losses.numpy()
    for number, name in enumerate(target.classes):
        columns[f"p({name})"] = probabilities[:, number].numpy()
    return Predictions(pa.table(columns), target)
