"""Tokenizers trained on texts, and the choice of a tokenizer."""

from __future__ import annotations

import pytest

from onecycle.errors import DataError
from onecycle.text.tokenizer import Tokenizer
from onecycle.text.tokenizer_training import choose_tokenizer, train_tokenizer

CORPUS = ["I didn't like this movie, it was BORING!!!!", "I liked this movie. It was good, very good."] * 5


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return train_tokenizer("words", CORPUS, min_frequency=1)


@pytest.fixture(scope="module")
def subwords() -> Tokenizer:
    return train_tokenizer("bpe", CORPUS, vocabulary=400, min_frequency=1)


def test_the_special_tokens_of_the_lesson_come_first(words: Tokenizer) -> None:
    assert words.ids_to_tokens(range(7)) == ["xxunk", "xxpad", "xxbos", "xxrep", "xxwrep", "xxup", "xxmaj"]
    assert (words.pad, words.prefix, words.suffix, words.mask) == (1, (2,), (), None)


def test_words_negations_and_special_tokens_are_tokens(words: Tokenizer) -> None:
    token_ids = words.encode("It wasn’t GOOD!!!!")
    assert words.ids_to_tokens(token_ids)[:2] == ["xxbos", "xxmaj"]
    assert words.ids_to_tokens(words.encode("I didn't like")) == ["xxbos", "i", "did", "n't", "like"]
    assert words.decode(words.encode(CORPUS[0])) == CORPUS[0]


def test_rare_words_are_unknown() -> None:
    few = train_tokenizer("words", ["a a b", "a c"], min_frequency=2)
    assert few.ids_to_tokens(few.encode("a b c zebra")) == ["xxbos", "a", "xxunk", "xxunk", "xxunk"]


@pytest.mark.parametrize("text", ["zebra שלום 😀👍🏽", CORPUS[0], "naïve  café", "THE END"])
def test_no_subword_is_unknown(subwords: Tokenizer, text: str) -> None:
    assert "xxunk" not in subwords.ids_to_tokens(subwords.encode(text))
    assert "".join(subwords.decode(subwords.encode(text)).split()) == "".join(text.split())


def test_the_same_texts_give_the_same_tokenizer(words: Tokenizer) -> None:
    assert train_tokenizer("words", CORPUS, min_frequency=1) == words
    assert train_tokenizer("words", CORPUS[:1], min_frequency=1) != words


def test_a_tokenizer_is_returned_without_a_change(words: Tokenizer) -> None:
    assert choose_tokenizer(words, []) is words
    assert choose_tokenizer(words.core, []).name == "custom"


def test_a_name_is_trained_or_looked_up(words: Tokenizer) -> None:
    assert choose_tokenizer("words", CORPUS, min_frequency=1) == words
    assert choose_tokenizer(None, []) == choose_tokenizer("all-MiniLM-L6-v2", []) == Tokenizer.from_encoder()


@pytest.mark.parametrize(
    ("tokenizer", "options", "what"),
    [
        ("words", {"vocabulary": 10}, r"vocabulary=10, min_frequency=2.\nExpected a vocabulary of 300 tokens or more"),
        ("bpe", {"min_frequency": 0}, r"min_frequency=0"),
        (None, {"vocabulary": 500}, r"do not fit tokenizer=None, whose vocabulary is fixed"),
        (7, {}, r"tokenizer=7 \(int\).\nExpected an encoder's name"),
    ],
)
def test_arguments_that_do_not_fit_are_errors(tokenizer: object, options: dict[str, int], what: str) -> None:
    with pytest.raises(DataError, match=what):
        choose_tokenizer(tokenizer, CORPUS, **options)  # type: ignore[arg-type]
