from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from onecycle.cli.parsing import (
    parse_batch_size,
    parse_choice,
    parse_columns,
    parse_learning_rate,
    parse_numbers,
    parse_range,
    parse_sizes,
)
from onecycle.errors import DataError


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_numbers, "3", 3),
        (parse_numbers, "3, 2", [3, 2]),
        (parse_sizes, "64", [64]),
        (parse_sizes, "64,128", [64, 128]),
        (parse_sizes, "90X120, 180 x 240", [(90, 120), (180, 240)]),
        (parse_columns, "a b", "a b"),
        (parse_columns, "a, b", ["a", "b"]),
        (parse_range, "-1024, 3071", [-1024, 3071]),
        (parse_range, "0,0.5", [0, 0.5]),
        (parse_batch_size, "auto", "auto"),
        (parse_batch_size, "32", 32),
        (parse_learning_rate, "auto", "auto"),
        (parse_learning_rate, "1e-3", 1e-3),
    ],
)
def test_values_are_read(parse: Callable[[str, str], Any], text: str, value: Any) -> None:
    assert parse("--flag", text) == value


@pytest.mark.parametrize(
    ("parse", "text", "expected", "fix"),
    [
        (parse_numbers, "many", "whole numbers separated by commas.", "pass --flag 3 or 3,2."),
        (parse_numbers, "3,", "whole numbers separated by commas.", "pass --flag 3 or 3,2."),
        *(
            (parse_sizes, text, "numbers, or height x width, separated by commas.", "pass --flag 64,128 or 180x240.")
            for text in ("64x", "axb", "1x2x3", "64;128", "", "-1")
        ),
        (parse_columns, "a,,b", "names separated by commas.", "pass --flag left_x,left_y."),
        (parse_range, "12", "two numbers separated by a comma: black and white.", "pass --flag 0,4095."),
        (parse_batch_size, "-1", "a whole number or auto.", "pass --flag 32."),
        (parse_learning_rate, "fast", "a number or auto.", "pass --flag 0.003."),
    ],
)
def test_what_cannot_be_read_is_an_error(parse: Callable[[str, str], Any], text: str, expected: str, fix: str) -> None:
    with pytest.raises(DataError) as caught:
        parse("--flag", text)
    assert str(caught.value) == f"--flag {text}.\nExpected {expected}\nFix: {fix}"


def test_choices() -> None:
    assert parse_choice("--task", "tag", ["auto", "tag"]) == "tag"
    message = r"^--task sort\.\nExpected one of: auto, tag\.\nFix: pass --task auto\.$"
    with pytest.raises(DataError, match=message):
        parse_choice("--task", "sort", ["auto", "tag"])
