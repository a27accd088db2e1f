"""What was found among the inputs and is none of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Skipped:
    """A file that was found but is not an item, and why."""

    path: str
    reason: str
