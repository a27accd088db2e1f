"""What was found among the inputs and is none of them."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Skipped:
    """A file that was found but is not an item, and why."""

    path: str
    reason: str


# The first plural of a reason, which may follow an adjective; "unreadable" has none.
_PLURAL = re.compile(r"^((?:empty |repeated |other )?\w+?)s\b")


def counted_reason(count: int, reason: str) -> str:
    """Return how many were left out for a reason.

    Example:
        >>> counted_reason(1, "repeated rows"), counted_reason(1200, "repeated rows"), counted_reason(1, "hidden")
        ('1 repeated row', '1,200 repeated rows', '1 hidden')
    """
    of_one = _PLURAL.sub(r"\1", reason).replace(" that are ", " that is ")
    return f"{count:,} {of_one if count == 1 else reason}"
