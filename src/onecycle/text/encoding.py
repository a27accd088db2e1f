"""How bytes become text. Any bytes become some text; only a name of no encoding is an error."""

from __future__ import annotations

import codecs

from onecycle.errors import DataError

# The longer marks come first: that of UTF-32 begins like that of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Languages written in Latin letters use others for at most so many bytes; beyond, guessing is better than cp1252.
WESTERN, FEW = 0.2, 16
SEEN = 4096


def decode(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """Return bytes as text, and the encoding that was taken.

    Args:
        data: The bytes.
        encoding: Their encoding; None finds it out, see `encoding_of`. Bytes that are not in it become "\\ufffd".
    """
    found = encoding_of(data) if encoding is None else encoding
    return data.decode(found, errors="replace"), found


def encoding_of(data: bytes) -> str:
    """Find out how bytes are to be read.

    In this order: a byte-order mark; UTF-8, where all of it is valid; UTF-16 without a mark, where every other byte is
    0; cp1252 (Western European, what Windows calls ANSI), where most bytes are ASCII, or
    few are not; else what charset-normalizer
    takes the beginning for.
    """
    for mark, name in MARKS:
        if data.startswith(mark):
            return name
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _wide(data) or _legacy(data)
    return _wide(data) or "utf-8"


def check_encoding(name: str | None) -> None:
    """Check that Python knows an encoding.

    Raises:
        DataError: It does not.
    """
    if name is None:
        return
    try:
        codecs.lookup(name)
    except LookupError:
        raise DataError(
            f"Unknown encoding {name!r}.",
            "a name such as utf-8, cp1252, utf-16 or shift_jis.",
            "check encoding=, or leave it out to find it out.",
        ) from None


def _wide(data: bytes) -> str | None:
    """Tell UTF-16 from its zeros: Latin letters have one as every other byte, all on the same side."""
    head = data[:SEEN]
    most = 0.4 * (len(head) / 2)
    if len(head) < 8 or len(data) % 2:
        return None
    for name, side, other in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if side.count(0) > most > 10 * other.count(0):
            return name
    return None


def _legacy(data: bytes) -> str:
    foreign = sum(byte > 127 for byte in data[:SEEN])
    if foreign <= max(WESTERN * len(data[:SEEN]), FEW):
        return "cp1252"
    from charset_normalizer import from_bytes  # slow to import, and seldom needed

    guess = from_bytes(data[:SEEN]).best()
    return "cp1252" if guess is None else guess.encoding
