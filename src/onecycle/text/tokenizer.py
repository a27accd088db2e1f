"""From text to token ids and back, with an encoder's own tokenizer or one trained on the training texts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np
import tokenizers

from onecycle.data.progress import progress
from onecycle.deprecation import warn_renamed
from onecycle.errors import DataError
from onecycle.text.encoder_tokenizer import load_encoder_tokenizer, read_special_tokens
from onecycle.text.encoders import DEFAULT_ENCODER, locate_encoder
from onecycle.text.special_tokens import SPECIAL_TOKEN_PATTERN, decode_case, encode_case

if TYPE_CHECKING:
    import pyarrow as pa

# Without a value, every worker that is forked after texts were tokenized prints a warning.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

TEXTS_PER_BLOCK = 1000
# A token stands for four to five characters. Of a long text, both ends with this many are tried before the whole.
CHARACTERS_PER_TOKEN, SPARE_TOKENS = 6, 8
# Film reviews, and most texts with an opinion, state it at their end (Sun et al. 2019, arXiv:1905.05583).
DEFAULT_BEGINNING = 0.25

PAD_TOKENS = ("[PAD]", "<pad>", "xxpad", "<|padding|>", "<|endoftext|>", "</s>")
MASK_TOKENS = ("[MASK]", "<mask>")


class Tokenizer:
    """Splits texts into tokens, and gives each token its id.

    Args:
        name: The name or folder of the encoder that it belongs to, or "words" or "bpe" if it was trained on the texts.
        core: The Hugging Face tokenizer; None loads that of the encoder `name` when it is first needed.
        pad: The padding token; None looks for a usual one.
        mask: The mask token; None looks for a usual one.

    Attributes:
        name: See above.

    Example:
        >>> tokenizer = Tokenizer("all-MiniLM-L6-v2")
        >>> tokenizer.encode("A good film.")
        [101, 1037, 2204, 2143, 1012, 102]
        >>> tokenizer.decode([101, 1037, 2204, 2143, 1012, 102])
        'a good film.'
    """

    def __init__(
        self, name: str, core: tokenizers.Tokenizer | None = None, *, pad: str | None = None, mask: str | None = None
    ) -> None:
        self.name = name
        self._core, self._pad_token, self._mask_token = core, pad, mask

    def __repr__(self) -> str:
        return f"Tokenizer of {self.name}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and (self is other or self.to_config() == other.to_config())

    def __hash__(self) -> int:
        return hash(self.name)

    # --- the vocabulary ---

    @property
    def encodes_case(self) -> bool:
        """Whether texts are put into lower case with special tokens first, as for tokenizers trained on the texts."""
        return self.name in ("words", "bpe")

    @cached_property
    def core(self) -> tokenizers.Tokenizer:
        """The Hugging Face tokenizer; it neither pads nor truncates, and reads "[SEP]" within a text as plain text."""
        core = load_encoder_tokenizer(self.name) if self._core is None else self._core
        core.no_padding()
        core.no_truncation()
        core.encode_special_tokens = not self.encodes_case
        return core

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens."""
        return int(self.core.get_vocab_size())

    @cached_property
    def embedding_rows(self) -> int:
        """Number of rows that an embedding of the token ids needs: the highest id plus one; ids may have gaps."""
        return int(max(self.core.get_vocab().values())) + 1

    @cached_property
    def pad(self) -> int:
        """Id of the padding token.

        Raises:
            DataError: The tokenizer has none.
        """
        token_id = self._find_id(self._pad_token, PAD_TOKENS)
        if token_id is None:
            raise DataError(
                f"The tokenizer of {self.name} has no padding token.",
                f"one of: {', '.join(PAD_TOKENS)}.",
                "pass Tokenizer(name, core, pad=...), or use another encoder.",
            )
        return token_id

    @cached_property
    def mask(self) -> int | None:
        """Id of the mask token, or None where there is none."""
        return self._find_id(self._mask_token, MASK_TOKENS)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Ids of all special tokens."""
        return frozenset(
            token_id for token_id, token in self.core.get_added_tokens_decoder().items() if token.special
        )  # fmt: skip

    @property
    def prefix(self) -> tuple[int, ...]:
        """Ids of the tokens that are put before each text, such as [CLS]."""
        return self._prefix_and_suffix[0]

    @property
    def suffix(self) -> tuple[int, ...]:
        """Ids of the tokens that are put after each text, such as [SEP]."""
        return self._prefix_and_suffix[1]

    @cached_property
    def _prefix_and_suffix(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        encoding = self.core.encode("a a")
        plain = [position for position, special in enumerate(encoding.special_tokens_mask) if not special]
        return tuple(encoding.ids[: plain[0]]), tuple(encoding.ids[plain[-1] + 1 :])

    def _find_id(self, token: str | None, usual: Sequence[str]) -> int | None:
        candidates = usual if token is None else (token,)
        found = map(self.core.token_to_id, candidates)
        return next((token_id for token_id in found if token_id is not None), None)

    # --- from texts to token ids ---

    def encode(self, text: str, max_length: int | None = None, beginning: float = DEFAULT_BEGINNING) -> list[int]:
        """Return the token ids of a text, with prefix and suffix; a long text is truncated, see `truncate`."""
        return self._encode([text], max_length, beginning)[0]

    def encode_all(
        self,
        texts: Iterable[str],
        max_length: int | None = None,
        beginning: float = DEFAULT_BEGINNING,
        *,
        total: int | None = None,
    ) -> Iterator[pa.Array]:
        """Yield the token ids of many texts, list<int32>, a thousand texts at a time, on all processors.

        Args:
            texts: The texts.
            max_length: The most tokens of a text.
            beginning: As for `truncate`.
            total: Number of texts, for the progress bar.
        """
        remaining = iter(texts)
        blocks = iter(lambda: list(islice(remaining, TEXTS_PER_BLOCK)), [])
        for block in progress(blocks, "tokenizing", -(-(total or 0) // TEXTS_PER_BLOCK)):
            yield _to_list_array(self._encode(block, max_length, beginning))

    def _encode(self, texts: list[str], max_length: int | None, beginning: float) -> list[list[int]]:
        """Encode texts; of those that are certainly too long, both ends are tried before the whole text."""
        if max_length is None:
            return self._encode_whole(texts)
        front, back = self.split_length(max_length, beginning)
        characters = [(count + SPARE_TOKENS) * CHARACTERS_PER_TOKEN for count in (front, back)]
        ends = {row: both for row, text in enumerate(texts) if (both := _both_ends(text, *characters))}
        encoded = self._encode_whole(list(chain.from_iterable(ends.values())))
        result = {
            row: [*first[:front], *last[len(last) - back :]]
            for row, first, last in zip(ends, encoded[::2], encoded[1::2], strict=True)
            if len(first) >= front + SPARE_TOKENS and len(last) >= back + SPARE_TOKENS
        }
        others = [row for row in range(len(texts)) if row not in result]
        for row, token_ids in zip(others, self._encode_whole([texts[row] for row in others]), strict=True):
            result[row] = self.truncate(token_ids, max_length, beginning)
        return [result[row] for row in range(len(texts))]

    def _encode_whole(self, texts: list[str]) -> list[list[int]]:
        if self.encodes_case:
            texts = [encode_case(text) for text in texts]
        # A text of characters that the tokenizer drops has no token of its own.
        empty = [*self.prefix, *self.suffix] or [self.pad]
        return [encoding.ids or empty for encoding in self.core.encode_batch_fast(texts)]

    def truncate(self, token_ids: list[int], max_length: int, beginning: float = DEFAULT_BEGINNING) -> list[int]:
        """Return at most `max_length` of a text's token ids; the middle of a long text is left out.

        Args:
            token_ids: Those of the whole text, with prefix and suffix.
            max_length: The most that are returned.
            beginning: The fraction of them from the beginning of the text, 0 to 1; the others are from its end.
        """
        if len(token_ids) <= max_length:
            return token_ids
        front, back = self.split_length(max_length, beginning)
        return [*token_ids[:front], *token_ids[len(token_ids) - back :]]

    def split_length(self, max_length: int, beginning: float) -> tuple[int, int]:
        """Return how many tokens of a long text are from its beginning, prefix included, and from its end, with suffix.

        Example:
            >>> Tokenizer("all-MiniLM-L6-v2").split_length(10, beginning=0.25)
            (3, 7)
        """
        lowest, highest = len(self.prefix), max_length - len(self.suffix)
        front = lowest + round((highest - lowest) * beginning)
        return front, max_length - front

    # --- and back ---

    def ids_to_tokens(self, token_ids: Iterable[int]) -> list[str]:
        """Return the tokens of token ids; an unknown id becomes "?"."""
        return [self.core.id_to_token(int(token_id)) or "?" for token_id in token_ids]

    def decode(self, token_ids: Iterable[int]) -> str:
        """Return the readable text of token ids, without padding and special tokens."""
        without_padding = [int(token_id) for token_id in token_ids if token_id != self.pad]
        if self.name == "words":
            return decode_case(self.ids_to_tokens(without_padding))
        if self.name == "bpe":
            text = self.core.decode(without_padding, skip_special_tokens=False)
            return decode_case(SPECIAL_TOKEN_PATTERN.sub(r" \1 ", text).split(), words=False)
        return str(self.core.decode(without_padding))

    # --- bundles ---

    def has_same_ids_as(self, other: Tokenizer) -> bool:
        """Return whether both tokenizers give every text the same token ids, even if their names differ."""
        return self.encodes_case == other.encodes_case and self.core.to_str() == other.core.to_str()

    def to_config(self) -> dict[str, Any]:
        """Return name, padding token, mask token and the whole Hugging Face tokenizer as JSON."""
        pad, mask = self.core.id_to_token(self.pad), None if self.mask is None else self.core.id_to_token(self.mask)
        return {"name": self.name, "pad": pad, "mask": mask, "tokenizer": self.core.to_str()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Tokenizer:
        """Return the tokenizer that `to_config` described.

        Raises:
            DataError: It does not describe one.
        """
        try:
            core = tokenizers.Tokenizer.from_str(config["tokenizer"])
        except BaseException as error:  # a panic of the library in Rust is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise DataError(
                f"The tokenizer cannot be built: {error}", "a tokenizer as to_str() writes it.", "export it again."
            ) from error
        names = (config["name"], config["pad"], config["mask"])
        if not all(isinstance(name, str) for name in names[:2]) or not isinstance(names[2], str | NoneType):
            raise DataError(f"The tokenizer has the name and tokens {names!r}.", "texts.", "export it again.")
        return cls(names[0], core, pad=names[1], mask=names[2])

    @classmethod
    def from_encoder(cls, name: str | Path = DEFAULT_ENCODER) -> Tokenizer:
        """Return an encoder's own tokenizer.

        Args:
            name: The encoder's name or folder.
        Raises:
            ModelError: There is no such encoder.
        """
        named = read_special_tokens(locate_encoder(name))
        core = load_encoder_tokenizer(name)
        return cls(str(name), core, pad=named.get("pad_token"), mask=named.get("mask_token"))

    # --- old names ---

    @property
    def size(self) -> int:
        """Deprecated: use `vocabulary_size`."""
        warn_renamed("Tokenizer.size", "Tokenizer.vocabulary_size")
        return self.vocabulary_size

    def tokens(self, numbers: Iterable[int]) -> list[str]:
        """Deprecated: use `ids_to_tokens`."""
        warn_renamed("Tokenizer.tokens()", "Tokenizer.ids_to_tokens()")
        return self.ids_to_tokens(numbers)

    @classmethod
    def of_encoder(cls, name: str | Path = DEFAULT_ENCODER) -> Tokenizer:
        """Deprecated: use `from_encoder`."""
        warn_renamed("Tokenizer.of_encoder()", "Tokenizer.from_encoder()")
        return cls.from_encoder(name)


def _both_ends(text: str, front: int, back: int) -> tuple[str, str] | None:
    """Return about this many characters of a text's beginning and end, in whole words; None if they would overlap."""
    end, start = text.rfind(" ", 0, front), text.find(" ", max(len(text) - back, 0))
    return (text[:end], text[start:]) if 0 <= end < start else None


def _to_list_array(token_ids: list[list[int]]) -> pa.Array:
    import pyarrow as pa  # models in use tokenize without it

    offsets = np.cumsum([0, *map(len, token_ids)], dtype=np.int32)
    values = np.fromiter(chain.from_iterable(token_ids), np.int32, int(offsets[-1]))
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))
