"""Cleaning rules, by name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onecycle.errors import DataError
from onecycle.text.cleaning import RULE_NAMES, RULES, check_rules, clean

PERSIAN = "می‌خواهم"  # with the joiner that separates two letters
FAMILY = "👨‍👩‍👧"


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("Great.<br /><br />Fun", "Great.\nFun"),
        ("a<BR>b</p>c", "a\nb\nc"),
        ("Tom &amp; Jerry&#39;s &lt;3", "Tom & Jerry's <3"),
        ("&amp;quot;twice&amp;quot;", '"twice"'),
        ("nu\0ll\x07", "null"),
        ("it\x92s \x93good\x94\x85", "it’s “good”…"),
        ("\ufeffmark", "mark"),
        ("cafe\u0301", "caf\u00e9"),
        ("  a \t b \r\n\n\n c  ", "a b\nc"),
        ("lone \ud800 half", "lone \ufffd half"),
        ("שלום עולם", "שלום עולם"),
        (PERSIAN, PERSIAN),
        (FAMILY, FAMILY),
        ("1 < 2 and 3 > 2 & all", "1 < 2 and 3 > 2 & all"),
        (" \0\n<br />", ""),
    ],
)
def test_clean(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_a_cleaned_text_can_be_encoded_as_utf8(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.encode("utf-8").decode() == cleaned
    assert "\0" not in cleaned


@settings(max_examples=200, deadline=None)
@given(st.text("ab &;#<br/>pltqu\n\t\x85\xe9\u0301", max_size=30))
def test_a_clean_text_does_not_change(text: str) -> None:
    assert clean(clean(clean(text))) == clean(clean(text))


def test_rules_can_be_selected() -> None:
    assert RULE_NAMES == ("entities", "characters", "breaks", "unicode", "spaces")
    assert all(rule.description for rule in RULES)
    assert clean("a<br />&amp;", ["entities"]) == "a<br />&"
    assert check_rules(["spaces", "entities"]) == ("entities", "spaces")
    assert check_rules("spaces") == ("spaces",)
    assert check_rules([]) == ()


def test_an_unknown_rule_is_an_error() -> None:
    with pytest.raises(
        DataError, match=r"Unknown cleaning rule 'space'.\nExpected some of: .*\nFix: .*Did you mean 'spaces'"
    ):
        check_rules(["space"])
