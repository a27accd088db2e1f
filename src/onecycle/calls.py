"""Calls that cannot work, told in three lines instead of Python's one: wrong names, missing arguments, wrong types.

Nothing is checked while calls work: only when one has failed are its arguments compared with the signature.
"""

from __future__ import annotations

import functools
import inspect
import os
from abc import ABCMeta
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from onecycle.errors import CallError, OnecycleError, some, with_article
from onecycle.foreign_names import foreign_positions, missing_attribute, unknown_options

P = ParamSpec("P")
R = TypeVar("R")
ClassT = TypeVar("ClassT", bound=type)

LONGEST_VALUE = 60
# What to write where an argument should be one of these, by the name of the class.
_HOW_TO_MAKE = {
    "ItemList": "make a list first, such as ImageList.from_folder(folder) or ImageList.from_paths([path, ...])",
    "DataBunch": "call databunch() on the labelled items first",
    "Target": "pass an instance of a class that derives from onecycle.Target",
}


def explained(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: where arguments do not fit the signature, the error says what was passed and what to pass instead.

    Example:
        >>> @explained
        ... def databunch(batch_size: int = 64): ...
        >>> databunch(bs=32)
        Traceback (most recent call last):
        onecycle.errors.CallError: databunch() has no option bs=.
        Expected one of: batch_size.
        Fix: use batch_size= instead of bs=.
    """

    @functools.wraps(function)
    def call(*arguments: P.args, **keywords: P.kwargs) -> R:
        try:
            return function(*arguments, **keywords)
        except OnecycleError as error:
            # Of calls within calls, the outermost is the one that was written.
            if isinstance(error, CallError) and (own := explain_call(function, arguments, keywords)):
                raise own from None
            raise
        except (TypeError, ValueError, AttributeError, LookupError, RuntimeError) as error:
            if own := explain_call(function, arguments, keywords):
                raise own from error
            raise

    return call


def check_options(caller: str, function: Callable[..., Any], options: Iterable[str]) -> None:
    """Refuse options that a function does not have, beside its first two arguments.

    Raises:
        CallError: It does not have one.
    """
    parameters = list(inspect.signature(function).parameters.values())[2:]
    known = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD]
    unknown = [name for name in options if name not in known]
    if unknown and len(known) == len(parameters):
        raise unknown_options(caller, unknown, known)


def explains_calls(cls: ClassT) -> ClassT:
    """Class decorator: `explained` for all public methods, and an explanation for methods that do not exist."""
    for name, member in list(vars(cls).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if inspect.isfunction(member):
            setattr(cls, name, explained(member))
        elif isinstance(member, classmethod | staticmethod):
            setattr(cls, name, type(member)(explained(member.__func__)))
    if "__getattr__" not in vars(cls):
        cls.__getattr__ = _explain_attribute  # type: ignore[attr-defined]
    return cls


class ExplainingMeta(ABCMeta):
    """Metaclass that explains missing class methods, such as `ImageList.from_df`."""

    if not TYPE_CHECKING:  # type checkers must not take every name for a method

        def __getattr__(cls, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
            raise missing_attribute(cls, name)


def _explain_attribute(self: Any, name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
    if name in dir(type(self)):  # a property that raised an AttributeError: raise it again
        return object.__getattribute__(self, name)
    raise missing_attribute(type(self), name)


def explain_call(function: Callable[..., Any], arguments: Sequence[Any], keywords: dict[str, Any]) -> CallError | None:
    """Return the error for a call whose arguments do not fit the function's signature; None where they do."""
    signature = inspect.signature(function)
    caller = _name(function)
    try:
        bound = signature.bind(*arguments, **keywords)
    except TypeError:
        return _explain_binding(caller, signature, arguments, keywords)
    for name, value in bound.arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        hint = _resolve(parameter.annotation, function)
        if not _fits(value, hint):
            return _wrong_type(caller, parameter, value, hint, function)
    return None


def _name(function: Callable[..., Any]) -> str:
    *_, owner, name = ["", *function.__qualname__.split(".")]
    return owner if name == "__init__" else name


def _explain_binding(
    caller: str, signature: inspect.Signature, arguments: Sequence[Any], keywords: dict[str, Any]
) -> CallError:
    parameters = {name: each for name, each in signature.parameters.items() if name not in ("self", "cls")}
    known = [name for name, each in parameters.items() if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    takes_more = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    if not takes_more and (unknown := [name for name in keywords if name not in known]):
        return unknown_options(caller, unknown, known)
    passed = list(arguments)[len(signature.parameters) - len(parameters) :]
    by_position = [name for name in known if parameters[name].kind is not inspect.Parameter.KEYWORD_ONLY]
    if len(passed) > len(by_position):
        others = some((f"{name}=" for name in known if name not in by_position), 12)
        by_name = f"pass the others by name: {others}." if others else "remove the rest."
        return CallError(
            f"{caller}() got {len(passed)} arguments by position: {some(map(_shown, passed))}.",
            f"at most {len(by_position)}" + (f": {', '.join(by_position)}." if by_position else "."),
            foreign_positions(caller, passed) or by_name,
        )
    filled = {*by_position[: len(passed)]} & keywords.keys()
    if filled:
        return CallError(
            f"{caller}() got {some(f'{name}=' for name in filled)} twice: by position and by name.", "one of them.",
            "remove one.",
        )  # fmt: skip
    needed = [name for name in known if parameters[name].default is inspect.Parameter.empty]
    missing = [name for name in needed if name not in keywords and name not in by_position[: len(passed)]]
    return CallError(
        f"{caller}() got no {some(f'{name}=' for name in missing)}.",
        f"{caller}({', '.join([*needed, *(['...'] if len(known) > len(needed) else [])])}).",
        f"pass {some(f'{name}=...' for name in missing)}.",
    )


def _wrong_type(
    caller: str, parameter: inspect.Parameter, value: Any, hint: Any, function: Callable[..., Any]
) -> CallError:
    name, words = parameter.name, _either(_words(hint))
    return CallError(
        f"{caller}() got {name}={_shown(value)}, of type {type(value).__name__}.", f"{words}.",
        f"{_fix(name, value, hint, parameter.default)}.",
    )  # fmt: skip


def _fix(name: str, value: Any, hint: Any, default: Any) -> str:
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for option in options:
        if option in (int, float) and isinstance(value, str) and _is_number(value, option):
            return f"pass {name}={value}, without quotes"
        if _is_list(option) and _fits(value, (get_args(option) or (Any,))[0]):
            return f"pass {name}=[{_shown(value)}]"
        if (made := getattr(get_origin(option) or option, "__name__", "")) in _HOW_TO_MAKE:
            return _HOW_TO_MAKE[made]
    out = "" if default is inspect.Parameter.empty else f", or leave {name}= out"
    return f"pass {_either(word for word in _words(hint) if word != 'None')} as {name}={out}"


def _either(words: Iterable[str]) -> str:
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} or {last}" if most else last


def _is_number(text: str, kind: type) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _resolve(annotation: Any, function: Callable[..., Any]) -> Any:
    """Return an annotation as an object; what only type checkers import is taken as anything."""
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, getattr(inspect.unwrap(function), "__globals__", {}))
    except Exception:  # a name that only type checkers know
        return Any


