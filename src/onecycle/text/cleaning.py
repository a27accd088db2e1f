"""What is done to every text before it is cut into tokens: rules with names, in this order, to be read and chosen."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from onecycle.errors import DataError, suggest


@dataclass(frozen=True)
class Rule:
    """One change.

    Attributes:
        name: What it is called in configs.
        change: From text to text.
        does: What it does, in words.
    """

    name: str
    change: Callable[[str], str]
    does: str


# HTML reads the numbers from 0x80 to 0x9f as Windows does; so were the texts meant that still hold them.
WINDOWS = {code: bytes([code]).decode("cp1252", errors="ignore") for code in range(0x80, 0xA0)}
# Kept: tab and newline, and the joiners and direction marks that emoji, Persian, Arabic and Hebrew are written with.
UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufeff\ufffe\uffff\u00ad\u200b\u2060]")
SURROGATES = re.compile("[\ud800-\udfff]")
CONTROLS = re.compile("[\x80-\x9f]")
BREAKS = re.compile(r"<\s*/?\s*(?:br|p)\s*/?\s*>", re.IGNORECASE)
BLANKS = re.compile(r"[^\S\n]+")
NEWLINES = re.compile(r" ?\n[ \n]*")


def _characters(text: str) -> str:
    text = CONTROLS.sub(lambda found: WINDOWS[ord(found[0])], text)
    return SURROGATES.sub("\ufffd", UNSEEN.sub("", text))


def _entities(text: str) -> str:
    for _ in range(3):  # scraped texts are often escaped twice
        if "&" not in text or (plain := html.unescape(text)) == text:
            break
        text = plain
    return text


def _breaks(text: str) -> str:
    return BREAKS.sub("\n", text) if "<" in text else text


def _spaces(text: str) -> str:
    return NEWLINES.sub("\n", BLANKS.sub(" ", text)).strip()


RULES = (
    Rule("entities", _entities, "HTML entities become characters: &amp; is &, also where escaped twice"),
    Rule("characters", _characters, "null and control characters go, stray Windows characters become what was meant"),
    Rule("breaks", _breaks, "<br /> and <p> become new lines"),
    Rule("unicode", lambda text: unicodedata.normalize("NFC", text), "letters and their accents become one (NFC)"),
    Rule("spaces", _spaces, "runs of blanks become one, empty lines and blanks at the ends go"),
)
NAMES = tuple(rule.name for rule in RULES)
_BY_NAME = {rule.name: rule for rule in RULES}


def clean(text: str, rules: Iterable[str] = NAMES) -> str:
    """Return the text after the named rules, in their order.

    Example:
        >>> clean("Great<br /><br />fun &amp;  games\\0")
        'Great\\nfun & games'
    """
    for name in rules:
        text = _BY_NAME[name].change(text)
    return text


def check_rules(names: Iterable[str]) -> tuple[str, ...]:
    """Return rules' names in the order in which they are applied.

    Raises:
        DataError: A name is unknown.
    """
    chosen = [names] if isinstance(names, str) else list(names)
    for name in chosen:
        if name not in _BY_NAME:
            raise DataError(
                f"Unknown cleaning rule {name!r}.",
                f"some of: {', '.join(NAMES)}.",
                f"check clean=.{suggest(str(name), NAMES)}",
            )
    return tuple(name for name in NAMES if name in chosen)
