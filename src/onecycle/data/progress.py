"""A progress bar on standard error, where someone is there to see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def progress(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield `items` while a bar shows how many of `total` are done; it goes away at the end."""
    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield from items
        return
    yield from track(items, description, total=total, console=console, transient=True)
