"""What a cell of a table says about a label: a class, tags, nothing, or a number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

# How pandas and others write that there is nothing; the same that `pandas.read_csv` reads as missing.
MISSING = frozenset(
    {"", "#N/A", "#NA", "N/A", "NA", "n/a", "<NA>", "NULL", "null", "NaN", "nan", "-nan", "-NaN", "None"}
)
# How columns of flags say which tags an item has.
YES, NO = frozenset({"1", "1.0", "true"}), frozenset({"0", "0.0", "false"})
_LIST = re.compile(r"""^[\[({]\s*(?:(?:'[^']*'|"[^"]*")[\s,]*)*[\])}]$""")
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")


def label_of(value: Any) -> str | None:
    """Return a cell as a class: without blanks around it, None where it says that there is nothing.

    Example:
        >>> label_of(" cat"), label_of("NaN"), label_of(3.0)
        ('cat', None, '3')
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # pandas makes floats of whole numbers where one is missing
    text = "" if value is None else str(value).strip()
    return None if text in MISSING else text


def tags_of(value: Any, delimiter: str | None) -> list[str]:
    """Return a cell as tags, each once and without blanks around it: of a list, of a list as text, or divided.

    Example:
        >>> tags_of(["cat ", "small"], None), tags_of("['cat', 'small']", None), tags_of("cat  small", " ")
        (['cat', 'small'], ['cat', 'small'], ['cat', 'small'])
    """
    if isinstance(value, list | tuple | np.ndarray):
        parts: Iterable[Any] = value
    elif value is None or str(value).strip() in MISSING:
        parts = ()
    elif is_written_list(str(value)):
        inside = str(value).strip()[1:-1]
        parts = [one or other for one, other in _QUOTED.findall(inside)] or inside.split(",")
    else:
        parts = str(value).split(delimiter) if delimiter else [value]
    return list(dict.fromkeys(tag for tag in map(label_of, parts) if tag is not None))


def is_written_list(text: str) -> bool:
    """Return whether a text is a list of texts as Python, JSON or NumPy write it, such as "['a', 'b']"."""
    return text.strip().startswith("[") and text.strip().endswith("]")


def are_written_lists(values: Sequence[Any]) -> bool:
    """Return whether all cells that are not empty are lists as text."""
    texts = [str(value) for value in values if value is not None and str(value).strip() not in MISSING]
    return bool(texts) and all(map(is_written_list, texts))


def numbers_in(counts: Counter[str]) -> tuple[int, bool] | None:
    """Return how many different numbers labels are, and whether any has decimals; None where one is no number.

    Args:
        counts: How often each label occurs.
    """
    try:
        values = {float(name) for name in counts}
    except ValueError:
        return None
    return len(values), any(not value.is_integer() for value in values)


def differ_by_capitals(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the names that are the same but for capitals.

    Example:
        >>> differ_by_capitals(["Cat", "cat", "dog"])
        [('Cat', 'cat')]
    """
    same: dict[str, list[str]] = {}
    for name in names:
        same.setdefault(name.casefold(), []).append(name)
    return [tuple(group) for group in same.values() if len(group) > 1]
