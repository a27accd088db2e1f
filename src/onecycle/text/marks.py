"""Special tokens for what small letters cannot say: repetitions and capitals, as the lesson has them.

"GREAT Movie!!!!" is marked as "xxup great xxmaj movie xxrep 4 !", so that a small vocabulary loses nothing of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

UNKNOWN, PAD, BEGIN, REPEATED, REPEATED_WORD, CAPITALS, CAPITAL = MARKS = (
    "xxunk", "xxpad", "xxbos", "xxrep", "xxwrep", "xxup", "xxmaj",
)  # fmt: skip

# All capitals of alphabets that have them, as a character class.
_UPPER = "".join(letter for letter in map(chr, range(0x2000)) if letter.isupper())
_CHARACTERS = re.compile(r"([^\s\d])\1{2,}")
_WORDS = re.compile(r"\b(\w+)(?:\s+\1\b){2,}", re.IGNORECASE)
_CAPITALISED = re.compile(rf"(?<!\w)[{_UPPER}]\w+")

MARKED = re.compile(rf"({'|'.join(MARKS)})")

_CLOSING = frozenset(".,;:!?)]}%…")
_OPENING = frozenset("([{$#")
_ATTACHED = re.compile(r"n't$|'\w+$")


def mark(text: str) -> str:
    """Return a text in small letters, with marks.

    Example:
        >>> mark("I am NOT Amused, no no no no!!!!")
        'i am xxup not xxmaj amused, xxwrep 4 no xxrep 4 !'
    """
    text = _CHARACTERS.sub(lambda found: f" {REPEATED} {len(found[0])} {found[1]} ", text)
    text = _WORDS.sub(lambda found: f" {REPEATED_WORD} {len(found[0].split())} {found[1]} ", text)
    text = _CAPITALISED.sub(_marked, text)
    return " ".join(text.lower().split())


def _marked(found: re.Match[str]) -> str:
    word = found[0]
    if word.isupper():
        return f"{CAPITALS} {word}"
    return f"{CAPITAL} {word}" if word[1:].islower() else word


def unmark(tokens: Iterable[str], *, words: bool = True) -> str:
    """Return marked tokens as a text to be read.

    Args:
        tokens: The tokens.
        words: Punctuation marks are tokens of their own, and are attached to the words they belong to.
    Example:
        >>> unmark(["xxbos", "xxmaj", "it", "is", "n't", "xxup", "bad", "xxrep", "3", "!"])
        "It isn't BAD!!!"
    """
    text, glue, quoted = "", True, False
    for token in _restored(iter(tokens)):
        quote = words and token == '"'
        closes = (words and (token[0] in _CLOSING or _ATTACHED.match(token) is not None)) or (quote and quoted)
        text += token if glue or closes else f" {token}"
        quoted = quoted != quote
        glue = words and (token in _OPENING or (quote and quoted))
    return text


def _restored(tokens: Iterator[str]) -> Iterator[str]:
    """Yield words with their capitals and repetitions; a mark that nothing follows is left out."""
    for token in tokens:
        if token in (CAPITAL, CAPITALS):
            word = next(tokens, "")
            if word == UNKNOWN:
                yield word
                continue
            token = word.upper() if token == CAPITALS else word[:1].upper() + word[1:]
        elif token in (REPEATED, REPEATED_WORD):
            count, word = next(tokens, ""), next(tokens, "")
            times = min(int(count), 100) if count.isdecimal() else 1  # a model may write any number
            token = (" " if token == REPEATED_WORD else "").join([word] * times)
        if token and token not in (BEGIN, PAD):
            yield "I" if token == "i" else token
