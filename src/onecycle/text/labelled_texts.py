"""Texts, split and labelled, and how they are tokenized."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from onecycle.calls import explains_calls
from onecycle.data.label import LabelledList
from onecycle.data.rows import CONTENT, ITEM, LABEL, Rows
from onecycle.errors import DataError
from onecycle.text.language_targets import NextToken
from onecycle.text.reading import check_beginning, check_max_length
from onecycle.text.storage import build_column
from onecycle.text.texts import Texts
from onecycle.text.tokenizer import DEFAULT_BEGINNING, Tokenizer
from onecycle.text.tokenizer_training import choose_tokenizer

TOKEN_IDS = pa.list_(pa.int32())
# Documents are joined in a random order, so that no chunk depends on the names of files.
DOCUMENT_ORDER_SEED = 42
VALUES_PER_BLOCK = 1000


@explains_calls
@dataclass(frozen=True, repr=False)
class LabelledTexts(LabelledList):
    """Texts, split and labelled.

    Attributes:
        source: The stage before the texts were tokenized, to tokenize them again; None if they are not tokenized yet.
        sequence: For language models: tokens in a chunk.

    Example:
        >>> from onecycle.text.text_list import TextList
        >>> texts = TextList.from_texts(["good", "bad"] * 3, ["pos", "neg"] * 3).split_by_index([0, 1])
        >>> texts.label_from_column("label").tokenize("words", min_frequency=1)
        LabelledTexts: 4 training, 2 validation
        Category, 2 classes: neg, pos
    """

    modality: Texts
    source: LabelledTexts | None = None
    sequence: int | None = None

    def tokenize(
        self,
        tokenizer: str | Path | Tokenizer | None = None,
        *,
        max_length: int = 128,
        beginning: float = DEFAULT_BEGINNING,
        vocabulary: int | None = None,
        min_frequency: int | None = None,
        sequence: int | None = None,
    ) -> LabelledTexts:
        """Tokenize all texts once, on all processors.

        Args:
            tokenizer: The name or folder of an encoder, for its own tokenizer; "words" or "bpe" train one on the
                training texts; or a tokenizer, such as a language model's. None means the default encoder's.
            max_length: The most tokens of a text; the middle of a longer text is left out.
            beginning: The fraction of a long text's tokens from its beginning, the others are from its end; 1 cuts off
                the end. On film reviews, 128 tokens of both ends give better results than the first 256.
            vocabulary: For "words" and "bpe": the most tokens; None means 30,000.
            min_frequency: For "words" and "bpe": how often a token must occur; None means 2.
            sequence: For language models, which read texts as a whole: tokens in a chunk; None means 72 for the next
                token, 128 for masked tokens.
        Raises:
            DataError: An argument is out of range or does not fit.
            ModelError: The encoder is not available.
        """
        raw = self if self.source is None else self.source
        training_texts = iterate_values(raw.train.table[CONTENT])
        chosen = choose_tokenizer(tokenizer, training_texts, vocabulary, min_frequency)
        if isinstance(raw.target, NextToken):
            length = raw.target.sequence if sequence is None else sequence
            return raw._make_chunks(replace(raw.target, tokenizer=chosen), chosen, length)
        if sequence is not None:
            raise DataError(f"sequence={sequence} is for language models.", "max_length=.", "leave sequence= out.")
        length, share = check_max_length(max_length, chosen), check_beginning(beginning)
        texts = replace(raw.modality, tokenizer=chosen, max_length=length, beginning=share)
        return replace(raw, modality=texts, source=raw)._tokenize_splits()

    def _tokenize_splits(self) -> LabelledTexts:
        test = None if self.test is None else self._tokenize_rows(self.test)
        return replace(self, train=self._tokenize_rows(self.train), valid=self._tokenize_rows(self.valid), test=test)

    def _tokenize_rows(self, rows: Rows) -> Rows:
        """Return rows whose contents are token ids; unchanged if they are already."""
        if _is_tokenized(rows):
            return rows
        texts = self.modality
        token_ids = texts.tokenizer.encode_all(
            iterate_values(rows.table[CONTENT]), texts.max_length, texts.beginning, total=len(rows)
        )
        position = rows.table.column_names.index(CONTENT)
        return Rows(rows.table.set_column(position, CONTENT, build_column(token_ids, TOKEN_IDS)), rows.root)

    def _make_chunks(self, target: NextToken, tokenizer: Tokenizer, length: int) -> LabelledTexts:
        """Return the stage with chunks as items instead of documents, and the tokens to predict as labels."""
        check_max_length(length, tokenizer)

        def chunks(rows: Rows) -> Rows:
            order = np.random.default_rng(DOCUMENT_ORDER_SEED).permutation(len(rows))
            documents = iterate_values(rows.take(order).table[CONTENT])
            contents, labels = target.make_chunks(tokenizer.encode_all(documents, total=len(rows)), length)
            names = pa.array([f"chunk {number}" for number in range(len(contents))], pa.string())
            return Rows(pa.table({ITEM: names, CONTENT: contents, LABEL: labels}))

        texts = replace(self.modality, tokenizer=tokenizer, max_length=length, chunks=True)
        test = None if self.test is None else chunks(self.test)
        return replace(
            self, train=chunks(self.train), valid=chunks(self.valid), test=test, target=target, modality=texts,
            source=self, sequence=length,
        )  # fmt: skip

    def ready(self) -> Self:
        """Return the stage with all texts tokenized: with the default encoder's tokenizer if none was chosen."""
        stage: Any = self.tokenize() if self.source is None else self
        if not isinstance(self.target, NextToken):
            stage = stage._tokenize_splits()
        elif stage.test is not None and not _is_tokenized(stage.test):
            with_test = replace(stage.source, test=stage.test)
            stage = with_test.tokenize(stage.modality.tokenizer, sequence=stage.sequence)
        ready: Self = stage
        return ready


def iterate_values(column: pa.ChunkedArray) -> Iterator[Any]:
    """Yield a column's values; only a block of them are Python objects at a time."""
    for array in column.chunks:
        for start in range(0, len(array), VALUES_PER_BLOCK):
            yield from array.slice(start, VALUES_PER_BLOCK).to_pylist()


def _is_tokenized(rows: Rows) -> bool:
    return bool(rows.table.schema.field(CONTENT).type == TOKEN_IDS)
