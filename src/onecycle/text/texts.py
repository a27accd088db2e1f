"""Texts as a modality: how they are read, tokenized, padded and shown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from onecycle.data.batch import Batch, Reading
from onecycle.data.modality import Description, Modality
from onecycle.data.rows import CONTENT, ITEM, Rows
from onecycle.data.target import Target
from onecycle.errors import DataError, naming_item, with_article
from onecycle.registry import register
from onecycle.text.cleaning import RULE_NAMES, check_rules
from onecycle.text.encoders import DEFAULT_ENCODER
from onecycle.text.language_targets import MaskedToken
from onecycle.text.reading import (
    TokenIds,
    check_beginning,
    check_is_text,
    check_max_length,
    pad_token_ids,
    read_text_file,
    read_token_ids,
)
from onecycle.text.text_files import TEXT_SUFFIXES, find_texts
from onecycle.text.tokenizer import DEFAULT_BEGINNING, Tokenizer

# Size of a drawn text.
LINES, CHARACTERS_PER_LINE = 18, 46
# How many tokens `explain` prints.
SHOWN_TOKENS = 12
# Where a text was cut.
CUT = " […] "


@register("modality", "texts")
@dataclass(frozen=True)
class Texts(Modality):
    """How texts are cleaned, tokenized, padded and shown.

    Attributes:
        tokenizer: Splits texts into tokens.
        max_length: The most tokens of a text, prefix and suffix included; the middle of a longer text is left out.
        beginning: The fraction of a long text's tokens from its beginning, 0 to 1; the others are from its end.
        rules: Names of the cleaning rules, see `cleaning.RULES`.
        chunks: The items are chunks of texts, for a language model, of which nothing is left out.

    Example:
        >>> texts = Texts(max_length=6)
        >>> texts.collate([np.array([101, 2204, 102]), np.array([101, 1037, 2204, 102])]).tolist()
        [[101, 2204, 102, 0], [101, 1037, 2204, 102]]
    """

    tokenizer: Tokenizer = field(default_factory=lambda: Tokenizer(DEFAULT_ENCODER))
    max_length: int = 128
    beginning: float = DEFAULT_BEGINNING
    rules: tuple[str, ...] = RULE_NAMES
    chunks: bool = False

    kind: ClassVar[str] = "texts"
    reads_text_directly: ClassVar[bool] = True
    suffixes: ClassVar[frozenset[str] | None] = frozenset(TEXT_SUFFIXES)

    def read(self, item: Any, *, training: bool) -> Reading:
        return Reading(read_token_ids(item, self.tokenizer, self.max_length, self.beginning, self.rules))

    def check_given(self, item: Any) -> None:
        check_is_text(item)

    def collate(self, inputs: Sequence[TokenIds]) -> Tensor:
        """Return int64, (batch, length), padded at the end to the longest input."""
        return torch.from_numpy(pad_token_ids(inputs, self.tokenizer.pad))

    def prepare(self, batch: Batch, target: Target, generator: torch.Generator | None) -> Batch:
        """Mask tokens if the target is to predict them; other batches are not changed."""
        if not isinstance(target, MaskedToken) or batch.targets is None:
            return batch
        inputs, targets = target.mask_tokens(batch.inputs, batch.index, generator)
        return replace(batch, inputs=inputs, targets=targets)

    def lengths(self, rows: Rows) -> Tensor | None:
        """Return the number of tokens of each text, (items,), or of characters before the texts are tokenized."""
        if CONTENT not in rows.table.column_names:
            return None
        contents = rows.table[CONTENT]
        tokenized = pa.types.is_list(contents.type) or pa.types.is_large_list(contents.type)
        counts = pc.list_value_length(contents) if tokenized else pc.utf8_length(contents)
        return torch.from_numpy(counts.to_numpy().astype(np.int64))

    def resize(self, size: int | tuple[int, int]) -> Self:
        """Return the modality with another `max_length`; texts that are already truncated do not change."""
        if not isinstance(size, int):
            raise DataError(f"size={size!r}.", "a number of tokens.", "pass one number, such as 128.")
        return replace(self, max_length=check_max_length(size, self.tokenizer))

    def find_items(self, folder: Path) -> list[str]:
        """Return the names of the text files below a folder, relative to it, sorted.

        Raises:
            DataError: The folder contains no text.
        """
        return find_texts(Path(folder))[0]

    def rows_in(self, folder: Path) -> Rows:
        """Return the text files below a folder, read."""
        names = self.find_items(folder)
        return _rows_of_texts(names, [read_text_file(folder / name) for name in names], folder)

    def rows_from(self, items: Sequence[Any]) -> Rows:
        """Return the items in a list: a `str` is a text, a `Path` the file of one."""
        for place, item in enumerate(items):
            with naming_item(place, len(items)):
                check_is_text(item)
        wrong = next((item for item in items if not isinstance(item, str | Path)), None)
        if wrong is not None:
            raise DataError(
                f"A list of texts contains {with_article(type(wrong).__name__)}.", "texts, or the Paths of text files.",
                "pass str(...) or Path(...).",
            )  # fmt: skip
        names = [str(item) if isinstance(item, Path) else f"text {place}" for place, item in enumerate(items)]
        return _rows_of_texts(names, [read_text_file(item) if isinstance(item, Path) else item for item in items], None)

    def as_text(self, input: Tensor) -> str:
        """Return a text, given as token ids, (length,), with a mark where the middle, or the end, may be left out.

        A text that just fits into `max_length` cannot be told from one that was cut.
        """
        token_ids = [token for token in input.tolist() if token != self.tokenizer.pad]
        if self.chunks or len(token_ids) < self.max_length:
            return self.tokenizer.decode(token_ids)
        front, _ = self.tokenizer.split_length(self.max_length, self.beginning)
        parts = (self.tokenizer.decode(part) for part in (token_ids[:front], token_ids[front:]))
        return CUT.join(parts).strip()

    def show(self, axes: Any, input: Tensor) -> None:
        """Write the beginning of a text, token ids (length,)."""
        text = _replace_missing_glyphs(self.as_text(input))
        lines = textwrap.wrap(text, CHARACTERS_PER_LINE, max_lines=LINES, placeholder=" …")
        options = {"fontsize": 6, "va": "top", "ha": "left", "parse_math": False, "transform": axes.transAxes}
        axes.text(0.0, 1.0, "\n".join(lines), **options)

    def describe(self) -> Description:
        return Description(
            f"cleaned ({', '.join(self.rules) or 'no rules'}), tokenized with {self.tokenizer.name}; of a long text "
            f"{self.beginning:.0%} of the tokens are from its beginning and the others from its end",
            "no augmentation; for masked language models some tokens are masked",
            f"up to {self.max_length} tokens, padded to the longest text of a batch",
        )

    def steps(self, item: Any, input: TokenIds) -> Sequence[str]:
        text = item if isinstance(item, str) else self.tokenizer.decode(input)
        first, count = input[:SHOWN_TOKENS], len(input)
        return (
            f"text:      {textwrap.shorten(text, 80, placeholder=' …')}",
            f"tokens:    {_join_first(self.tokenizer.ids_to_tokens(first), count)}",
            f"token ids: {_join_first(map(str, first.tolist()), count)}",
        )

    def to_config(self) -> dict[str, Any]:
        return {
            "kind": "texts", "max_length": self.max_length, "beginning": self.beginning, "rules": list(self.rules),
            "tokenizer": self.tokenizer.to_config(),
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Texts:
        tokenizer = Tokenizer.from_config(config["tokenizer"])
        # In bundles without this entry the end of a text was cut off.
        beginning = check_beginning(config.get("beginning", 1.0))
        length = check_max_length(config["max_length"], tokenizer)
        return cls(tokenizer, length, beginning, check_rules(config["rules"]))


def _rows_of_texts(names: Sequence[str], texts: Sequence[str], root: Path | None) -> Rows:
    columns = {ITEM: pa.array(names, pa.string()), CONTENT: pa.array(texts, pa.large_string())}
    return Rows(pa.table(columns), root)


def _join_first(words: Iterable[str], count: int) -> str:
    return " ".join(words) + (f" … ({count:,} in all)" if count > SHOWN_TOKENS else "")


def _replace_missing_glyphs(text: str) -> str:
    """Replace characters that the font of figures does not have, such as most emoji, by a box."""
    available = _font_characters()
    return "".join(letter if ord(letter) in available or letter.isspace() else "□" for letter in text)


@cache
def _font_characters() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())
