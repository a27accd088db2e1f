"""An item that is no file of its own. Nothing here imports more than Python itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Contents:
    """An item that is no file of its own.

    Attributes:
        name: For messages.
        data: Its bytes.
        label: Its label, where that is read together with it.
    """

    name: str
    data: bytes
    label: Any = None
