"""From inputs to answers: what a learner and a loaded bundle have in common."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from onecycle.data.modality import Batch, Modality, Sample, collate
from onecycle.data.target import Target
from onecycle.errors import DataError
from onecycle.train.pieces import in_pieces


class Prediction(NamedTuple):
    """An answer, in the target's terms, and the probability of each class.

    Attributes:
        label: A class; a tuple of tags; a mask, uint8, (height, width) of the original; points in pixels of the
            original, float32, (points, 2); or numbers by name.
        probabilities: Of each class; of masks each class's share of the image; empty for points and numbers.
    """

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
        return [
            Prediction(self.target.decode(answer, frame), self.target.scores(answer))
            for batch in self._batches(items, batch_size)
            for answer, frame in zip(self.answers(batch), frames_of(batch), strict=True)
        ]

    def probabilities(self, items: Sequence[Any], *, batch_size: int = 32) -> Tensor:
        """Return the activated outputs, for classes their probabilities, float32 on the CPU, (items, ...)."""
        parts = [self.answers(batch) for batch in self._batches(items, batch_size)]
        return torch.cat(parts) if parts else torch.empty(0, self.target.outputs)

    def answers(self, batch: Batch) -> Tensor:
        """Return the activated outputs for a batch as it was read, on the CPU, (batch, ...)."""
        with torch.inference_mode():
            prepared = self.modality.prepare(batch.to(self.device), self.target, None)
            return self.target.activate(in_pieces(self.model, prepared.inputs)).cpu()

    def read(self, item: Any) -> Sample:
        """Read one input.

        Raises:
            DataError: It cannot be read.
        """
        return self.modality.sample(item, None, self.target, 0, training=False)

    def _batches(self, items: Sequence[Any], batch_size: int) -> Iterator[Batch]:
        if isinstance(items, str | Path):
            raise DataError(f"One path, {str(items)!r}.", "a list of inputs.", "call predict(path), or pass [path].")
        for start in range(0, len(items), batch_size):
            yield collate([self.read(item) for item in items[start : start + batch_size]], self.modality)


@dataclass(frozen=True)
class Predictions:
    """Answers for many items, as an Arrow table; pandas, polars and pyarrow take it as it is.

    Attributes:
        table: Columns: item, prediction, where known label and loss; for classes confidence and a probability a class.
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

    def to_csv(
        self, path: str | Path, *, name: str = "image_name", label: str | None = None, suffix: bool = False
    ) -> None:
        """Write what competitions want: a row an item, its name and what was answered (tags separated by spaces).

        Args:
            path: The file.
            name: Header of the first column.
            label: Header of the second, where there are two; None takes "label" or "tags".
            suffix: Keep the file's suffix in its name.
        """
        rows = [self.target.cells(answer) for answer in self.table["prediction"].to_pylist()]
        # An answer to nothing has the headers of any other, also where there is no row.
        nothing = self.target.activate(torch.zeros(1, self.target.outputs))[0]
        headers = list(self.target.cells(self.target.decode(nothing)))
        if label is not None and len(headers) == 1:
            headers = [label]
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([name, *headers])
            for item, row in zip(self.table["item"].to_pylist(), rows, strict=True):
                pure = PurePosixPath(item)
                writer.writerow([pure.name if suffix else pure.stem, *row.values()])

    def save_masks(self, folder: str | Path) -> list[Path]:
        """Write each mask as a PNG whose values are those of the training masks, named after its image.

        Raises:
            DataError: These are no masks.
        """
        if not pa.types.is_binary(self.table["prediction"].type):
            raise DataError(f"The answers are {self.target.kind}.", "masks.", "use to_csv().")
        Path(folder).mkdir(parents=True, exist_ok=True)
        paths = []
        for item, png in zip(self.table["item"].to_pylist(), self.table["prediction"].to_pylist(), strict=True):
            paths.append(Path(folder) / f"{PurePosixPath(item).stem}.png")
            paths[-1].write_bytes(png)
        return paths

    def worst(self, count: int = 12) -> pa.Table:
        """Return the items with the highest loss, worst first."""
        if "loss" not in self.table.column_names:
            raise DataError("These items have no labels.", "labelled items.", "use the validation items.")
        return self.table.sort_by([("loss", "descending")]).slice(0, count)


def predictions(
    names: list[str],
    answers: Tensor,
    target: Target,
    labels: list[Any] | None = None,
    losses: Tensor | None = None,
    frames: Sequence[Tensor | None] | None = None,
) -> Predictions:
    """Put names, answers and, where known, labels and losses side by side."""
    decoded = [target.decode(row, frame) for row, frame in zip(answers, frames or [None] * len(names), strict=True)]
    columns: dict[str, Any] = {"item": names}
    if labels is not None:
        columns["label"] = pa.array(labels, target.label_type)
    answered = target.columns(answers, decoded)
    columns |= {name: answered.pop(name) for name in ("prediction", "confidence") if name in answered}
    if losses is not None:
        columns["loss"] = losses.numpy()
    return Predictions(pa.table(columns | answered), target)


def joined(parts: Sequence[Predictions], target: Target) -> Predictions:
    """Return the answers of several batches as one table."""
    if not parts:
        return predictions([], torch.empty(0, target.outputs), target)
    return Predictions(pa.concat_tables([part.table for part in parts]), target)


def frames_of(batch: Batch) -> Sequence[Tensor | None]:
    """Return each sample's frame, None where there is none."""
    return [None] * len(batch) if batch.frames is None else list(batch.frames)
