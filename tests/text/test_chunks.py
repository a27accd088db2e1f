"""Documents become chunks of equal length."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_texts import save_encoder

from onecycle.errors import DataError
from onecycle.text.chunks import make_masked_chunks, make_next_token_chunks
from onecycle.text.tokenizer import Tokenizer

Documents = list[list[list[int]]]


def arrays(documents: Documents) -> list[pa.Array]:
    return [pa.array(block, pa.list_(pa.int32())) for block in documents]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.from_encoder(save_encoder(tmp_path_factory.mktemp("encoder")))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.lists(st.integers(0, 99), max_size=9), max_size=4), max_size=4), st.integers(1, 7))
def test_labels_are_the_tokens_one_position_later(documents: Documents, length: int) -> None:
    joined = [token_id for block in documents for document in block for token_id in document]
    count = (len(joined) - 1) // length
    if count < 1:
        with pytest.raises(DataError, match="tokens in all, and a chunk has"):
            make_next_token_chunks(arrays(documents), length)
        return
    chunks, labels = make_next_token_chunks(arrays(documents), length)
    assert chunks.to_pylist() == [joined[start : start + length] for start in range(0, count * length, length)]
    assert labels.to_pylist() == [joined[start + 1 : start + 1 + length] for start in range(0, count * length, length)]


def test_masked_chunks_begin_and_end_like_texts(tokenizer: Tokenizer) -> None:
    documents = [[[2, 10, 11, 12, 3], [2, 20, 21, 3]], [[2, 30, 31, 32, 33, 3]]]
    chunks, labels = make_masked_chunks(arrays(documents), tokenizer, 6)
    assert chunks.to_pylist() == [[2, 10, 11, 12, 3, 3], [2, 20, 21, 3, 30, 3], [2, 31, 32, 33, 3, 3]]
    assert labels.equals(chunks)


def test_too_few_tokens_are_an_error(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match=r"have 3 tokens in all, and a chunk has 8.\n.*\nFix: .*smaller sequence="):
        make_masked_chunks(arrays([[[2, 10, 3]]]), tokenizer, 8)
    with pytest.raises(DataError, match=r"of one split have 0 tokens in all"):
        make_next_token_chunks([], 8)


def test_the_texts_of_a_folder_need_no_labels(tmp_path: Path) -> None:
    from onecycle.text.text_list import TextList

    for number in range(20):
        (tmp_path / f"{number}.txt").write_text(f"some words about {number} " * 5)
    stage = TextList.from_folder(tmp_path).split_random(0.3).label_for_language_model()
    assert repr(stage).endswith("NextToken, tokens: not tokenized yet")
    assert stage.tokenize("words", sequence=10).databunch(2).train.contiguous
