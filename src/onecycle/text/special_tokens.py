"""Special tokens that keep what lower case loses: capitals and repetitions, as in the lesson.

"GREAT Movie!!!!" becomes "xxup great xxmaj movie xxrep 4 !", so that lower-case words lose nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

UNKNOWN, PAD, BEGIN, REPEATED_CHARACTER, REPEATED_WORD, UPPER_CASE, CAPITALIZED = SPECIAL_TOKENS = (
    "xxunk", "xxpad", "xxbos", "xxrep", "xxwrep", "xxup", "xxmaj",
)  # fmt: skip

SPECIAL_TOKEN_PATTERN = re.compile(rf"({'|'.join(SPECIAL_TOKENS)})")

# The capital letters of all alphabets that have them, as a character class.
_UPPER = "".join(letter for letter in map(chr, range(0x2000)) if letter.isupper())
_REPEATED_CHARACTERS = re.compile(r"([^\s\d])\1{2,}")
_REPEATED_WORDS = re.compile(r"\b(\w+)(?:\s+\1\b){2,}", re.IGNORECASE)
_CAPITALIZED_WORD = re.compile(rf"(?<!\w)[{_UPPER}]\w+")

_CLOSING = frozenset(".,;:!?)]}%…")
_OPENING = frozenset("([{$#")
_ATTACHED = re.compile(r"n't$|'\w+$")

# A generated text may contain any number after a repetition token.
MAX_REPETITIONS = 100


def encode_case(text: str) -> str:
    """Return a text in lower case, with special tokens for its capitals and repetitions.

    Example:
        >>> encode_case("I am NOT Amused, no no no no!!!!")
        'i am xxup not xxmaj amused, xxwrep 4 no xxrep 4 !'
    """
    text = _REPEATED_CHARACTERS.sub(lambda found: f" {REPEATED_CHARACTER} {len(found[0])} {found[1]} ", text)
    text = _REPEATED_WORDS.sub(lambda found: f" {REPEATED_WORD} {len(found[0].split())} {found[1]} ", text)
    text = _CAPITALIZED_WORD.sub(_with_case_token, text)
    return " ".join(text.lower().split())


def _with_case_token(found: re.Match[str]) -> str:
    word = found[0]
    if word.isupper():
        return f"{UPPER_CASE} {word}"
    return f"{CAPITALIZED} {word}" if word[1:].islower() else word


def decode_case(tokens: Iterable[str], *, words: bool = True) -> str:
    """Return the readable text of tokens: the inverse of `encode_case`.

    Args:
        tokens: The tokens, special ones included.
        words: Whether punctuation marks are separate tokens, to be attached to the words they belong to.
    Example:
        >>> decode_case(["xxbos", "xxmaj", "it", "is", "n't", "xxup", "bad", "xxrep", "3", "!"])
        "It isn't BAD!!!"
    """
    text, attach_next, in_quotes = "", True, False
    for token in _restored(iter(tokens)):
        quote = words and token == '"'
        closes = (words and (token[0] in _CLOSING or _ATTACHED.match(token) is not None)) or (quote and in_quotes)
        text += token if attach_next or closes else f" {token}"
        in_quotes = in_quotes != quote
        attach_next = words and (token in _OPENING or (quote and in_quotes))
    return text


def _restored(tokens: Iterator[str]) -> Iterator[str]:
    """Yield words with their capitals and repetitions; a special token with no word after it is left out."""
    for token in tokens:
        if token in (CAPITALIZED, UPPER_CASE):
            word = _next_word(tokens)
            if word == UNKNOWN:
                yield word
                continue
            token = word.upper() if token == UPPER_CASE else word[:1].upper() + word[1:]
        elif token in (REPEATED_CHARACTER, REPEATED_WORD):
            count, word = next(tokens, ""), _next_word(tokens)
            repetitions = min(int(count), MAX_REPETITIONS) if count.isdecimal() else 1
            token = (" " if token == REPEATED_WORD else "").join([word] * repetitions)
        if token and token not in (BEGIN, PAD):
            yield "I" if token == "i" else token


def _next_word(tokens: Iterator[str]) -> str:
    """Return the next token that is a word; a model may generate several special tokens in a row."""
    return next((token for token in tokens if token == UNKNOWN or token not in SPECIAL_TOKENS), "")
