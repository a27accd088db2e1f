"""What stands beside the items of a picture: their names and losses, and in a notebook texts as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onecycle.data.modality import Modality
from onecycle.notebook import html_table

if TYPE_CHECKING:
    from onecycle.figure import Picture


class DrawnItems:
    """Collects what a picture shows.

    Args:
        figure: The picture.
        modality: Of the items.
    """

    def __init__(self, figure: Picture, modality: Modality) -> None:
        self.figure, self.modality = figure, modality
        self.names: list[str] = []
        self.rows: list[dict[str, str]] = []

    def add(self, axes: Any, input: Any, name: str, loss: float | None = None) -> None:
        """Write the name, and the loss where there is one, below an item that has been drawn with its title."""
        from onecycle.figure import write_below

        shown = "" if loss is None else f"loss {loss:.2f}"
        text = self.modality.as_text(input)
        if text is None:
            write_below(axes, name, shown)
        else:
            label, *prediction = axes.get_title().split("\n→ ")
            row = {"item": name, "text": text, "label": label, "prediction": "".join(prediction), "loss": shown[5:]}
            self.rows.append({column: value for column, value in row.items() if value})
            write_below(axes, shown)
        self.names.append(name)

    def finish(self) -> None:
        """Make room for everything in the picture."""
        self.figure.items = tuple(self.names)
        self.figure.html = html_table(self.rows) if self.rows else ""
        self.figure.fit_rows()
