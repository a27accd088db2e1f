"""The inputs of a prediction, as somebody gave them: a sequence in its order, opened files as a whole."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from onecycle.errors import DataError, naming_item, with_article

ReadT = TypeVar("ReadT")
WANTED = "a list of inputs."


def batches_of_given(items: Any, batch_size: int, read: Callable[[Any], ReadT]) -> Iterator[list[ReadT]]:
    """Yield what is read of the inputs, in batches.

    They are taken by iterating, never by index: a column of a table may count its rows in any other order.

    Args:
        items: A list, tuple, array, column of a table or generator.
        batch_size: How many at a time.
        read: Reads one.
    Raises:
        DataError: One cannot be read, or they are no sequence.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise DataError(f"batch_size={batch_size!r}.", "a whole number, 1 or more.", "pass batch_size=32.")
    rest, number = iter(in_order(items)), 0
    while given := list(itertools.islice(rest, batch_size)):
        alone = number == 0 and len(given) == 1 and batch_size > 1
        yield [_read_one(item, number + row, 1 if alone else 2, read) for row, item in enumerate(given)]
        number += len(given)


def in_order(items: Any) -> Iterable[Any]:
    """Return the inputs as something that gives them in their order.

    Raises:
        DataError: They are one input, or have no order.
    """
    kind = with_article(type(items).__name__)
    if isinstance(items, str | os.PathLike):
        raise DataError(f"One path, {str(items)!r}.", WANTED, "call predict(path), or pass [path].")
    if isinstance(items, bytes | bytearray | memoryview):
        raise DataError("The bytes of one file.", WANTED, "call predict() with it, or pass a list.")
    columns = getattr(items, "column_names", getattr(items, "columns", None))
    if columns is not None:
        raise DataError(
            f"The inputs are {kind}.", WANTED, f"pass one of its columns: table[{next(iter(columns), '')!r}]."
        )
    if isinstance(items, Mapping):
        raise DataError(
            f"The inputs are {kind}, which predictions could not be told by.", WANTED,
            "pass list(...) of its keys or values.",
        )  # fmt: skip
    if isinstance(items, set | frozenset):
        raise DataError(f"The inputs are {kind}, which has no order.", WANTED, "pass sorted(...) of it, a list.")
    if not isinstance(items, Iterable) and not hasattr(items, "__getitem__"):
        what = f"The inputs are {items!r} ({type(items).__name__})."
        raise DataError(what, WANTED, "call predict() for one input, or pass a list.")
    if hasattr(items, "to_pylist"):  # Arrow's own scalars are no inputs
        items = items.to_pylist()
    return items  # type: ignore[no-any-return]


def _read_one(item: Any, number: int, count: int, read: Callable[[Any], ReadT]) -> ReadT:
    try:
        with naming_item(number, count):
            return read(item)
    except DataError as error:
        error.can_skip = False  # only training can leave items out
        raise


def contents_of_opened(source: Any) -> Any:
    """Return all that an opened file holds, also where a part of it was read before; anything else as it is.

    Raises:
        DataError: It cannot be read.
    """
    if not callable(getattr(source, "read", None)):
        return source
    try:
        if callable(getattr(source, "seekable", None)) and source.seekable():
            source.seek(0)
        return source.read()
    except ValueError as error:  # closed, opened for writing, or not in the encoding that it was opened with
        raise DataError(
            f"The opened file cannot be read: {error}.", "a file that is open for reading.",
            "pass its path, or open(path, 'rb').",
        ) from error  # fmt: skip
