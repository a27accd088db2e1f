"""From text to numbers and back: an encoder's own tokenizer, or one trained on the training texts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tokenizers

from onecycle.data.progress import progress
from onecycle.errors import DataError
from onecycle.text.encoders import DEFAULT_ENCODER, locate_encoder
from onecycle.text.marks import MARKED, mark, unmark

# Said here, or every worker that is forked after texts were tokenised complains that nothing was said.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

PIECE = 1000
# A token stands for four to five characters. Both ends of a long text that should suffice are tried before all of it.
CHARACTERS_A_TOKEN, SPARE = 6, 8
# Film reviews, and most texts that judge, say at their end what they think (Sun et al. 2019, arXiv:1905.05583).
BEGINNING = 0.25

PADS = ("[PAD]", "<pad>", "xxpad", "<|padding|>", "<|endoftext|>", "</s>")
MASKS = ("[MASK]", "<mask>")
# What files of tokenizers without a tokenizer.json are called.
OLDER = ("*vocab*", "*.model", "merges.txt")


class Tokenizer:
    """Cuts texts into tokens, and gives each its number.

    Args:
        name: What it belongs to: an encoder's name or folder, or "words" or "bpe" for one that was trained here.
        core: The Hugging Face tokenizer; None takes that of the encoder `name`, when it is first needed.
        pad: The token that batches are padded with; None finds it.
        mask: The token that hides others; None finds it, where there is one.
    """

    def __init__(
        self, name: str, core: tokenizers.Tokenizer | None = None, *, pad: str | None = None, mask: str | None = None
    ) -> None:
        self.name = name
        self._given, self._pad, self._mask = core, pad, mask

    def __repr__(self) -> str:
        return f"Tokenizer of {self.name}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and (self is other or self.to_config() == other.to_config())

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def marked(self) -> bool:
        """Whether capitals and repetitions are marked first, see `marks`: so do those that are trained here."""
        return self.name in ("words", "bpe")

    @cached_property
    def core(self) -> tokenizers.Tokenizer:
        """The Hugging Face tokenizer; it neither pads nor truncates, and takes "[SEP]" in a text for plain text."""
        core = _of_encoder(self.name) if self._given is None else self._given
        core.no_padding()
        core.no_truncation()
        core.encode_special_tokens = not self.marked
        return core

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return int(self.core.get_vocab_size())

    @cached_property
    def pad(self) -> int:
        """The number that batches are padded with."""
        number = self._number(self._pad, PADS)
        if number is None:
            raise DataError(
                f"The tokenizer of {self.name} has no token to pad with.",
                f"one of: {', '.join(PADS)}.",
                "pass Tokenizer(name, core, pad=...), or use another encoder.",
            )
        return number

    @cached_property
    def mask(self) -> int | None:
        """The number that hides others, or None where there is none."""
        return self._number(self._mask, MASKS)

    @cached_property
    def special(self) -> frozenset[int]:
        """The numbers of all special tokens."""
        return frozenset(
            number for number, token in self.core.get_added_tokens_decoder().items() if token.special
        )  # fmt: skip

    @property
    def prefix(self) -> tuple[int, ...]:
        """What is put before each text, such as [CLS]."""
        return self._around[0]

    @property
    def suffix(self) -> tuple[int, ...]:
        """What is put behind each text, such as [SEP]."""
        return self._around[1]

    @cached_property
    def _around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        found = self.core.encode("a a")
        plain = [place for place, special in enumerate(found.special_tokens_mask) if not special]
        return tuple(found.ids[: plain[0]]), tuple(found.ids[plain[-1] + 1 :])

    def _number(self, token: str | None, usual: Sequence[str]) -> int | None:
        candidates = usual if token is None else (token,)
        return next((number for one in candidates if (number := self.core.token_to_id(one)) is not None), None)

    # --- texts to numbers ---

    def encode(self, text: str, max_length: int | None = None, beginning: float = BEGINNING) -> list[int]:
        """Return a text's numbers, with those around it; of a long text `max_length` of them, see `truncated`."""
        return self._encoded([text], max_length, beginning)[0]

    def encode_all(
        self,
        texts: Iterable[str],
        max_length: int | None = None,
        beginning: float = BEGINNING,
        *,
        total: int | None = None,
    ) -> Iterator[pa.Array]:
        """Yield the numbers of many texts, list<int32>, in pieces of a thousand, on all processors at once.

        Args:
            texts: The texts.
            max_length: The most numbers a text.
            beginning: As for `truncated`.
            total: How many texts there are, for the progress bar.
        """
        remaining = iter(texts)
        pieces = iter(lambda: list(islice(remaining, PIECE)), [])
        for piece in progress(pieces, "tokenising", -(-(total or 0) // PIECE)):
            yield _as_lists(self._encoded(piece, max_length, beginning))

    def _encoded(self, texts: list[str], max_length: int | None, beginning: float) -> list[list[int]]:
        """Encode texts; of those that are surely longer than wanted, both ends are tried before all of it."""
        if max_length is None:
            return self._all_of(texts)
        front, back = self.shares(max_length, beginning)
        characters = [(share + SPARE) * CHARACTERS_A_TOKEN for share in (front, back)]
        ends = {row: both for row, text in enumerate(texts) if (both := _both_ends(text, *characters))}
        encoded = self._all_of(list(chain.from_iterable(ends.values())))
        found = {
            row: [*first[:front], *last[len(last) - back :]]
            for row, first, last in zip(ends, encoded[::2], encoded[1::2], strict=True)
            if len(first) >= front + SPARE and len(last) >= back + SPARE
        }
        others = [row for row in range(len(texts)) if row not in found]
        for row, numbers in zip(others, self._all_of([texts[row] for row in others]), strict=True):
            found[row] = self.truncated(numbers, max_length, beginning)
        return [found[row] for row in range(len(texts))]

    def _all_of(self, texts: list[str]) -> list[list[int]]:
        if self.marked:
            texts = [mark(text) for text in texts]
        # Nothing is left of a text of characters that a tokenizer drops.
        nothing = [*self.prefix, *self.suffix] or [self.pad]
        return [encoding.ids or nothing for encoding in self.core.encode_batch_fast(texts)]

    def truncated(self, numbers: list[int], max_length: int, beginning: float = BEGINNING) -> list[int]:
        """Return at most `max_length` of a text's numbers, with those around it: its middle is left out.

        Args:
            numbers: All of them.
            max_length: How many may stay.
            beginning: Which share of them is from the text's beginning, 0 to 1; the others are from its end.
        """
        if len(numbers) <= max_length:
            return numbers
        front, back = self.shares(max_length, beginning)
        return [*numbers[:front], *numbers[len(numbers) - back :]]

    def shares(self, max_length: int, beginning: float) -> tuple[int, int]:
        """Return how many numbers of a long text are from its beginning and its end, with those around it."""
        least, most = len(self.prefix), max_length - len(self.suffix)
        front = least + round((most - least) * beginning)
        return front, max_length - front

    # --- and back ---

    def tokens(self, numbers: Iterable[int]) -> list[str]:
        """Return the tokens that numbers stand for."""
        return [self.core.id_to_token(int(number)) or "?" for number in numbers]

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the text that numbers stand for, as it can best be read; padding and special tokens are left out."""
        kept = [int(number) for number in numbers if number != self.pad]
        if self.name == "words":
            return unmark(self.tokens(kept))
        if self.name == "bpe":
            text = self.core.decode(kept, skip_special_tokens=False)
            return unmark(MARKED.sub(r" \1 ", text).split(), words=False)
        return str(self.core.decode(kept))

    # --- bundles ---

    def to_config(self) -> dict[str, Any]:
        """All of it."""
        pad, mask = self.core.id_to_token(self.pad), None if self.mask is None else self.core.id_to_token(self.mask)
        return {"name": self.name, "pad": pad, "mask": mask, "tokenizer": self.core.to_str()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Tokenizer:
        """Return the tokenizer that `to_config` described."""
        core = tokenizers.Tokenizer.from_str(config["tokenizer"])
        return cls(config["name"], core, pad=config["pad"], mask=config["mask"])

    @classmethod
    def of_encoder(cls, name: str | Path = DEFAULT_ENCODER) -> Tokenizer:
        """Return an encoder's own tokenizer.

        Raises:
            ModelError: There is no such encoder.
        """
        folder = locate_encoder(name)
        named = _named_tokens(folder)
        return cls(str(name), _of_encoder(folder), pad=named.get("pad_token"), mask=named.get("mask_token"))


def _of_encoder(name: str | Path) -> tokenizers.Tokenizer:
    folder = locate_encoder(name)
    file = folder / "tokenizer.json"
    if file.is_file():
        return tokenizers.Tokenizer.from_file(str(file))
    from transformers import AutoTokenizer  # builds it from older files, such as vocab.txt

    try:
        if not any(match for pattern in OLDER for match in folder.glob(pattern)):
            raise OSError("it has no file of a tokenizer")
        core: tokenizers.Tokenizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(
            f"{folder} holds no tokenizer that can be used: {type(error).__name__}: {error}",
            "a tokenizer.json, or the files of a tokenizer that transformers can convert.",
            "use another encoder, or pass a Tokenizer.",
        ) from error
    return core


def _named_tokens(folder: Path) -> dict[str, str]:
    """Return what an encoder calls its special tokens, such as {"pad_token": "<pad>"}."""
    named: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        file = folder / name
        held = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        for key in ("pad_token", "mask_token"):
            token = held.get(key)
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str):
                named.setdefault(key, token)
    return named


def _both_ends(text: str, front: int, back: int) -> tuple[str, str] | None:
    """Return so many characters of a text's beginning and of its end, of whole words; None where they would meet."""
    end, start = text.rfind(" ", 0, front), text.find(" ", max(len(text) - back, 0))
    return (text[:end], text[start:]) if 0 <= end < start else None


def _as_lists(numbers: list[list[int]]) -> pa.Array:
    offsets = np.cumsum([0, *map(len, numbers)], dtype=np.int32)
    values = np.fromiter(chain.from_iterable(numbers), np.int32, int(offsets[-1]))
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
