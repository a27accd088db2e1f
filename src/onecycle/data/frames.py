"""Python objects in the columns of pandas and polars frames, which Arrow does not know, as values that it does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

PLAIN = (str, bytes, int, float, complex, list, tuple, dict, set)


def object_columns(frame: Any) -> Iterator[tuple[str, Any]]:
    """Yield the columns of a frame that may hold Python objects, each with its first value; none of other tables."""
    library = type(frame).__module__.partition(".")[0]
    if library not in ("pandas", "polars") or type(frame).__name__ != "DataFrame":
        return
    for name, kind in zip(frame.columns, frame.dtypes, strict=True):
        if str(kind).casefold() == "object":
            values = (value for value in frame[name] if value is not None)
            yield name, next(values, None)


def replace_objects(frame: Any, replaced: Callable[[Any], Callable[[Any], Any] | None]) -> Any:
    """Return a frame with plain values in place of some objects; other tables as they are.

    Args:
        frame: The table.
        replaced: Returns what makes a plain value of each, given the first object of a column; None leaves it.
    """
    for name, first in list(object_columns(frame)):
        if (plain := replaced(first)) is None:
            continue
        values = [plain(value) if isinstance(value, type(first)) else value for value in frame[name]]
        if hasattr(frame, "with_columns"):  # polars
            frame = frame.with_columns(type(frame[name])(name, values))
        else:
            frame = frame.assign(**{name: values})
    return frame


def with_text_paths(frame: Any) -> Any:
    """Return a frame with paths as texts."""
    return replace_objects(frame, lambda first: os.fspath if isinstance(first, os.PathLike) else None)


def unknown_objects(frame: Any) -> list[str]:
    """Return the columns that hold other objects, with the type of their first."""
    found = [(name, first) for name, first in object_columns(frame) if first is not None]
    return [f"{name!r} ({type(first).__name__})" for name, first in found if not isinstance(first, PLAIN)]
