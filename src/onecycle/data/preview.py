"""Items as a notebook shows them: the first rows of their table, as HTML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from onecycle.data.rows import CONTENT, CORRECTED, ITEM, LABEL, PLACE, Rows
from onecycle.notebook import html_lines, html_table

SHOWN_ROWS, SHOWN_COLUMNS, SHOWN_CHARACTERS = 5, 8, 160
_HEADERS = {ITEM: "item", LABEL: "label", CONTENT: "content"}


def html_of_rows(text: str, rows: Rows) -> str:
    """Return a description, and below it the first rows, as HTML."""
    return html_lines(text) + html_of_table(_readable(rows.table), "item")


def html_of_table(table: pa.Table, what: str) -> str:
    """Return the first rows of a table as HTML, and how many more there are of `what` they are."""
    columns = table.column_names[:SHOWN_COLUMNS]
    shown = [{name: _cell(value) for name, value in row.items()} for row in _first_rows(table.select(columns))]
    more = [f"{table.num_rows - len(shown):,} more {what}s"] if table.num_rows > len(shown) else []
    more += [f"{table.num_columns - len(columns):,} more columns"] if table.num_columns > len(columns) else []
    return html_table(shown) + html_lines(f"and {', '.join(more)}" if more else "")


def _readable(table: pa.Table) -> pa.Table:
    """Return what a person would read: nothing encoded, and a header for each column of ours."""
    names = [name for name in (ITEM, LABEL, CONTENT) if name in table.column_names]
    if CONTENT in names and not pa.types.is_large_string(table[CONTENT].type):
        names.remove(CONTENT)
    headers = [_HEADERS[name] for name in names]
    users = [name for name in table.column_names if name not in (*_HEADERS, PLACE, CORRECTED, *headers)]
    return table.select([*names, *users]).rename_columns([*headers, *users])


def _first_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    yield from table.slice(0, SHOWN_ROWS).to_pylist()


def _cell(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} …"