def _is_list(hint: Any) -> bool:
    return (get_origin(hint) or hint) in (list, set, frozenset, Sequence, Iterable)


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of the type that a hint names; unknown hints fit all."""
    if hint is Any:
        return True
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return any(value is part or (isinstance(value, type(part)) and value == part) for part in parts)
    if hint in (None, NoneType):
        return value is None
    if origin is tuple:
        items = isinstance(value, tuple | list)
        return items and (Ellipsis in parts or len(value) == len(parts)) and all(map(_fits, value, _cycled(parts)))
    if _is_list(hint):
        return _fits_list(value, parts[0] if parts else Any)
    if (origin or hint) is Callable:
        return callable(value)
    if hint in (int, float):
        return isinstance(value, Integral if hint is int else Real)
    if getattr(hint, "_is_protocol", False):  # most cannot be checked at run time
        return True
    if hint is os.PathLike or getattr(hint, "__name__", "") in ("Path", "PurePath"):
        return isinstance(value, os.PathLike)
    return isinstance(value, origin or hint) if isinstance(origin or hint, type) else True


def _cycled(parts: Sequence[Any]) -> Iterable[Any]:
    return (parts[0] for _ in iter(int, 1)) if Ellipsis in parts else parts


def _fits_list(value: Any, part: Any) -> bool:
    """Return whether a value is a list, or an array or column that can be used as one."""
    if isinstance(value, str | bytes):
        return isinstance(value, str) and part is str
    if isinstance(value, list | tuple | set | frozenset):
        return all(_fits(one, part) for one in value)
    return isinstance(value, Iterable) and not isinstance(value, os.PathLike | dict)


def _words(hint: Any) -> list[str]:
    """Return a hint in words, an entry for each thing that may be passed."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return [word for part in parts for word in _words(part)]
    if origin is Literal:
        return [repr(part) for part in parts]
    if hint in (None, NoneType):
        return ["None"]
    if origin is tuple:
        return ["(" + ", ".join("..." if part is ... else _words(part)[0] for part in parts) + ")"]
    if _is_list(hint):
        return ["a list" + (f" of {_plural(parts[0])}" if parts and parts[0] is not Any else "")]
    if (origin or hint) is Callable:
        return ["a function"]
    name = getattr(origin or hint, "__name__", str(hint))
    words = {"str": "a string", "int": "a whole number", "float": "a number", "bool": "True or False", "Path": "a path"}
    return [words.get(name, with_article(name))]


def _plural(hint: Any) -> str:
    first = _words(hint)[0]
    return {"a string": "strings", "a whole number": "whole numbers", "a number": "numbers"}.get(first, first)


def _shown(value: Any) -> str:
    text = getattr(value, "__name__", None) if callable(value) else repr(value)
    if text is None or len(text) > LONGEST_VALUE or "\n" in text:
        return with_article(type(value).__name__)
    return text
