"""Frozen dataclasses as JSON and back: the default of every target and modality."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from onecycle.errors import DataError


def json_fields(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass as JSON can hold them: tuples become lists."""
    if not is_dataclass(value):
        return {}
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value) if field.init}


def fields_from_json(config: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that `json_fields` described: lists become tuples."""
    return {name: _frozen(value) for name, value in config.items() if name != "kind"}


def check_fields(value: Any) -> None:
    """Check that each field of a dataclass is of the type that it is declared to have, and each number finite.

    Python itself does not: `Category("cat")` has the classes "c", "a" and "t".

    Raises:
        DataError: One is of another type.
    Example:
        >>> from onecycle.data.categories import Category
        >>> check_fields(Category(("cat", "dog")))
    """
    cls: Any = type(value)
    hints = _hints(cls) if is_dataclass(value) else {}
    for field in fields(value) if hints else ():
        if not _fits(getattr(value, field.name), hints[field.name]):
            raise DataError(
                f"{cls.__name__} has {field.name}={getattr(value, field.name)!r}.",
                f"{field.type}, with finite numbers.",
                f"check {field.name}.",
            )


@cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return get_type_hints(cls)


def _fits(value: Any, hint: Any) -> bool:
    kind, arguments = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in arguments)
    if kind is Literal:
        return isinstance(value, str) and value in arguments
    if kind is tuple:
        each = arguments[:1] * len(value) if arguments[1:] == (...,) and isinstance(value, tuple) else arguments
        return isinstance(value, tuple) and len(value) == len(each) and all(map(_fits, value, each))
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    if hint in (int, str, bool, NoneType):
        return type(value) is hint
    return hint is Any or not isinstance(hint, type) or isinstance(value, hint)


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
