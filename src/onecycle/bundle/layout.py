"""What both sides of the format share: names, limits, the config's checksum, and texts from a file in a message."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

SCHEMA = 1
CONFIG, TENSORS = "config.json", "model.safetensors"
MEMBERS = (CONFIG, TENSORS)
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib")

# Far more than a model with a tokenizer of a million tokens, or a checkpoint after weeks, needs.
LARGEST_CONFIG = 128 * 2**20
MOST_VALUES = 10_000_000
LARGEST_HEADER = 16 * 2**20

_WEIGHTS = re.compile(r"model-[0-9a-f]{16}\.safetensors")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")


def weights_name(checksum: str) -> str:
    """Return the name of the weights in a folder.

    Example:
        >>> weights_name("0123456789abcdef" * 4)
        'model-0123456789abcdef.safetensors'
    """
    return f"model-{checksum[:16]}.safetensors"


def is_weights(name: str) -> bool:
    """Return whether a file in a folder bundle holds weights, of this edition or the first."""
    return name == TENSORS or _WEIGHTS.fullmatch(name) is not None


def holds_weights(name: str) -> bool:
    """Return whether a file by its name is a part of a bundle, or of a model that others wrote."""
    return name == CONFIG or name.endswith((".safetensors", *PICKLES))


def is_checksum(value: object) -> bool:
    """Return whether a value is a SHA-256 in hexadecimal digits, so that it can be a part of a file's name."""
    return isinstance(value, str) and _CHECKSUM.fullmatch(value) is not None


def config_checksum(config: Mapping[str, Any]) -> str:
    """Return the checksum of all of a config but that checksum itself; `checksums` must be a dict."""
    checksums = {name: value for name, value in config["checksums"].items() if name != CONFIG}
    canonical = json.dumps({**config, "checksums": checksums}, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def one_line(text: object, most: int = 300) -> str:
    """Return a text that may come from a file as one printable line, so that it cannot draw on a terminal.

    Example:
        >>> one_line("two\\nlines\\x1b[2J")
        'two lines [2J'
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in str(text)[: most + 1])
    return " ".join(plain.split())[:most] + ("…" if len(plain) > most else "")
