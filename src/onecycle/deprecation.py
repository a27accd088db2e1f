"""Old names that still work for one version, each with a warning that says the new name."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from onecycle.errors import users_level

P = ParamSpec("P")
R = TypeVar("R")


def warn_renamed(old: str, new: str) -> None:
    """Warn that `old` is now called `new`."""
    warnings.warn(f"{old} is deprecated, use {new}.", DeprecationWarning, stacklevel=users_level())


def renamed_arguments(**new_names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that accepts old keyword arguments under their new names.

    Example:
        >>> @renamed_arguments(part="split")
        ... def predict_all(split="valid"):
        ...     return split
        >>> predict_all(split="test")
        'test'
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*arguments: P.args, **keywords: P.kwargs) -> R:
            for old in new_names.keys() & keywords.keys():
                new, name = new_names[old], _called(function, arguments)
                if new in keywords:
                    raise TypeError(f"{name}() got {old}= and {new}=, which are one argument.")
                warn_renamed(f"{name}({old}=)", f"{new}=")
                keywords[new] = keywords.pop(old)
            return function(*arguments, **keywords)

        return call

    return decorate


def _called(function: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
    """Return what the user calls a function: a method by the class of its object, which may have inherited it."""
    method = hasattr(type(arguments[0]), function.__name__) if arguments else False
    return f"{type(arguments[0]).__name__}.{function.__name__}" if method else function.__qualname__


def renamed_property(old: str, new: str) -> Any:
    """Return a read-only property called `old` that warns and reads the attribute called `new`."""

    def read(self: Any) -> Any:
        warn_renamed(f"{type(self).__name__}.{old}", f"{type(self).__name__}.{new}")
        return getattr(self, new)

    return property(read)
