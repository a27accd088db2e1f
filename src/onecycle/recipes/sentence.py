"""Calls as data: what is printed is what is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import onecycle


@dataclass(frozen=True)
class Call:
    """A call that can be printed as code and run: the printed sentence is the one that is run."""

    name: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        written = [_code(value) for value in self.arguments]
        written += [f"{name}={_code(value)}" for name, value in self.options.items()]
        return f"{self.name}({', '.join(written)})"

    def run(self, on: Any) -> Any:
        """Call the function or method called `name` of `on`."""
        for part in self.name.split("."):
            on = getattr(on, part)
        return on(*map(_value, self.arguments), **{name: _value(value) for name, value in self.options.items()})


@dataclass(frozen=True)
class Sentence:
    """The data block from input to loaders, and the learner, as calls.

    Attributes:
        labelled: From the inputs to labels.
        prepared: From labels to loaders.
        learner: The learner's call, less the bunch.
        train: The training call.
        precision: The call that sets the precision, or None.
    """

    labelled: tuple[Call, ...]
    prepared: tuple[Call, ...]
    learner: Call
    train: Call
    precision: Call | None = None

    def __str__(self) -> str:
        first, *rest = (*self.labelled, *self.prepared)
        learner = Call(self.learner.name, (_Name("bunch"), *self.learner.arguments), self.learner.options)
        return "\n".join([
            "bunch = (", f"    oc.{first}", *(f"    .{call}" for call in rest), ")",
            f"learner = oc.{learner}{f'.{self.precision}' if self.precision else ''}", f"learner.{self.train}",
        ])  # fmt: skip


@dataclass(frozen=True)
class Function:
    """One of the library's own functions, given as an argument, such as `oc.biwi.head_centre`."""

    name: str

    def resolve(self) -> Any:
        """Return the function itself."""
        on: Any = onecycle
        for part in self.name.split("."):
            on = getattr(on, part)
        return on


class _Name(str):
    """A name in the printed code, and no text."""


def _code(value: Any) -> str:
    if isinstance(value, Call):
        return f"oc.{value}"
    if isinstance(value, Function):
        return f"oc.{value.name}"
    if isinstance(value, list):
        return f"[{', '.join(map(_code, value))}]"
    if isinstance(value, str) and not isinstance(value, _Name):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def _value(value: Any) -> Any:
    if isinstance(value, Call):
        return value.run(onecycle)
    if isinstance(value, Function):
        return value.resolve()
    return [_value(one) for one in value] if isinstance(value, list) else value
