"""Makes the options of a command from the fields of an options dataclass, and the dataclass from what was passed."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import typer

from onecycle.cli.parsing import VALUE_TYPES, parse_choice
from onecycle.recipes.options import choices
from onecycle.train.option_fields import ordered_fields

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
OptionsT = TypeVar("OptionsT")
# A wider column of values would leave no room for the help texts.
_WIDEST = 20
PANELS = ("Data", "Model", "Training", "Memory")


def flag_of(name: str) -> str:
    """Return the command line's name of an option."""
    return f"--{name.replace('_', '-')}"


def shell_fields(options_class: Any, panels: Sequence[str] = PANELS) -> list[dataclasses.Field[Any]]:
    """Return the options that the command line has, in the order of its panels."""
    fields = [field for field in ordered_fields(options_class) if field.metadata["shell"]]
    return [field for panel in panels for field in fields if field.metadata["panel"] == panel]


def takes_shell_options(options_class: type, panels: Sequence[str] = PANELS) -> Callable[[FunctionT], FunctionT]:
    """Return a decorator for a command that is declared with `**options: Any`.

    Typer reads the command's signature, so it gets a parameter for each option of `options_class` in `panels`, and a
    hidden one for each deprecated name.
    """

    def decorate(function: FunctionT) -> FunctionT:
        signature = inspect.signature(function, eval_str=True)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        fields = shell_fields(options_class, panels)
        added = [_parameter(field) for field in fields]
        added += [_old_parameter(field) for field in fields if field.metadata["formerly"]]
        function.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        return function

    return decorate


def read_options(options_class: type[OptionsT], passed: dict[str, Any]) -> OptionsT:
    """Return the options from the values that Typer read.

    Raises:
        DataError: A value cannot be read.
        ModelError: A value is not valid.
    """
    values: dict[str, Any] = {}
    for field in shell_fields(options_class):
        old = field.metadata["formerly"]
        if old and passed.get(old) is not None:
            typer.echo(f"Note: {flag_of(old)} is now called {flag_of(field.name)}.", err=True)
            values[field.name] = _parsed(field, passed[old])
        elif can_be_turned_off(field):
            values[field.name] = not passed.get(f"no_{field.name}", False)
        elif field.name in passed:
            values[field.name] = _parsed(field, passed[field.name])
    return options_class(**values)


def given_options(options_class: type, passed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that differ from their defaults, of those that Typer read."""
    fields = shell_fields(options_class)
    usual = {parameter.name: parameter.default for parameter in map(_parameter, fields)}
    return {name: value for name, value in passed.items() if value != usual.get(name)}


def _parameter(field: dataclasses.Field[Any]) -> inspect.Parameter:
    name, help_text, default = field.name, field.metadata["help"], field.default
    if can_be_turned_off(field):
        name, help_text, default = f"no_{name}", f"Do not {help_text[0].lower()}{help_text[1:]}", False
    option = typer.Option(
        flag_of(name),
        help=help_text,
        rich_help_panel=field.metadata["panel"],
        metavar=_metavar(field),
    )
    return _keyword(name, Annotated[_shell_type(field), option], default)


def can_be_turned_off(field: dataclasses.Field[Any]) -> bool:
    """Return whether the command line has `--no-` and the name: the option is on by default."""
    return field.type is bool and field.default is True


def _old_parameter(field: dataclasses.Field[Any]) -> inspect.Parameter:
    old = field.metadata["formerly"]
    flag = f"{flag_of(old)}/{flag_of(f'no_{old}')}" if field.type is bool else flag_of(old)
    return _keyword(old, Annotated[_shell_type(field) | None, typer.Option(flag, hidden=True)], None)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _shell_type(field: dataclasses.Field[Any]) -> Any:
    """Return the type that Typer reads; text where the value is parsed here."""
    if field.type in VALUE_TYPES or choices(field.type):
        return str | None if field.default is None else str
    return Path | None if Path in get_args(field.type) else field.type


def _metavar(field: dataclasses.Field[Any]) -> str | None:
    if field.type in VALUE_TYPES:
        return VALUE_TYPES[field.type].metavar
    words = "|".join(choices(field.type))
    return (words if len(words) <= _WIDEST else "WORD") or None


def _parsed(field: dataclasses.Field[Any], value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if field.type in VALUE_TYPES:
        return VALUE_TYPES[field.type].parse(flag_of(field.name), value)
    allowed = choices(field.type)
    return parse_choice(flag_of(field.name), value, allowed) if allowed else value
