"""Ctrl-C and SIGTERM end training between two steps, never within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in a notebook: ends the cell, and those that wait to run, with one line instead of a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class Interruption:
    """While the context lasts, a signal that comes in `held()` takes effect at its end; a second one at once.

    Ctrl-C raises KeyboardInterrupt, and SIGTERM, which schedulers send, SystemExit(143), so that a checkpoint can still
    be written. Handlers of the user's own are called instead. Signals reach the main thread alone; in another thread
    this does nothing.

    Args:
        shared: Other processes must end at the same point: a signal waits, also beyond `held()`, until `act()`.

    Attributes:
        broken: Whether a second signal came, so that something may be half done.

    Example:
        >>> with Interruption() as interruption, interruption.held():
        ...     weights = 1  # an optimizer step, which Ctrl-C would leave half done
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.shared = shared
        self._previous: dict[int, Any] = {}
        self._held = self._signalled = self.broken = False
        self._pending: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if handler not in (signal.SIG_IGN, None):
                    self._previous[number] = handler
                    signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold a signal back until the end of the context."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if not self.shared:
            self.act()

    def act(self) -> None:
        """Let the signal that was held back take effect."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self._act(*pending)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, self._signalled = not self._signalled, True
        if (self._held or self.shared) and first:
            self._pending = (number, frame)
        else:
            self.broken = not first
            self._act(number, frame)

    def _act(self, number: int, frame: FrameType | None) -> None:
        handler = self._previous[number]
        if callable(handler):
            handler(number, frame)
            self._signalled = self.broken = False  # it ends nothing
        else:
            raise SystemExit(128 + number)
