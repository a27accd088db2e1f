"""A measured value beside what was promised, for corrections.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measured value beside its promise.

    Attributes:
        what: What was measured, and on what.
        value: The value.
        promised: The limit; None where nothing was promised.
        at_most: The value must not be above the limit; otherwise, not below it.
    """

    what: str
    value: float
    promised: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool:
        if self.promised is None:
            return True
        return self.value <= self.promised if self.at_most else self.value >= self.promised

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        promise = "" if self.promised is None else f" ({sign} {self.promised:g}: {'met' if self.met else 'MISSED'})"
        return f"{self.what}: {self.value:.3f}{promise}"
