"""How image files are read, where the files themselves do not say it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from onecycle.errors import DataError, suggest

Orientation = Literal["apply", "ignore"]


@dataclass(frozen=True)
class ReadOptions:
    """How image files are read.

    Attributes:
        range: The values that become black and white, in images of more than 8 bits a channel and of floats; None
            takes all that 16 bits hold, or for floats from 0 to 1.
        page: The page of a file that has several, such as a TIFF; the first is 0, which None takes, too.
        orientation: "apply" turns photos as their EXIF data says, "ignore" reads them as they are stored. None applies
            it, unless masks or points show that they belong to photos that are not turned.
    """

    range: tuple[float, float] | None = None
    page: int | None = None
    orientation: Orientation | None = None

    @property
    def upright(self) -> bool:
        """Whether photos are turned as their EXIF data says."""
        return self.orientation != "ignore"

    def to_config(self) -> dict[str, Any]:
        """Return what differs from the default."""
        values = {"range": self.range and list(self.range), "page": self.page, "orientation": self.orientation}
        return {name: value for name, value in values.items() if value is not None}


def read_options(
    range: Sequence[float] | None = None, page: int | None = None, orientation: str | None = None
) -> ReadOptions:
    """Return the options, checked.

    Raises:
        DataError: A value is not valid.
    """
    if page is not None and (isinstance(page, bool) or not isinstance(page, int) or page < 0):
        raise DataError(f"page={page!r}.", "the number of a page; the first is 0.", "pass page=0.")
    known = get_args(Orientation)
    if orientation is not None and orientation not in known:
        raise DataError(
            f"orientation={orientation!r}.", '"apply" to turn photos as their EXIF data says, or "ignore".',
            f"pass orientation='apply'.{suggest(str(orientation), known)}",
        )  # fmt: skip
    return ReadOptions(None if range is None else _checked_range(range), page, orientation)  # type: ignore[arg-type]


def _checked_range(given: Any) -> tuple[float, float]:
    values = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
    numbers = all(isinstance(value, int | float) and math.isfinite(value) for value in values)
    if len(values) != 2 or not numbers or values[0] >= values[1]:
        raise DataError(
            f"range={given!r}.", "two numbers: the value that becomes black, and the larger one that becomes white.",
            "pass range=[0, 4095] for 12 bits.",
        )  # fmt: skip
    return values[0], values[1]
