"""Items worth a person's look, the most worthwhile first, each with the reason in plain words."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from onecycle.calls import explains_calls
from onecycle.data.arrow_results import ArrowResult
from onecycle.data.dataset import Dataset
from onecycle.data.preview import html_of_table
from onecycle.data.target import Target
from onecycle.errors import check_count, counted
from onecycle.notebook import html_lines

if TYPE_CHECKING:
    from onecycle.figure import Picture

COLUMNS = ("item", "split", "label", "predicted", "probability", "score", "reason")
PRINTED = 5


@explains_calls
@dataclass(frozen=True, repr=False)
class Ranking(ArrowResult):
    """A list to look at, the most worthwhile first: an Arrow table that shows itself, in a notebook with pictures.

    It says what may be wrong, never that it is: what becomes of an item, a person decides.

    Attributes:
        table: Columns: item (as `Predictions` names items), split ("train", "valid", "test", or "pool" for new items),
            label (as given), predicted, probability (of what is predicted), score (higher comes first), and reason.
            What is not known is empty.
        title: What the list is, in a few words.
        note: What to know before reading it.
        target: What the labels mean.
        datasets: The items by the name of their split, for pictures.

    Example:
        >>> doubtful = oc.doubtful_labels(learner, all_items=True)
        >>> doubtful.table.column_names
        ['item', 'split', 'label', 'predicted', 'probability', 'score', 'reason']
        >>> len(doubtful), len(doubtful.head(5))
        (30, 5)
    """

    table: pa.Table
    title: str
    note: str
    target: Target
    datasets: Mapping[str, Dataset] = field(default_factory=dict)

    def __repr__(self) -> str:
        rows = self.table.slice(0, PRINTED).to_pylist()
        more = [f"  and {len(self) - PRINTED:,} more"] if len(self) > PRINTED else []
        return "\n".join([f"{self.title}: {counted(len(self), 'item')}. {self.note}", *map(_line, rows), *more])

    def _repr_html_(self) -> str:
        picture = self.show(min(len(self), 8)).to_html() if len(self) else ""
        return (
            html_lines(f"{self.title}: {counted(len(self), 'item')}. {self.note}")
            + html_of_table(self.table, "item")
            + picture
        )

    def head(self, count: int) -> Self:
        """Return the first `count` items."""
        return replace(self, table=self.table.slice(0, max(count, 0)))

    def of_split(self, split: str) -> Self:
        """Return the items of one split."""
        return replace(self, table=self.table.filter(pc.equal(self.table["split"], split)))

    def to_csv(self, path: str | Path) -> None:
        """Write a row an item; tags are separated as in the CSV files of predictions."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.table.column_names)
            for row in self.table.to_pylist():
                writer.writerow(self._cell(name, value) for name, value in row.items())

    def _cell(self, column: str, value: Any) -> Any:
        if value is not None and column in ("label", "predicted"):
            return next(iter(self.target.cells(value).values()))
        return f"{value:.4f}" if isinstance(value, float) else value

    def show(self, count: int = 12) -> Picture:
        """Draw the first items, each with its label and what is predicted; beside it the item that it resembles."""
        from onecycle.review.rankings.pictures import draw

        check_count(count)
        return draw(self.table.slice(0, count).to_pylist(), self.title, self.target, self.datasets)


def _line(row: Mapping[str, Any]) -> str:
    return f"  {row['split']}: {row['item']}: {row['reason']}"


def ranking_table(columns: Mapping[str, Any], target: Target, more: Mapping[str, Any] | None = None) -> pa.Table:
    """Return a table with all `COLUMNS`, empty where `columns` has nothing, and `more` behind them."""
    count = len(columns["item"])
    types = {
        "label": target.label_type,
        "predicted": target.label_type,
        "probability": pa.float64(),
        "score": pa.float64(),
    }
    known = {name: pa.array(columns.get(name, [None] * count), types.get(name, pa.string())) for name in COLUMNS}
    return pa.table({**known, **(more or {})})
