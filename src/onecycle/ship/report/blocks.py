"""What a page of a report is made of: plain data, which the template turns into HTML and escapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

LONGEST_COUNT = 10_000


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    rows: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Code:
    """A text that is copied: a program, or a command."""

    text: str
    title: str = ""
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Note:
    """A sentence."""

    text: str
    kind: ClassVar[str] = "note"


def as_sentence(note: str) -> str:
    """Return a note with a capital letter and a full stop; the name of an option keeps its first letter.

    Example:
        >>> as_sentence("kept the weights of epoch 1"), as_sentence("fp32 is multiplied in TF32")
        ('Kept the weights of epoch 1.', 'fp32 is multiplied in TF32.')
    """
    capital = note.split(" ")[0].rstrip(",:").isalpha()
    return f"{note[:1].upper() if capital else note[:1]}{note[1:]}{'' if note.endswith(('.', '!', '?')) else '.'}"


@dataclass(frozen=True)
class Chart:
    """An SVG element, whose texts are escaped already."""

    svg: str
    title: str
    kind: ClassVar[str] = "chart"


@dataclass(frozen=True)
class Interval:
    """A score with its 95% interval; drawn from 0 to 1 where `share` is set."""

    value: float
    low: float
    high: float
    share: bool = True

    def shown(self, value: float) -> str:
        """Return one of the three as text.

        Example:
            >>> Interval(3.6, 3.1, 4.0, share=False).shown(3.6), Interval(0.9, 0.8, 1.0).shown(1.0)
            ('3.60', '1.00')
        """
        return f"{value:.2f}" if self.share else three_digits(value)


def three_digits(value: float) -> str:
    """Return a number with three digits or, from 1000 on, all before the point.

    Example:
        >>> [three_digits(value) for value in (0.05, 3.6, 23.1, 186.32, 12345.6)]
        ['0.0500', '3.60', '23.1', '186', '12,346']
    """
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".rstrip(".")


@dataclass(frozen=True)
class Table:
    """A table; the rows from `folded` on are folded away."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | Interval]]
    title: str = ""
    folded: int = 25
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Cell:
    """How often one class was predicted as another."""

    count: int
    share: float
    right: bool


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix that can be read, and a picture of the whole one where it cannot."""

    classes: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    overview: str = ""
    note: str = ""
    kind: ClassVar[str] = "matrix"

    @property
    def shows_shares(self) -> bool:
        """Whether counts would be too long to read, as those of pixels are."""
        return any(cell.count >= LONGEST_COUNT for row in self.rows for cell in row)


@dataclass(frozen=True)
class Card:
    """An item: a picture (a data address) or a text, its name, and what there is to say."""

    name: str
    lines: Sequence[str]
    picture: str = ""
    text: str = ""
    marked: str = ""  # HTML that is escaped already
    beside: str = ""  # a second picture, such as a heat map or a copy
    beside_name: str = ""


@dataclass(frozen=True)
class Gallery:
    """Items side by side; `legend` explains colours, as (colour, name)."""

    title: str
    cards: Sequence[Card]
    legend: Sequence[tuple[str, str]] = ()
    note: str = ""
    wide: bool = False  # pictures of label and prediction side by side
    few: bool = False  # so that others have room beside it
    kind: ClassVar[str] = "gallery"


Block = Facts | Code | Note | Chart | Table | Matrix | Gallery


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading."""

    title: str
    blocks: list[Block] = field(default_factory=list)
