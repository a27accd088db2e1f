"""A progress bar where someone is there to see it: on standard error, or in a notebook."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from html import escape
from typing import TypeVar

from onecycle.notebook import CellOutput, Html, in_notebook

T = TypeVar("T")
SECONDS_BETWEEN_UPDATES = 0.5


def progress(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield `items` while a bar shows how many of `total` are done; it goes away at the end."""
    if in_notebook():
        yield from _in_notebook(items, description, total)
        return
    from rich.console import Console  # models in use tokenize without it
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    yield from track(items, description, total=total, console=console, transient=True)


def _in_notebook(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Show nothing of what is done at once; the bar's place stays empty in the saved notebook."""
    output, shown_at, began = CellOutput(), time.monotonic(), False
    for done, item in enumerate(items):
        if time.monotonic() - shown_at >= SECONDS_BETWEEN_UPDATES:
            text = f"{description}: {done:,} of {total:,}"
            output.show(Html(f'<progress value="{done}" max="{total}"></progress> {escape(text)}', text))
            shown_at, began = time.monotonic(), True
        yield item
    if began:
        output.show(Html(""))
