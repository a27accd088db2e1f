"""Special tokens for capitals and repetitions, and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onecycle.text.special_tokens import SPECIAL_TOKENS, decode_case, encode_case


@pytest.mark.parametrize(
    ("text", "encoded"),
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
def test_capitals_and_repetitions_become_special_tokens(text: str, encoded: str) -> None:
    assert encode_case(text) == encoded


@pytest.mark.parametrize(
    "text",
    [
        "I didn't like it, but he's GREAT (really)!!!!",
        'She said "never again" and left.',
        "no no no no more",
        "It cost $ 5; why?",
    ],
)
def test_the_text_is_restored(text: str) -> None:
    tokens = re.findall(r"[a-z]+?(?=n't)|n't|'[a-z]+|\w+|[^\s\w]", encode_case(text))
    assert decode_case(tokens) == text.replace("$ 5", "$5")


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["xxbos", "a", "xxmaj"], "a"),
        (["xxrep", "x", "!"], "!"),
        (["xxrep"], ""),
        ([], ""),
        (["xxrep", "99999999", "a"], "a" * 100),
        (["xxmaj", "xxunk"], "xxunk"),
        (["xxmaj", "xxup", "film"], "Film"),
        (["xxup", "xxpad"], ""),
    ],
)
def test_a_special_token_without_a_word_is_left_out(tokens: list[str], text: str) -> None:
    assert decode_case(tokens) == text


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*SPECIAL_TOKENS, "3", "film", "!", '"', "n't"]), max_size=12))
def test_any_tokens_can_be_decoded_and_none_but_unknown_stays_special(tokens: list[str]) -> None:
    shown = decode_case(tokens).lower().split()
    assert not {token for token in SPECIAL_TOKENS if token != "xxunk"} & set(shown)
