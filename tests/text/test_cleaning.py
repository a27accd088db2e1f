"""Cleaning rules by name, marks for capitals and repetitions, and bytes that become text."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onecycle.errors import DataError
from onecycle.text.cleaning import NAMES, RULES, check_rules, clean
from onecycle.text.encoding import check_encoding, decode
from onecycle.text.marks import mark, unmark

PERSIAN = "می‌خواهم"  # with the joiner that keeps two letters apart
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
def test_what_is_cleaned_and_what_is_left(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_any_text_can_be_cleaned_and_written(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.encode("utf-8").decode() == cleaned
    assert "\0" not in cleaned


@settings(max_examples=200, deadline=None)
@given(st.text("ab &;#<br/>pltqu\n\t\x85\xe9\u0301", max_size=30))
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    assert clean(clean(clean(text))) == clean(clean(text))


def test_rules_are_visible_and_can_be_chosen() -> None:
    assert NAMES == ("entities", "characters", "breaks", "unicode", "spaces")
    assert all(rule.does for rule in RULES)
    assert clean("a<br />&amp;", ["entities"]) == "a<br />&"
    assert check_rules(["spaces", "entities"]) == ("entities", "spaces")
    assert check_rules([]) == ()


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(
        DataError, match=r"Unknown cleaning rule 'space'.\nExpected some of: .*\nFix: .*Did you mean 'spaces'"
    ):
        check_rules(["space"])


class TestMarks:
    @pytest.mark.parametrize(
        ("text", "marked"),
        [
            ("GREAT Movie!!!!", "xxup great xxmaj movie xxrep 4 !"),
            ("so so so good", "xxwrep 3 so good"),
            ("sooooo", "s xxrep 5 o"),
            ("I saw it in 1000 A", "i saw it in 1000 a"),
            ("iPhone McDonald", "iphone mcdonald"),
            ("Été ÉTÉ", "xxmaj été xxup été"),
            ("no no", "no no"),
        ],
    )
    def test_capitals_and_repetitions_become_tokens(self, text: str, marked: str) -> None:
        assert mark(text) == marked

    @pytest.mark.parametrize(
        "text",
        [
            "I didn't like it, but he's GREAT (really)!!!!",
            'She said "never again" and left.',
            "no no no no more",
            "It cost $ 5; why?",
        ],
    )
    def test_marks_can_be_read_again(self, text: str) -> None:
        import re

        tokens = re.findall(r"[a-z]+?(?=n't)|n't|'[a-z]+|\w+|[^\s\w]", mark(text))
        assert unmark(tokens) == text.replace("$ 5", "$5")

    def test_marks_that_nothing_follows_do_no_harm(self) -> None:
        assert unmark(["xxbos", "a", "xxmaj"]) == "a"
        assert unmark(["xxrep", "x", "!"]) == "!"
        assert unmark(["xxrep"]) == unmark([]) == ""
        assert unmark(["xxrep", "99999999", "a"]) == "a" * 100
        assert unmark(["xxmaj", "xxunk"]) == "xxunk"


class TestEncodings:
    TEXT = "Ein schöner Film über Zürich – großartig, wirklich"

    @pytest.mark.parametrize("name", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
    def test_each_is_found(self, name: str) -> None:
        assert decode(self.TEXT.encode(name))[0] == self.TEXT

    def test_a_mark_tells_the_byte_order(self) -> None:
        assert decode(codecs.BOM_UTF16_BE + "שלום".encode("utf-16-be")) == ("שלום", "utf-16")

    def test_other_alphabets_are_guessed(self) -> None:
        text = "Это очень хороший фильм, и я смотрел его два раза. Советую всем посмотреть его вечером. " * 3
        assert decode(text.encode("cp1251"))[0] == text

    def test_null_bytes_do_not_make_it_utf_16(self) -> None:
        assert decode(b"some\0 text with\0 nulls in it")[1] == "utf-8"

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=40))
    def test_any_bytes_become_a_text(self, data: bytes) -> None:
        assert isinstance(clean(decode(data)[0]), str)

    def test_a_given_encoding_is_taken(self) -> None:
        assert decode(b"\xe9", "cp1251") == ("й", "cp1251")
        assert decode(b"a\xff", "utf-8") == ("a\ufffd", "utf-8")

    def test_an_unknown_encoding_is_an_error(self) -> None:
        check_encoding("latin-1")
        check_encoding(None)
        with pytest.raises(DataError, match=r"Unknown encoding 'utf8000'.\nExpected a name such as utf-8"):
            check_encoding("utf8000")
