"""Figures that show themselves in notebooks and save themselves in scripts, without pyplot's global state."""

from __future__ import annotations

import base64
import html
import io
import math
import textwrap
from collections.abc import Iterator
from typing import Any, Self

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from onecycle.errors import counted
from onecycle.notebook import Html, html_lines, in_notebook, notebook_shell

# Characters of a line below a picture of a grid.
LONGEST_LINE = 40


class Picture(Figure):
    """A matplotlib figure that a notebook shows once, whether or not it is the last line of a cell.

    Attributes:
        items: The names of the items that it shows, in order.
        html: What a notebook shows instead of the picture, such as a table of texts.
    """

    items: tuple[str, ...] = ()
    html: str = ""

    def ready(self) -> Self:
        """Return the picture, which is complete; a notebook shows it at the end of the cell, unless it was by then."""
        if in_notebook():
            _show_at_end_of_cell(self)
        return self

    def fit_rows(self) -> None:
        """Make rows as high as the pictures and texts in them need, so that they leave no gaps, with a whole legend."""
        shapes = [array.shape for one in self.axes if one.images and (array := one.images[0].get_array()) is not None]
        placed = self.axes[0].get_gridspec() if self.axes else None
        lines = max((_lines(text) for one in self.axes for text in one.texts if text.get_gid() != BELOW), default=0)
        if placed is None or not (shapes or lines):
            return
        rows, columns = placed.get_geometry()
        width = self.get_figwidth() / columns
        highest = max(shape[0] / shape[1] for shape in shapes) * width if shapes else 0.11 * lines
        titles = max((_lines(one.title) for one in self.axes), default=0)
        below = max((_lines(text) for one in self.axes for text in one.texts if text.get_gid() == BELOW), default=0)
        self.set_figheight(rows * (highest + 0.1 + 0.15 * titles + 0.13 * below) + 0.2)
        self._make_room_for_legends()

    def _make_room_for_legends(self) -> None:
        """Enlarge the picture by what its legends need; they are as wide as their longest line."""
        for legend in self.legends:
            size = legend.get_window_extent(FigureCanvasAgg(self).get_renderer())
            self.set_figwidth(max(self.get_figwidth(), size.width / self.dpi + 0.2))
            self.set_figheight(self.get_figheight() + size.height / self.dpi + 0.1)

    def savefig(self, *arguments: Any, **keywords: Any) -> None:
        """As matplotlib's; what is saved to a file is not shown as well, unless it is the last line of a cell."""
        super().savefig(*arguments, **keywords)
        _discard(self)

    def _ipython_display_(self) -> None:
        # Not left to _repr_png_: `%matplotlib inline` has a way of its own, past savefig().
        from IPython.display import Image, display

        _discard(self)
        if self.html:
            display(Html(self.html, repr(self)))
            return
        display(Image(data=self._repr_png_(), format="png"))
        if self.items:  # as text, to be copied
            names = html_lines("\n".join(self.items))
            display(Html(f"<details><summary>{counted(len(self.items), 'item')}</summary>{names}</details>", ""))

    def to_html(self) -> str:
        """Return the picture as an HTML image that holds all its data."""
        if self.html:
            return self.html
        titles = "; ".join(title for one in self.axes if (title := one.get_title()))
        data = base64.b64encode(self._repr_png_()).decode()
        return f'<img alt="{html.escape(" ".join(titles.split()))}" src="data:image/png;base64,{data}">'

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()


_waiting: list[Picture] = []


def _show_at_end_of_cell(picture: Picture) -> None:
    events = notebook_shell().events  # type: ignore[union-attr]
    if _show_waiting not in events.callbacks["post_execute"]:
        events.register("post_execute", _show_waiting)
    _waiting.append(picture)


def _show_waiting() -> None:
    from IPython.display import display

    for picture in tuple(_waiting):
        display(picture)
    _waiting.clear()


def _discard(picture: Picture) -> None:
    _waiting[:] = [other for other in _waiting if other is not picture]


def grid(count: int, columns: int, *, width: float = 2.2, height: float = 2.4) -> tuple[Picture, Iterator[Axes]]:
    """Return a figure with `count` plain axes in rows, each `width` x `height` inches, and the axes one by one."""
    columns = max(min(columns, count), 1)
    rows = max(math.ceil(count / columns), 1)
    figure = Picture(figsize=(columns * width, rows * height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for one in axes.flat:
        one.set_axis_off()
    return figure, iter(axes.flat)


BELOW = "below"


def write_below(axes: Axes, *lines: str) -> None:
    """Write small lines below the picture on `axes`, such as the item's name; a long name loses its middle."""
    shown = [line if len(line) <= LONGEST_LINE else f"{line[:8]}…{line[9 - LONGEST_LINE :]}" for line in lines if line]
    options: dict[str, Any] = {"fontsize": 6, "ha": "center", "va": "top", "color": "0.35", "parse_math": False}
    axes.text(0.5, -0.02, "\n".join(shown), gid=BELOW, transform=axes.transAxes, **options)


def _lines(text: Text) -> int:
    return text.get_text().count("\n") + 1 if text.get_text() else 0


def wrapped(text: str) -> str:
    """Break a caption into lines that fit above one picture of a grid."""
    return textwrap.fill(text, 30)
