"""The tokenizers of pretrained encoders, read from their folders."""

from __future__ import annotations

import json
from pathlib import Path

import tokenizers

from onecycle.errors import DataError
from onecycle.text.encoders import locate_encoder

# File names of tokenizers that have no tokenizer.json.
OLDER_FILES = ("*vocab*", "*.model", "merges.txt")


def load_encoder_tokenizer(name: str | Path) -> tokenizers.Tokenizer:
    """Return the Hugging Face tokenizer of an encoder.

    Args:
        name: The encoder's name or folder.
    Raises:
        ModelError: There is no such encoder.
        DataError: Its folder contains no tokenizer that can be used.

    Example:
        >>> load_encoder_tokenizer("all-MiniLM-L6-v2").get_vocab_size()
        30522
    """
    folder = locate_encoder(name)
    file = folder / "tokenizer.json"
    if file.is_file():
        return tokenizers.Tokenizer.from_file(str(file))
    from transformers import AutoTokenizer  # builds it from older files, such as vocab.txt

    try:
        if not any(match for pattern in OLDER_FILES for match in folder.glob(pattern)):
            raise OSError("there is no tokenizer file")
        tokenizer: tokenizers.Tokenizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(
            f"{folder} contains no tokenizer that can be used: {type(error).__name__}: {error}",
            "a tokenizer.json, or tokenizer files that transformers can convert.",
            "use another encoder, or pass a Tokenizer.",
        ) from error
    return tokenizer


def read_special_tokens(folder: Path) -> dict[str, str]:
    """Return an encoder's padding and mask tokens as its files name them, such as {"pad_token": "<pad>"}."""
    named: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        file = folder / name
        content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        for key in ("pad_token", "mask_token"):
            token = content.get(key)
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str):
                named.setdefault(key, token)
    return named
