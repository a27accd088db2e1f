"""Attributes that an object shows of its state."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class FromState(Generic[T]):
    """An attribute or method that `self.state` has under the same name.

    Example:
        >>> class Face:
        ...     real: FromState[float] = FromState()
        ...     def __init__(self, state):
        ...         self.state = state
        >>> Face(3 + 4j).real
        3.0
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, holder: Any, owner: type | None = None) -> T:
        value: T = getattr(holder.state, self.name)
        return value

    def __set__(self, holder: Any, value: T) -> None:
        setattr(holder.state, self.name, value)
