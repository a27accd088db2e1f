"""What notebooks show: HTML that stays in the saved file, and needs neither widgets nor JavaScript."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

# Characters of a cell that is read as a text.
LONG_TEXT = 40


def notebook_shell() -> Any | None:
    """Return the IPython shell of the notebook in which the code runs; None in a terminal or a script."""
    ipython = sys.modules.get("IPython")  # a notebook's kernel has imported it
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


def in_notebook() -> bool:
    """Return whether the code runs in a cell of a notebook."""
    return notebook_shell() is not None


def silence_widget_hint() -> None:
    """Keep tqdm, which comes with other libraries, from asking for ipywidgets, which nothing here needs."""
    if in_notebook():
        warnings.filterwarnings("ignore", "IProgress not found")


class Html:
    """HTML for notebooks, with the text that is shown elsewhere.

    Example:
        >>> Html("<b>three</b> epochs", "three epochs")
        three epochs
    """

    def __init__(self, html: str, text: str = "") -> None:
        self.html, self.text = html, text

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


class CellOutput:
    """An output of the cell under way, replaced in place each time; the notebook keeps the last one."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, content: Any) -> None:
        """Show `content`, by its `_repr_html_`, in place of what was shown before."""
        from IPython.display import display

        if self._handle is None:
            self._handle = display(content, display_id=True)
        else:
            self._handle.update(content)


class Printed(str):
    """A text that has been printed already, so that a notebook does not show it again as the result of a cell."""

    __slots__ = ()

    def _ipython_display_(self) -> None:
        return


def html_table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows, given as their cells by column, as an HTML table. Names and values are escaped.

    Example:
        >>> html_table([{"epoch": 1, "loss": "<0.1"}])
        '<table><thead><tr><th>epoch</th><th>loss</th></tr></thead><tbody><tr><td>1</td><td>&lt;0.1</td></tr></tbody></table>'
    """
    columns = list(dict.fromkeys(column for row in rows for column in row))
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(_html_cell(row.get(column, "")) for column in columns) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _html_cell(value: object) -> str:
    text = str(value)
    style = ' style="text-align:left"' if len(text) > LONG_TEXT else ""  # notebooks align to the right, as numbers need
    return f"<td{style}>{escape(text)}</td>"


def html_lines(text: str) -> str:
    """Return a text as HTML, escaped, its lines below each other.

    Example:
        >>> html_lines("24 training\\n<b>")
        '<div>24 training</div><div>&lt;b&gt;</div>'
    """
    return "".join(f"<div>{escape(line)}</div>" for line in text.splitlines())
