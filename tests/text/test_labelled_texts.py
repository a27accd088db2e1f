"""Labelled texts: tokenized once, again with another tokenizer, and as chunks for language models."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from test_language_targets import DOCUMENTS

from onecycle.data.categories import Category
from onecycle.data.rows import CONTENT
from onecycle.errors import DataError
from onecycle.text import labelled_texts, storage
from onecycle.text.labelled_texts import LabelledTexts
from onecycle.text.text_list import TextList
from onecycle.text.tokenizer import Tokenizer

TARGET = Category(("bad", "good"))
RNG = np.random.default_rng(0)
REVIEWS = [" ".join(RNG.choice(["a", "film", "plot", "scene"], 2 + n % 23)) + f" {TARGET.classes[n % 2]}" for n in range(200)]  # fmt: skip  # noqa: E501


def label_reviews() -> LabelledTexts:
    items = TextList.from_texts(REVIEWS, [TARGET.classes[n % 2] for n in range(200)])
    return items.split_random(0.2).label_from_column("label")


def test_all_splits_are_tokenized_with_the_vocabulary_of_training() -> None:
    items = TextList.from_texts(["good film"] * 4 + ["other words"], list("ababa"))
    stage = items.split_by_index([4]).label_from_column("label").tokenize("words", min_frequency=1)
    assert stage.valid.table[CONTENT].to_pylist() == [[2, 0, 0]]
    assert stage.train.table[CONTENT].type == labelled_texts.TOKEN_IDS
    again = stage.tokenize("bpe", vocabulary=300)
    assert again.modality.tokenizer.name == "bpe"
    assert again.source is stage.source


def test_the_default_tokenizer_is_the_default_encoder_s() -> None:
    bunch = label_reviews().databunch(8)
    assert bunch.modality.tokenizer == Tokenizer.from_encoder()  # type: ignore[attr-defined]
    assert next(iter(bunch.train)).inputs[0, 0] == 101


def test_an_added_test_set_is_tokenized() -> None:
    stage = label_reviews().tokenize("words").add_test(TextList.from_texts(["a film", "a plot a plot"]))
    test = stage.databunch(8).test
    assert test is not None
    assert [len(item) for item in test.dataset.rows.table[CONTENT].to_pylist()] == [3, 5]


def test_both_ends_of_a_long_text_are_read() -> None:
    items = TextList.from_texts([" ".join(REVIEWS)] * 5, list("ababa")).split_by_index([4])
    long = items.label_from_column("label").tokenize("words", max_length=21, min_frequency=1)
    everything = long.modality.tokenizer.encode(" ".join(REVIEWS))
    assert long.train.table[CONTENT][0].as_py() == [*everything[:6], *everything[-15:]]
    head = long.tokenize(long.modality.tokenizer, max_length=21, beginning=1)
    assert head.valid.table[CONTENT][0].as_py() == everything[:21]
    assert head.modality.sample(" ".join(REVIEWS), None, TARGET, 0, training=False).input.tolist() == everything[:21]


def test_large_columns_are_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(storage, "MAX_BYTES_IN_MEMORY", 100)
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path))
    stored = label_reviews().tokenize("words", min_frequency=1)
    monkeypatch.undo()
    assert stored.train.table.equals(label_reviews().tokenize("words", min_frequency=1).train.table)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"max_length": 1}, "max_length=1.\nExpected 2 tokens or more"),
        ({"beginning": 1.5}, "beginning=1.5.\nExpected a fraction of a long text's tokens"),
        ({"sequence": 8}, "sequence=8 is for language models.\nExpected max_length="),
    ],
)
def test_arguments_that_do_not_fit_are_errors(options: dict[str, int], what: str) -> None:
    with pytest.raises(DataError, match=what):
        label_reviews().tokenize("words", **options)  # type: ignore[arg-type]


class TestChunks:
    def test_documents_are_joined_whole_each_with_its_prefix(self) -> None:
        stage = TextList.from_texts(DOCUMENTS).split_by_index([0, 1, 2]).label_for_language_model()
        stage = stage.tokenize("words", min_frequency=1, sequence=7)
        tokenizer = stage.modality.tokenizer
        chunks = stage.train.table[CONTENT].to_pylist()
        tokens = tokenizer.ids_to_tokens(itertools.chain.from_iterable(chunks))
        starts = [position for position, token in enumerate(tokens) if token == "xxbos"]
        assert starts[0] == 0
        document_length = len(tokenizer.encode(DOCUMENTS[0]))
        assert {after - before for before, after in itertools.pairwise(starts)} == {document_length}

    def test_the_default_chunk_has_72_tokens(self) -> None:
        stage = TextList.from_texts(DOCUMENTS).split_by_index(range(10)).label_for_language_model().tokenize("words")
        assert len(stage.train.table[CONTENT][0]) == 72
        assert (stage.modality.max_length, stage.sequence) == (72, 72)

    def test_a_test_set_is_cut_into_chunks(self) -> None:
        stage = TextList.from_texts(DOCUMENTS).split_by_index(range(10)).label_for_language_model()
        bunch = stage.tokenize("words", sequence=9).add_test(TextList.from_texts(DOCUMENTS)).databunch(4)
        assert next(iter(bunch.train)).inputs.shape == (bunch.train.size, 9)
        assert next(iter(bunch.test)).inputs.shape[1:] == (9,)  # type: ignore[arg-type]

    def test_only_chunks_for_the_next_token_are_contiguous(self) -> None:
        split = TextList.from_texts(DOCUMENTS).split_by_index(range(10))
        assert split.label_for_language_model().target.contiguous
        assert not split.label_for_language_model(masked=True).target.contiguous
        assert not label_reviews().target.contiguous

    def test_too_few_tokens_are_an_error(self) -> None:
        stage = TextList.from_texts(["a b", "c d"]).split_by_index([1]).label_for_language_model()
        with pytest.raises(DataError, match=r"have 3 tokens in all, and a chunk has 72.\n.*\nFix: .*sequence="):
            stage.tokenize("words", min_frequency=1)
