"""What was found among the inputs and is none of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Skipped:
    """A file that was found but is not an item, and why."""

    path: str
    reason: str


# Reasons are of several items; these are the ones that are said otherwise of one.
_OF_ONE = {
    "names that are not UTF-8": "name that is not UTF-8",
    "folders that onecycle wrote": "folder that onecycle wrote",
    "empty texts": "empty text",
    "repeated rows": "repeated row",
    "other files": "other file",
    "notes about the data": "note about the data",
    "images that the annotations do not name": "image that the annotations do not name",
}


def counted_reason(count: int, reason: str) -> str:
    """Return how many were left out for a reason.

    Example:
        >>> counted_reason(1, "repeated rows"), counted_reason(1200, "repeated rows"), counted_reason(1, "hidden")
        ('1 repeated row', '1,200 repeated rows', '1 hidden')
    """
    of_one = _OF_ONE.get(reason, reason.replace("rows without ", "row without "))
    return f"{count:,} {of_one if count == 1 else reason}"
