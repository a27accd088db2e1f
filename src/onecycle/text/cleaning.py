"""Cleaning rules, applied to every text before it is tokenized. Each has a name, so that it can be left out."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from onecycle.errors import DataError, suggest


@dataclass(frozen=True)
class Rule:
    """One cleaning rule.

    Attributes:
        name: Its name in `clean=` and in bundles.
        apply: Returns the changed text.
        description: What it changes.
    """

    name: str
    apply: Callable[[str], str]
    description: str


# Browsers read the character codes 0x80 to 0x9f as cp1252; texts that still contain them mean those characters.
CP1252_CHARACTERS = {code: bytes([code]).decode("cp1252", errors="ignore") for code in range(0x80, 0xA0)}
# Kept: tab and newline, and the joiners and direction marks that emoji, Persian, Arabic and Hebrew are written with.
INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufeff\ufffe\uffff\u00ad\u200b\u2060]")
SURROGATES = re.compile("[\ud800-\udfff]")
C1_CONTROLS = re.compile("[\x80-\x9f]")
HTML_BREAKS = re.compile(r"<\s*/?\s*(?:br|p)\s*/?\s*>", re.IGNORECASE)
BLANKS = re.compile(r"[^\S\n]+")
NEWLINES = re.compile(r" ?\n[ \n]*")


def _clean_characters(text: str) -> str:
    text = C1_CONTROLS.sub(lambda found: CP1252_CHARACTERS[ord(found[0])], text)
    return SURROGATES.sub("\ufffd", INVISIBLE.sub("", text))


def _unescape_entities(text: str) -> str:
    for _ in range(3):  # scraped texts are often escaped twice
        if "&" not in text or (plain := html.unescape(text)) == text:
            break
        text = plain
    return text


def _replace_breaks(text: str) -> str:
    return HTML_BREAKS.sub("\n", text) if "<" in text else text


def _normalize_unicode(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _collapse_spaces(text: str) -> str:
    return NEWLINES.sub("\n", BLANKS.sub(" ", text)).strip()


RULES = (
    Rule("entities", _unescape_entities, "HTML entities become characters, also if escaped twice: &amp; becomes &"),
    Rule("characters", _clean_characters, "null and control characters are removed, stray cp1252 characters decoded"),
    Rule("breaks", _replace_breaks, "<br /> and <p> become newlines"),
    Rule("unicode", _normalize_unicode, "letters and their accents become single characters (NFC)"),
    Rule("spaces", _collapse_spaces, "repeated blanks become one; empty lines and blanks at both ends are removed"),
)
RULE_NAMES = tuple(rule.name for rule in RULES)
_BY_NAME = {rule.name: rule for rule in RULES}


def clean(text: str, rules: Iterable[str] = RULE_NAMES) -> str:
    """Return the text after the named rules, applied in their order.

    Example:
        >>> clean("Great<br /><br />fun &amp;  games\\0")
        'Great\\nfun & games'
    """
    for name in rules:
        text = _BY_NAME[name].apply(text)
    return text


def check_rules(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of rules in the order in which the rules are applied.

    Raises:
        DataError: A name is unknown.

    Example:
        >>> check_rules(["spaces", "entities"])
        ('entities', 'spaces')
    """
    chosen = [names] if isinstance(names, str) else list(names)
    for name in chosen:
        if name not in _BY_NAME:
            raise DataError(
                f"Unknown cleaning rule {name!r}.",
                f"some of: {', '.join(RULE_NAMES)}.",
                f"check clean=.{suggest(str(name), RULE_NAMES)}",
            )
    return tuple(name for name in RULE_NAMES if name in chosen)
