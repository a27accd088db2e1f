from __future__ import annotations

from pathlib import PureWindowsPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

import onecycle as oc
from onecycle.recipes.code import Given, given, is_literal, quoted, source


@examples(st.text())
def test_a_quoted_text_evaluates_to_itself(text: str) -> None:
    assert eval(quoted(text)) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("plain", '"plain"'),
        ("it's", '"it\'s"'),
        ('a "b"', '"a \\"b\\""'),
        ("C:\\data\\new", '"C:\\\\data\\\\new"'),
        ("a\nb", '"a\\nb"'),
        ("Grüße", '"Grüße"'),
        ("\udcff", '"\\udcff"'),
    ],
)
def test_texts_are_written_in_double_quotes(text: str, code: str) -> None:
    assert quoted(text) == code


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "None"),
        (True, "True"),
        (3, "3"),
        (1e-5, "1e-05"),
        (np.int64(3), "3"),
        (np.float32(0.5), "0.5"),
        ([1, (2, 3)], "[1, (2, 3)]"),
        ((1,), "(1,)"),
        ((), "()"),
        ({"a": [None]}, '{"a": [None]}'),
        (slice(1e-5, 0.5), "slice(1e-05, 0.5, None)"),
        (PureWindowsPath("C:/a b"), '"C:\\\\a b"'),
    ],
    ids=repr,
)
def test_values_are_written_as_literals(value: Any, code: str) -> None:
    assert source(value) == code
    assert is_literal(value)
    assert eval(code) == (str(value) if isinstance(value, PureWindowsPath) else value)


def test_a_literal_is_passed_as_it_is() -> None:
    assert given("clip", 0.5, oc) == 0.5


def test_a_public_dataclass_is_written_as_a_call() -> None:
    mix = oc.Mixup(0.4)
    passed = given("mix", mix, oc)
    assert str(passed) == "oc.Mixup(alpha=0.4)"
    assert eval(str(passed), {"oc": oc}) == mix
    assert passed.value is mix


@pytest.mark.parametrize("value", [print, object()], ids=["function", "object"])
def test_any_other_object_is_written_as_the_option_that_it_was_passed_as(value: Any) -> None:
    assert given("loss", value, oc) == Given("loss", value)
    assert str(given("loss", value, oc)) == "loss"


def test_objects_in_a_list_are_written_one_by_one() -> None:
    assert list(map(str, given("metrics", [print, "f1"], oc))) == ["metrics[0]", "f1"]
