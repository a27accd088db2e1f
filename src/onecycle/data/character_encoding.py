"""Decoding of bytes with an unknown character encoding. Any bytes can be decoded; only an unknown name is an error."""

from __future__ import annotations

import codecs

from onecycle.errors import DataError

# The longer byte-order marks come first: UTF-32's begins with UTF-16's.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Languages in Latin letters have at most this share, or this number, of bytes outside ASCII; with more of them,
# charset-normalizer's guess is better than cp1252.
MAX_WESTERN_SHARE, MAX_WESTERN_COUNT = 0.2, 16
SAMPLE_BYTES = 4096
# Control characters that no encoding of texts uses, and their share from which on bytes are no text.
_CONTROLS = bytes(set(range(32)) - set(b"\b\t\n\v\f\r\x0e\x0f\x1b"))
MAX_CONTROL_SHARE = 0.02


def decode_bytes(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """Return bytes as text, and the encoding that was used.

    Args:
        data: The bytes.
        encoding: Their encoding; None detects it, see `detect_encoding`. Invalid bytes become "\\ufffd".

    Example:
        >>> decode_bytes(b"caf\\xe9")
        ('café', 'cp1252')
    """
    used = detect_encoding(data) if encoding is None else encoding
    return data.decode(used, errors="replace"), used


def detect_encoding(data: bytes) -> str:
    """Return the encoding of bytes.

    Tried in this order: a byte-order mark; UTF-8, if all bytes are valid; UTF-16 without a mark, if every other byte is
    0; cp1252 (Western European, "ANSI" on Windows), if most bytes are ASCII or only a few are not; and the guess of
    charset-normalizer.

    Example:
        >>> detect_encoding("Zürich".encode("utf-16"))
        'utf-16'
    """
    for mark, name in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return name
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _detect_utf16(data) or _detect_single_byte(data)
    return _detect_utf16(data) or "utf-8"


def looks_binary(data: bytes) -> bool:
    """Return whether bytes are no text in any encoding, but an image, an archive or the like.

    Example:
        >>> looks_binary(b"\\x89PNG\\r\\n\\x1a\\n\\0\\0\\0\\rIHDR"), looks_binary("Zürich".encode("utf-16"))
        (True, False)
    """
    head = data[:SAMPLE_BYTES]
    if any(data.startswith(mark) for mark, _ in BYTE_ORDER_MARKS) or _detect_utf16(data):
        return False
    return len(head) - len(head.translate(None, _CONTROLS)) > MAX_CONTROL_SHARE * len(head)


def check_encoding(name: str | None) -> None:
    """Check the name of an encoding.

    Raises:
        DataError: Python has no encoding of this name, or it does not read any bytes as text ("hex", "punycode").
    """
    if name is None:
        return
    try:
        reads_any_bytes = b"\xff".decode(name, errors="replace") != ""  # as punycode does from Python 3.13 on
    except (LookupError, ValueError, TypeError):
        reads_any_bytes = False
    if not reads_any_bytes:
        raise DataError(
            f"Unknown encoding {name!r}.",
            "a name such as utf-8, cp1252, utf-16 or shift_jis.",
            "check encoding=, or leave it out to detect it.",
        )


def _detect_utf16(data: bytes) -> str | None:
    """Detect UTF-16 by its zeros: Latin letters have one in every other byte, always on the same side."""
    head = data[:SAMPLE_BYTES]
    required = 0.4 * (len(head) / 2)
    if len(head) < 8 or len(data) % 2:
        return None
    for name, high, low in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if high.count(0) > required > 10 * low.count(0):
            return name
    return None


def _detect_single_byte(data: bytes) -> str:
    not_ascii = sum(byte > 127 for byte in data[:SAMPLE_BYTES])
    if not_ascii <= max(MAX_WESTERN_SHARE * len(data[:SAMPLE_BYTES]), MAX_WESTERN_COUNT):
        return "cp1252"
    from charset_normalizer import from_bytes  # slow to import, and rarely needed

    guess = from_bytes(data[:SAMPLE_BYTES]).best()
    return "cp1252" if guess is None else guess.encoding
