"""Pictures of ranked items: each with its label and what is predicted, or beside the item that it resembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from onecycle.data.dataset import Dataset
from onecycle.data.drawn_items import DrawnItems
from onecycle.data.rows import ITEM
from onecycle.data.target import Target, show_captions

if TYPE_CHECKING:
    from onecycle.figure import Picture


def draw(rows: Sequence[Mapping[str, Any]], title: str, target: Target, datasets: Mapping[str, Dataset]) -> Picture:
    """Draw the items of some rows of a ranking; a row with an `other` is two pictures side by side."""
    from onecycle.figure import grid, wrapped

    pairs = bool(rows) and "other" in rows[0]
    figure, axes = grid(len(rows) * (2 if pairs else 1), 4, height=2.7)
    if not rows:
        next(axes).set_title(f"{title}: none.", fontsize=9)
        return figure.ready()
    drawn = DrawnItems(figure, next(iter(datasets.values())).modality)
    for row in rows:
        for name, split, caption in _pictured(row, target, pairs=pairs):
            one, input = next(axes), _input(datasets[split], name)
            drawn.modality.show(one, input)
            show_captions(one, *(text and wrapped(text) for text in caption))
            drawn.add(one, input, f"{split}: {name}")
    drawn.finish()
    return figure.ready()


_Caption = tuple[str | None, str | None]


def _pictured(row: Mapping[str, Any], target: Target, *, pairs: bool) -> list[tuple[str, str, _Caption]]:
    """Return name, split and caption of each picture of a row."""
    label = None if row["label"] is None else target.caption(row["label"])
    if pairs:
        return [
            (row["item"], row["split"], (label, None)),
            (row["other"], row["other_split"], (f"{row['similarity']:.2f} alike", None)),
        ]
    sure = "" if row["probability"] is None else f" {row['probability']:.0%}"
    predicted = None if row["predicted"] is None else target.caption(row["predicted"]) + sure
    return [(row["item"], row["split"], (label, predicted))]


def _input(dataset: Dataset, name: str) -> Any:
    """Return the input of the item called `name`, as the model gets it."""
    sample = dataset[int(pc.index(dataset.rows.table[ITEM], name).as_py())]
    return dataset.modality.prepare(dataset.collate([sample]), dataset.target, None).inputs[0]
