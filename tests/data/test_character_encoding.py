"""Bytes become text whatever their encoding."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onecycle.data.character_encoding import check_encoding, decode_bytes, detect_encoding
from onecycle.errors import DataError

TEXT = "Ein schöner Film über Zürich – großartig, wirklich"


@pytest.mark.parametrize("name", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_each_encoding_is_detected(name: str) -> None:
    assert decode_bytes(TEXT.encode(name))[0] == TEXT


def test_a_byte_order_mark_decides() -> None:
    assert decode_bytes(codecs.BOM_UTF16_BE + "שלום".encode("utf-16-be")) == ("שלום", "utf-16")


def test_other_alphabets_are_guessed() -> None:
    text = "Это очень хороший фильм, и я смотрел его два раза. Советую всем посмотреть его вечером. " * 3
    assert decode_bytes(text.encode("cp1251"))[0] == text


def test_null_bytes_alone_are_not_utf_16() -> None:
    assert detect_encoding(b"some\0 text with\0 nulls in it") == "utf-8"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_can_be_decoded(data: bytes) -> None:
    assert isinstance(decode_bytes(data)[0], str)


def test_a_given_encoding_is_used() -> None:
    assert decode_bytes(b"\xe9", "cp1251") == ("й", "cp1251")
    assert decode_bytes(b"a\xff", "utf-8") == ("a\ufffd", "utf-8")


def test_an_unknown_encoding_is_an_error() -> None:
    check_encoding("latin-1")
    check_encoding(None)
    with pytest.raises(DataError, match=r"Unknown encoding 'utf8000'.\nExpected a name such as utf-8.*\nFix: check"):
        check_encoding("utf8000")


@pytest.mark.parametrize("name", ["hex", "rot13", "punycode", "idna", "undefined", "utf-8\0"])
def test_an_encoding_that_does_not_read_any_bytes_as_text_is_an_error(name: str) -> None:
    with pytest.raises(DataError, match=r"Unknown encoding .*\nExpected a name such as utf-8.*\nFix: check"):
        check_encoding(name)
