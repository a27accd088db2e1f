"""Reads the values of options that are more than one word or number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from onecycle.errors import DataError
from onecycle.recipes.options import BatchSize, Colours, Columns, Epochs, Held, Ignore, Range, Size, Sizes, Values
from onecycle.train.options import LearningRate, Names


def parse_numbers(flag: str, text: str) -> int | list[int]:
    """Read "3" as a number, and "3,2" as a list."""
    try:
        numbers = [int(each) for each in text.split(",")]
    except ValueError:
        raise DataError(f"{flag} {text}.", "whole numbers separated by commas.", f"pass {flag} 3 or 3,2.") from None
    return numbers if len(numbers) > 1 else numbers[0]


def parse_sizes(flag: str, text: str) -> list[Size]:
    """Read "64,128" or "90x120,180x240", height first."""
    sizes: list[Size] = []
    for each in text.split(","):
        sides = [side.strip() for side in each.lower().split("x")]
        if not all(side.isdecimal() for side in sides) or len(sides) > 2:
            raise DataError(
                f"{flag} {text}.", "numbers, or height x width, separated by commas.",
                f"pass {flag} 64,128 or 180x240.",
            )  # fmt: skip
        sizes.append(int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1])))
    return sizes


def parse_columns(flag: str, text: str) -> str | list[str]:
    """Read "a" as a name, and "a, b" as a list."""
    names = [each.strip() for each in text.split(",")]
    if not all(names):
        raise DataError(f"{flag} {text}.", "names separated by commas.", f"pass {flag} left_x,left_y.")
    return names if len(names) > 1 else names[0]


def parse_batch_size(flag: str, text: str) -> Any:
    """Read a whole number or "auto"."""
    if text == "auto":
        return text
    if not text.isdecimal():
        raise DataError(f"{flag} {text}.", "a whole number or auto.", f"pass {flag} 32.")
    return int(text)


def parse_learning_rate(flag: str, text: str) -> Any:
    """Read a number or "auto"."""
    try:
        return "auto" if text == "auto" else float(text)
    except ValueError:
        raise DataError(f"{flag} {text}.", "a number or auto.", f"pass {flag} 0.003.") from None


def parse_held(flag: str, text: str) -> Any:
    """Read a fraction, or the name of a folder, a file or a column."""
    try:
        return float(text)
    except ValueError:
        return text


def parse_values(flag: str, text: str) -> list[int]:
    """Read "0,255" as a list of numbers."""
    numbers = parse_numbers(flag, text)
    return numbers if isinstance(numbers, list) else [numbers]


def parse_range(flag: str, text: str) -> list[float]:
    """Read "0,4095" as two numbers."""
    try:
        low, high = (int(each) if each.strip().lstrip("-").isdecimal() else float(each) for each in text.split(","))
    except ValueError:
        raise DataError(
            f"{flag} {text}.", "two numbers separated by a comma: black and white.", f"pass {flag} 0,4095."
        ) from None
    return [low, high]


def parse_colours(flag: str, text: str) -> Any:
    """Read "0,0,0;128,64,0" as colours, and anything else as the name of a file."""
    try:
        return [tuple(int(value) for value in colour.split(",")) for colour in text.split(";")]
    except ValueError:
        return text


def parse_choice(flag: str, text: str, allowed: Sequence[str]) -> Any:
    """Read one of several words."""
    if text not in allowed:
        raise DataError(f"{flag} {text}.", f"one of: {', '.join(allowed)}.", f"pass {flag} {allowed[0]}.")
    return text


@dataclass(frozen=True)
class ValueType:
    """How the values of a type are written on the command line.

    Attributes:
        metavar: Shown in the help.
        parse: Reads a value, given the flag and the text.
    """

    metavar: str
    parse: Callable[[str, str], Any]


# Option types that Typer does not read itself, by type.
VALUE_TYPES: dict[Any, ValueType] = {
    Epochs: ValueType("N,...", parse_numbers),
    Sizes: ValueType("N|HxW,...", parse_sizes),
    Names: ValueType("NAME,...", lambda flag, text: [name.strip() for name in text.split(",")]),
    Columns: ValueType("NAME,...", parse_columns),
    Held: ValueType("FOLDER|FILE|COLUMN", parse_held),
    Values: ValueType("N,...", parse_values),
    Range: ValueType("LOW,HIGH", parse_range),
    Ignore: ValueType("NAME|VALUE", lambda flag, text: text),
    Colours: ValueType("R,G,B;...|FILE", parse_colours),
    BatchSize: ValueType("N|auto", parse_batch_size),
    LearningRate: ValueType("RATE|auto", parse_learning_rate),
}
