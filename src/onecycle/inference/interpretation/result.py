"""The tables of an interpretation, which show themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from onecycle.calls import explains_calls
from onecycle.data.arrow_results import ArrowResult
from onecycle.errors import ModelError
from onecycle.notebook import html_lines, html_table

if TYPE_CHECKING:
    from onecycle.figure import Picture

PRINTED = 12


@explains_calls
@dataclass(frozen=True, repr=False)
class Result(ArrowResult):
    """A table that shows itself; pandas, polars and pyarrow take it as it is.

    Attributes:
        table: The rows.
        title: What they are, in a few words.
        note: What to know before reading them; empty for nothing.
        draw: Draws the picture that belongs to the table; None where there is none.
        higher_is_better: Of the scores with an interval.

    Example:
        >>> Result(pa.table({"class": ["cat", "dog"], "recall": [0.98765, 1.0]}), "Per class")
        Per class
        class  recall
        cat    0.9877
        dog         1
    """

    table: pa.Table
    title: str
    note: str = ""
    draw: Callable[[], Picture] | None = None
    higher_is_better: bool = field(default=True, kw_only=True)

    def __repr__(self) -> str:
        shown = aligned([{name: cell(value) for name, value in row.items()} for row in self._first(PRINTED)])
        more = [f"and {len(self) - PRINTED:,} more rows"] if len(self) > PRINTED else []
        return "\n".join([self.title, *([self.note] if self.note else []), *shown, *more])

    def _repr_html_(self) -> str:
        heading = html_lines("\n".join([self.title, *([self.note] if self.note else [])]))
        return heading + html_table([{name: cell(value) for name, value in row.items()} for row in self._first(50)])

    def _first(self, count: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.table.slice(0, count).to_pylist()
        return rows

    def plot(self) -> Picture:
        """Draw the picture that belongs to the table.

        Raises:
            ModelError: There is none.
        """
        if self.draw is None:
            raise ModelError(f"There is no picture of {self.title!r}.", "a table with one.", "print it, or use table.")
        return self.draw()


def cell(value: object) -> str:
    """Return a value as a table shows it.

    Example:
        >>> cell(0.123456), cell(["a", "b"]), cell(None)
        ('0.1235', 'a, b', '')
    """
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    return "" if value is None else str(value)


def aligned(rows: Sequence[dict[str, str]]) -> list[str]:
    """Return lines with a header, their columns below each other: numbers to the right, texts to the left."""
    if not rows:
        return []
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    padded = []
    for name, cells in columns.items():
        width = max(map(len, [name, *cells]))
        right = all(_is_number(one) for one in cells)
        padded.append([one.rjust(width) if right else one.ljust(width) for one in [name, *cells]])
    return ["  ".join(line).rstrip() for line in zip(*padded, strict=True)]


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "") or 0)
    except ValueError:
        return False
    return True
