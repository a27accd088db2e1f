"""Python values as source code."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import PurePath
from types import ModuleType
from typing import Any


@dataclasses.dataclass(frozen=True)
class Given:
    """An object of the user in the printed code.

    Attributes:
        code: How it is written: the option that it was passed as, or the expression that makes it.
        value: The object itself, which is used when the code is run here.
    """

    code: str
    value: Any

    def __str__(self) -> str:
        return self.code


def source(value: Any) -> str:
    """Return Python source code for a value: a literal, or an object with source code as its text."""
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, Real):
        return repr(int(value) if isinstance(value, Integral) else float(value))  # NumPy's numbers too
    if isinstance(value, str | PurePath):
        return quoted(str(value))
    if isinstance(value, list):
        return f"[{', '.join(map(source, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(source, value))}{',' * (len(value) == 1)})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{source(key)}: {source(each)}' for key, each in value.items())}}}"
    if isinstance(value, slice):
        return f"slice({source(value.start)}, {source(value.stop)}, {source(value.step)})"
    return str(value)


def quoted(text: str) -> str:
    """Return a string literal in double quotes.

    Example:
        >>> print(quoted('C:\\\\data "new"'))
        "C:\\\\data \\"new\\""
    """
    # With a double quote in it, repr() puts the literal in single quotes, whatever follows.
    inside = repr(f'"{text}')[2:-1].replace("\\'", "'")
    return '"' + inside.replace('"', '\\"') + '"'


def is_literal(value: Any) -> bool:
    """Return whether `source` writes a value as a literal."""
    if isinstance(value, list | tuple):
        return all(map(is_literal, value))
    if isinstance(value, Mapping):
        return all(is_literal(key) and is_literal(each) for key, each in value.items())
    return value is None or isinstance(value, bool | Real | str | PurePath | slice)


def given(name: str, value: Any, package: ModuleType) -> Any:
    """Return what stands for an option's value in a call: the value itself where it has a literal, else a `Given`.

    Args:
        name: How the user refers to the value, such as "mix" or "callbacks[0]".
        value: The value.
        package: The package whose public dataclasses are written as calls, such as `oc.Mixup(alpha=0.2)`.
    """
    if is_literal(value):
        return value
    if isinstance(value, list | tuple):
        return [given(f"{name}[{number}]", each, package) for number, each in enumerate(value)]
    kind = type(value)
    if getattr(package, kind.__name__, None) is kind and dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        if is_literal(fields):
            return Given(f"oc.{kind.__name__}({', '.join(f'{key}={source(fields[key])}' for key in fields)})", value)
    return Given(name, value)
