"""Texts, split and labelled, and how they become tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from onecycle.data.items import CONTENT, ITEM, LABEL, Part
from onecycle.data.label import LabelledList
from onecycle.errors import DataError
from onecycle.text.language import MaskedToken, NextToken, chunked
from onecycle.text.storage import column
from onecycle.text.texts import Texts, check_beginning, check_length
from onecycle.text.tokenizer import BEGINNING, Tokenizer
from onecycle.text.vocabulary import choose_tokenizer

NUMBERS = pa.list_(pa.int32())
# Documents are joined in an order that this decides, so that no chunk learns from how files are called.
SEED = 42


@dataclass(frozen=True, repr=False)
class LabelledTexts(LabelledList):
    """Texts, split and labelled.

    Attributes:
        source: The stage before the texts were tokenised, so that they can be tokenised again; None before that.
        sequence: For language models: tokens a chunk.
    """

    modality: Texts
    source: LabelledTexts | None = None
    sequence: int | None = None

    def tokenize(
        self,
        tokenizer: str | Path | Tokenizer | None = None,
        *,
        max_length: int = 128,
        beginning: float = BEGINNING,
        vocabulary: int | None = None,
        min_frequency: int | None = None,
        sequence: int | None = None,
    ) -> LabelledTexts:
        """Cut all texts into tokens, once and for all, on all processors.

        Args:
            tokenizer: The name or folder of an encoder, for its own; "words" or "bpe" train one on the training texts;
                or one that there is already, such as a language model's. None takes the default encoder's.
            max_length: The most tokens of a text; the middle of a longer one is left out.
            beginning: The share of a long text's tokens that are from its beginning, the others are from its end; 1
                cuts it off at the end. On film reviews, 128 tokens of both ends serve better than the first 256.
            vocabulary: For "words" and "bpe": the most tokens; None takes 30,000.
            min_frequency: For "words" and "bpe": how often one must be seen; None takes 2.
            sequence: For language models, which read texts as a whole: tokens a chunk; None takes the target's own.
        Raises:
            DataError: An argument is out of range or does not fit.
            ModelError: The encoder cannot be had.
        """
        raw = self if self.source is None else self.source
        chosen = choose_tokenizer(tokenizer, values(raw.train.table[CONTENT]), vocabulary, min_frequency)
        if isinstance(raw.target, NextToken):
            length = raw.target.sequence if sequence is None else sequence
            return raw._chunked(replace(raw.target, tokenizer=chosen), length)
        if sequence is not None:
            raise DataError(f"sequence={sequence} is for language models.", "max_length=.", "leave sequence= out.")
        length, share = check_length(max_length, chosen), check_beginning(beginning)
        texts = replace(raw.modality, tokenizer=chosen, max_length=length, beginning=share)
        return replace(raw, modality=texts, source=raw)._all_tokenised()

    def _all_tokenised(self) -> LabelledTexts:
        test = None if self.test is None else self._tokenised(self.test)
        return replace(self, train=self._tokenised(self.train), valid=self._tokenised(self.valid), test=test)

    def _tokenised(self, part: Part) -> Part:
        """Return a part with numbers as contents; as it is where it has them already."""
        if part.table.schema.field(CONTENT).type == NUMBERS:
            return part
        texts = self.modality
        numbers = texts.tokenizer.encode_all(
            values(part.table[CONTENT]), texts.max_length, texts.beginning, total=len(part)
        )
        return _with_contents(part, column(numbers, NUMBERS))

    def _chunked(self, target: NextToken, sequence: int) -> LabelledTexts:
        """Return chunks in the place of documents, their labels the tokens to be found."""
        tokenizer = target.tokenizer
        assert tokenizer is not None
        check_length(sequence, tokenizer)
        if isinstance(target, MaskedToken) and tokenizer.mask is None:
            raise DataError(
                f"The tokenizer of {tokenizer.name} has no token to hide others with.",
                "the tokenizer of an encoder that was trained on hidden tokens.",
                "pass its name to tokenize(), or label_for_language_model(masked=False).",
            )

        def chunks(part: Part) -> Part:
            order = np.random.default_rng(SEED).permutation(len(part))
            contents, labels = chunked(
                tokenizer.encode_all(values(part.take(order).table[CONTENT]), total=len(part)), target, sequence
            )
            names = pa.array([f"chunk {number}" for number in range(len(contents))], pa.string())
            return Part(pa.table({ITEM: names, CONTENT: contents, LABEL: labels}))

        texts = replace(self.modality, tokenizer=tokenizer, max_length=sequence)
        test = None if self.test is None else chunks(self.test)
        return replace(
            self, train=chunks(self.train), valid=chunks(self.valid), test=test, target=target, modality=texts,
            source=self, sequence=sequence,
        )  # fmt: skip

    @property
    def streams(self) -> bool:
        """Chunks for the next token continue one another."""
        return isinstance(self.target, NextToken) and not isinstance(self.target, MaskedToken)

    def ready(self) -> Self:
        """Tokenise what is not tokenised yet: all, with the default encoder's tokenizer, or an added test set."""
        done: Any = self.tokenize() if self.source is None else self
        if not isinstance(self.target, NextToken):
            done = done._all_tokenised()
        elif done.test is not None and done.test.table.schema.field(CONTENT).type != NUMBERS:
            whole = replace(done.source, test=done.test)
            done = whole.tokenize(done.modality.tokenizer, sequence=done.sequence)
        ready: Self = done
        return ready


def values(texts: pa.ChunkedArray) -> Iterator[Any]:
    """Yield a column's values; never more than a few of them are Python's at a time."""
    for chunk in texts.chunks:
        for start in range(0, len(chunk), 1000):
            yield from chunk.slice(start, 1000).to_pylist()


def _with_contents(part: Part, contents: pa.ChunkedArray) -> Part:
    place = part.table.column_names.index(CONTENT)
    return Part(part.table.set_column(place, CONTENT, contents), part.root)
