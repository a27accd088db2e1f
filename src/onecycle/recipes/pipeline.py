"""Calls as data: the code that is printed is the code that is run."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from onecycle.recipes.code import Given, source

# What an object of the user is called, in code such as `callbacks[0]`.
_NAMES = re.compile(r"\b([a-z_]\w*)(?=\[|$)")


def public_package() -> ModuleType:
    """Return the package whose public names the printed code uses. It is loaded by name: it imports the recipes."""
    return importlib.import_module("onecycle")


@dataclass(frozen=True)
class Call:
    """A call of a method, or of a public function of the package.

    Attributes:
        name: Of the method or function, with dots for what is inside a module or class.
        arguments: By position. Calls among them are calls of public functions.
        options: By name.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        written = [_source(value) for value in self.arguments]
        written += [f"{name}={_source(value)}" for name, value in self.options.items()]
        return f"{self.name}({', '.join(written)})"

    def run(self, owner: Any, package: ModuleType) -> Any:
        """Make the call.

        Args:
            owner: The object whose method is called, or the package.
            package: Where public functions among the arguments are looked up.
        """
        options = {name: _value(value, package) for name, value in self.options.items()}
        return _attribute(owner, self.name)(*(_value(value, package) for value in self.arguments), **options)


@dataclass(frozen=True)
class Function:
    """A public function as an argument, such as `oc.biwi.head_centre`."""

    name: str

    def __str__(self) -> str:
        return f"oc.{self.name}"


@dataclass(frozen=True)
class Variable:
    """A variable of the printed code."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Pipeline:
    """All calls from the files to a trained model.

    Attributes:
        items: The call that finds the inputs.
        labelled: Calls that split and label them.
        loaders: Calls from labels to loaders.
        learner: The call that makes the learner, without the data.
        train: The call that trains it.
        precision: The call that sets the precision of the learner, or None.
        finish: Calls on the learner after training.
        findings: What was found in the files, and from what evidence; comments above the code.
    """

    items: Call
    labelled: tuple[Call, ...]
    loaders: tuple[Call, ...]
    learner: Call
    train: Call
    precision: Call | None = None
    finish: tuple[Call, ...] = ()
    findings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([*(f"# {found}" for found in self.findings), self.code])

    @property
    def code(self) -> str:
        """The calls as a program, without the findings."""
        learner = Call(self.learner.name, (Variable("bunch"), *self.learner.arguments), self.learner.options)
        lines = [
            "bunch = (", f"    oc.{self.items}", *(f"    .{call}" for call in (*self.labelled, *self.loaders)), ")",
            f"learner = oc.{learner}{f'.{self.precision}' if self.precision else ''}",
            *(f"learner.{call}" for call in (self.train, *self.finish)),
        ]  # fmt: skip
        codes = [each.code for each in self._given() if not each.code.startswith("oc.")]
        names = sorted({name for code in codes for name in _NAMES.findall(code)})
        note = [f"# {', '.join(names)}: the objects that were passed."] if names else []
        return "\n".join([*note, *lines])

    def _given(self) -> list[Given]:
        return [*_given(self.items), *(one for call in self.labelled for one in _given(call)), *_given(self.learner)]

    def find_items(self) -> Any:
        """Return the inputs: a list of images or texts."""
        package = public_package()
        return self.items.run(package, package)

    def label(self, items: Any) -> Any:
        """Return the inputs split and labelled."""
        return _chained(items, self.labelled)

    def make_learner(self, labelled: Any) -> Any:
        """Return the learner of labelled inputs, ready to train."""
        package = public_package()
        bunch = _chained(labelled, self.loaders)
        learner = Call(self.learner.name, (bunch, *self.learner.arguments), self.learner.options).run(package, package)
        return _chained(learner, [self.precision] if self.precision else [])

    def run_training(self, learner: Any) -> None:
        """Train a learner."""
        self.train.run(learner, public_package())

    def run_finish(self, learner: Any) -> None:
        """Make the calls after training."""
        for call in self.finish:
            call.run(learner, public_package())


def _chained(owner: Any, calls: Iterable[Call]) -> Any:
    package = public_package()
    for call in calls:
        owner = call.run(owner, package)
    return owner


def _attribute(owner: Any, name: str) -> Any:
    for each in name.split("."):
        owner = getattr(owner, each)
    return owner


def _source(value: Any) -> str:
    if isinstance(value, Call):
        return f"oc.{value}"
    return f"[{', '.join(map(_source, value))}]" if isinstance(value, list) else source(value)


def _value(value: Any, package: ModuleType) -> Any:
    if isinstance(value, Call):
        return value.run(package, package)
    if isinstance(value, Function):
        return _attribute(package, value.name)
    if isinstance(value, Given):
        return value.value
    return [_value(each, package) for each in value] if isinstance(value, list) else value


def _given(call: Call) -> list[Given]:
    """Return the user's objects among a call's options."""
    values = [*call.arguments]
    values += [one for value in call.arguments if isinstance(value, Call) for one in _given(value)]
    for value in call.options.values():
        values += value if isinstance(value, list) else [value]
    return [value for value in values if isinstance(value, Given)]
