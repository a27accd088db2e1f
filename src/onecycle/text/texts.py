"""What the rest of the library needs to know of texts, in one object."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from onecycle.data.items import CONTENT, Part
from onecycle.data.modality import Batch, Description, Sample
from onecycle.data.target import Target
from onecycle.errors import DataError
from onecycle.text.cleaning import NAMES, check_rules, clean
from onecycle.text.encoders import DEFAULT_ENCODER
from onecycle.text.encoding import decode
from onecycle.text.language import MaskedToken
from onecycle.text.tokenizer import BEGINNING, Tokenizer

Numbers = NDArray[np.int32]

# A picture of a text: so many lines of so many characters.
LINES, COLUMNS = 18, 46


@dataclass(frozen=True)
class Texts:
    """How texts are cleaned, tokenised, stacked and shown.

    Attributes:
        tokenizer: Cuts texts into tokens.
        max_length: The most tokens of a text, with those put around it; the middle of a longer one is left out.
        beginning: The share of a long text's tokens that are from its beginning, 0 to 1; the others are from its end.
        rules: Names of the cleaning rules, see `cleaning.RULES`.
    """

    tokenizer: Tokenizer = field(default_factory=lambda: Tokenizer(DEFAULT_ENCODER))
    max_length: int = 128
    beginning: float = BEGINNING
    rules: tuple[str, ...] = NAMES

    def sample(self, item: Any, label: Any, target: Target, index: int, *, training: bool) -> Sample:
        """Return a text's numbers, int32, (length,). An item is a text, the path of one, or numbers already."""
        encoded = None if label is None else target.encode(label)
        return Sample(self._numbers(item), encoded, index)

    def _numbers(self, item: Any) -> Numbers:
        if isinstance(item, Path):
            item = _read(item)
        if isinstance(item, str):
            text = clean(item, self.rules)
            if not text:
                raise DataError(f"The text {item[:40]!r} is empty.", "some words.", "leave it out.")
            return np.array(self.tokenizer.encode(text, self.max_length, self.beginning), np.int32)
        if not isinstance(item, Sequence | np.ndarray):
            raise DataError(
                f"Cannot read a text from {type(item).__name__}.",
                "a text, the Path of a text file, or a list of token numbers.",
                "pass str(...).",
            )
        numbers = np.asarray(item, np.int32)
        if len(numbers) <= self.max_length:
            return numbers
        return np.array(self.tokenizer.truncated(numbers.tolist(), self.max_length, self.beginning), np.int32)

    def encode(self, label: Any, target: Target, frame: Tensor | None, *, training: bool) -> Tensor:
        """Encode a label; none lies in the text."""
        return target.encode(label)

    def stack(self, inputs: Sequence[Numbers]) -> Tensor:
        """Return int64, (batch, length), padded at the end to the longest."""
        stacked = np.full((len(inputs), max(map(len, inputs))), self.tokenizer.pad, np.int64)
        for row, numbers in zip(stacked, inputs, strict=True):
            row[: len(numbers)] = numbers
        return torch.from_numpy(stacked)

    def prepare(self, batch: Batch, target: Target, generator: torch.Generator | None) -> Batch:
        """Hide tokens, where those are what is to be found; else as it is."""
        if not isinstance(target, MaskedToken) or batch.targets is None:
            return batch
        inputs, targets = target.hide(batch.inputs, generator)
        return replace(batch, inputs=inputs, targets=targets)

    def item_shape(self, *, training: bool) -> None:
        """Texts differ in length, and their numbers are at hand already."""

    def lengths(self, part: Part) -> Tensor | None:
        """Tokens of each text, or where there are none yet, its characters."""
        if CONTENT not in part.table.column_names:
            return None
        contents = part.table[CONTENT]
        counts = pc.list_value_length(contents) if _tokenised(contents.type) else pc.utf8_length(contents)
        return torch.from_numpy(counts.to_numpy().astype(np.int64))

    def resize(self, size: int | tuple[int, int]) -> Self:
        """Return the same with another `max_length`; texts that were cut already stay as they are."""
        if not isinstance(size, int):
            raise DataError(f"size={size!r}.", "a number of tokens.", "pass one number, such as 128.")
        return replace(self, max_length=check_length(size, self.tokenizer))

    def show(self, axes: Any, input: Tensor) -> None:
        """Write the beginning of a text, (length,), as the tokens have it."""
        text = _drawable(self.tokenizer.decode(input.tolist()))
        lines = textwrap.wrap(text, COLUMNS, max_lines=LINES, placeholder=" …")
        options = {"fontsize": 6, "va": "top", "ha": "left", "parse_math": False, "transform": axes.transAxes}
        axes.text(0.0, 1.0, "\n".join(lines), **options)

    def describe(self) -> Description:
        """The steps from text to model."""
        return Description(
            f"clean ({', '.join(self.rules) or 'nothing'}), cut into tokens of {self.tokenizer.name}; of a long text "
            f"{self.beginning:.0%} of them from its beginning and the others from its end",
            "as it is; where tokens are to be found, they are hidden",
            f"up to {self.max_length} tokens, padded to the longest of a batch",
        )

    def steps(self, item: Any, input: Numbers) -> Sequence[str]:
        """The text, its tokens and their numbers, the first of each."""
        text = item if isinstance(item, str) else self.tokenizer.decode(input)
        return (
            f"text:    {textwrap.shorten(text, 80, placeholder=' …')}",
            f"tokens:  {_first(self.tokenizer.tokens(input[:FIRST]), len(input))}",
            f"numbers: {_first(map(str, input[:FIRST].tolist()), len(input))}",
        )

    def to_config(self) -> dict[str, Any]:
        """All of it."""
        return {
            "kind": "texts", "max_length": self.max_length, "beginning": self.beginning, "rules": list(self.rules),
            "tokenizer": self.tokenizer.to_config(),
        }  # fmt: skip

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Texts:
        """Return the modality that `to_config` described."""
        tokenizer = Tokenizer.from_config(config["tokenizer"])
        # Texts were cut off at the end, before they kept both.
        beginning = check_beginning(config.get("beginning", 1.0))
        return cls(tokenizer, int(config["max_length"]), beginning, check_rules(config["rules"]))


FIRST = 12


def check_length(length: int, tokenizer: Tokenizer) -> int:
    """Return a number of tokens that has room for some of the text's own.

    Raises:
        DataError: It has not.
    """
    least = len(tokenizer.prefix) + len(tokenizer.suffix) + 1
    if length < least:
        raise DataError(f"max_length={length}.", f"{least} tokens or more.", "pass max_length=128.")
    return length


def check_beginning(share: float) -> float:
    """Return a share of a text's tokens.

    Raises:
        DataError: It is none.
    """
    if not 0 <= share <= 1:
        raise DataError(f"beginning={share}.", "a share of a long text's tokens, 0 to 1.", "leave it out.")
    return share


def _tokenised(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _read(path: Path) -> str:
    try:
        return decode(path.read_bytes())[0]
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error}.", "a text file.", "check the path.") from error


def _first(words: Iterable[str], count: int) -> str:
    return " ".join(words) + (f" … ({count:,} in all)" if count > FIRST else "")


def _drawable(text: str) -> str:
    """Replace characters that the font of figures lacks, such as most emoji, by a box."""
    known = _characters()
    return "".join(letter if ord(letter) in known or letter.isspace() else "□" for letter in text)


@cache
def _characters() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())
