"""Fields of an options dataclass: each holds its default, its help text and the values that it accepts."""

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, TypeVar

from onecycle.errors import ModelError

ClassT = TypeVar("ClassT")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Rule:
    """The values that an option accepts.

    Attributes:
        accepts: Returns whether a value is valid. None is always valid where it is the default.
        expected: The valid values in words, for an error message.
        example: A valid value, for an error message.
    """

    accepts: Callable[[Any], bool]
    expected: str
    example: str


def is_number(value: Any) -> bool:
    """Return whether `value` is a real number. True and False are not numbers here."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Return whether `value` is a whole number. True and False are not numbers here."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def option(
    default: Any,
    help: str,
    *,
    rule: Rule | None = None,
    formerly: str | None = None,
    shell: bool = True,
    panel: str = "Training",
    changes_weights: bool = True,
) -> Any:
    """Return a dataclass field for an option.

    Args:
        default: Its default value.
        help: Its meaning, in full sentences. The command line, docstrings and the documentation show it.
        rule: The values that it accepts; None accepts all.
        formerly: A deprecated name that is still accepted.
        shell: Whether the command line has this option.
        panel: The group of options in which the command line lists it.
        changes_weights: Whether another value may lead to another model; comparisons of runs leave out others.
    """
    metadata = {
        "help": help,
        "rule": rule,
        "formerly": formerly,
        "shell": shell,
        "panel": panel,
        "changes_weights": changes_weights,
    }
    return dataclasses.field(default=default, metadata=metadata)


def ordered_fields(options_class: Any) -> list[dataclasses.Field[Any]]:
    """Return the options in the order in which they are listed: those of the class itself before inherited ones."""
    fields = {field.name: field for field in dataclasses.fields(options_class)}
    own = [name for name in inspect.get_annotations(options_class) if name in fields]
    return [fields[name] for name in (*own, *(name for name in fields if name not in own))]


def check_values(options: Any) -> None:
    """Check each option's value against its rule.

    Raises:
        ModelError: A value is not accepted.
    """
    for field in dataclasses.fields(options):
        rule, value = field.metadata["rule"], getattr(options, field.name)
        if rule is None or (value is None and field.default is None):
            continue
        if not rule.accepts(value):
            raise ModelError(f"{field.name}={value!r}.", rule.expected, f"pass {field.name}={rule.example}.")


def describe(options_class: type, indent: str = "    ") -> str:
    """Return the options and their help texts, as a docstring lists them."""
    return "\n".join(
        textwrap.fill(
            f"{field.name}: {field.metadata['help']}", 120, initial_indent=indent, subsequent_indent=f"{indent}    "
        )
        for field in ordered_fields(options_class)
    )


def document_fields(options_class: type[ClassT]) -> type[ClassT]:
    """Class decorator that adds the options and their help texts to the docstring, as its attributes."""
    attributes = describe(options_class)
    options_class.__doc__ = f"{inspect.cleandoc(options_class.__doc__ or '')}\n\nAttributes:\n{attributes}\n"
    return options_class


def add_option_help(text: str, options_class: type) -> str:
    """Return a docstring, not indented, with the help text of every option after its line `options: ...`."""

    def extended(line: re.Match[str]) -> str:
        return f"{line[0]}\n{describe(options_class, line[1])}"

    return re.sub(r"^( *)options: .*$", extended, inspect.cleandoc(text), count=1, flags=re.MULTILINE)


def takes_options(options_class: type) -> Callable[[FunctionT], FunctionT]:
    """Return a decorator for a function that is declared with `**options: Any`.

    The decorated function is the same object. Its signature and its docstring list every option of `options_class`, so
    that `help()`, notebooks and editors show them.

    Example:
        >>> from onecycle.train.options import TrainOptions
        >>> @takes_options(TrainOptions)
        ... def make_learner(data, **options): ...
        >>> "weight_decay" in inspect.signature(make_learner).parameters
        True
    """

    def decorate(function: FunctionT) -> FunctionT:
        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        added = [
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
            for field in ordered_fields(options_class)
            if field.name not in signature.parameters
        ]
        function.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        if function.__doc__:
            function.__doc__ = add_option_help(function.__doc__, options_class)
        return function

    return decorate
