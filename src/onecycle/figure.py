"""Figures that show themselves in notebooks and save themselves in scripts, without pyplot's global state."""

from __future__ import annotations

import base64
import io
import math
import textwrap
from collections.abc import Iterator
from typing import Any, Self

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from onecycle.errors import DataError
from onecycle.notebook import in_notebook, notebook_shell


class Picture(Figure):
    """A matplotlib figure that a notebook shows once, whether or not it is the last line of a cell."""

    def ready(self) -> Self:
        """Return the picture, which is complete; a notebook shows it at the end of the cell, unless it was by then."""
        if in_notebook():
            _show_at_end_of_cell(self)
        return self

    def fit_rows(self) -> None:
        """Make rows as high as the pictures in them need, so that oblong ones leave no gaps."""
        shapes = [array.shape for one in self.axes if one.images and (array := one.images[0].get_array()) is not None]
        placed = self.axes[0].get_gridspec() if self.axes else None
        if not shapes or placed is None:
            return
        rows, columns = placed.get_geometry()
        width = self.get_figwidth() / columns
        highest = max(shape[0] / shape[1] for shape in shapes) * width
        titles = max((one.get_title().count("\n") + 1 if one.get_title() else 0 for one in self.axes), default=0)
        legend = 0.5 if self.legends else 0.2
        self.set_figheight(rows * (highest + 0.1 + 0.15 * titles) + legend)

    def savefig(self, *arguments: Any, **keywords: Any) -> None:
        """As matplotlib's; what is saved to a file is not shown as well, unless it is the last line of a cell."""
        super().savefig(*arguments, **keywords)
        _discard(self)

    def _ipython_display_(self) -> None:
        # Not left to _repr_png_: `%matplotlib inline` has a way of its own, past savefig().
        from IPython.display import Image, display

        display(Image(data=self._repr_png_(), format="png"))

    def to_html(self) -> str:
        """Return the picture as an HTML image that holds all its data."""
        return f'<img src="data:image/png;base64,{base64.b64encode(self._repr_png_()).decode()}">'

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


def check_count(count: int) -> None:
    """Refuse a picture of nothing.

    Raises:
        DataError: There is no item to draw.
    """
    if count < 1:
        raise DataError(f"count={count}.", "1 or more items to draw.", "pass count=12.")


def wrapped(text: str) -> str:
    """Break a caption into lines that fit above one picture of a grid."""
    return textwrap.fill(text, 30)
