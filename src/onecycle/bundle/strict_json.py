"""JSON from a file that nobody vouches for: bounded in memory, and refused with one kind of error."""

from __future__ import annotations

import json
from typing import Any

from onecycle.bundle.layout import MOST_VALUES

MOST_DIGITS = 40


def parse_json(data: bytes) -> Any:
    """Return what a JSON text holds.

    Raises:
        ValueError: It is not JSON in UTF-8, is nested too deeply, has too many values, a name twice, or a whole number
            of more than 40 digits.
    Example:
        >>> parse_json(b'{"a": [1, 2.5, null]}')
        {'a': [1, 2.5, None]}
    """
    if count_values(data) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES:,} values")
    try:
        return json.loads(data.decode(), parse_int=_whole_number, object_pairs_hook=_without_doubles)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def count_values(data: bytes) -> int:
    """Return no fewer than the values in a JSON text: each follows a comma or a bracket."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice in an object")
    return found
