"""Texts, tokenizers and encoders fit together, or the error says how to make them fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_texts import review_bunch, save_encoder

from onecycle.data.rows import CONTENT
from onecycle.errors import ModelError
from onecycle.text.tokenizer import Tokenizer
from onecycle.text.tokenizer_matching import get_tokenizer, load_matching_encoder, retokenize


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoder"))


def test_the_encoder_of_the_texts_tokenizer_is_loaded(encoder: Path) -> None:
    loaded = load_matching_encoder(encoder, get_tokenizer(review_bunch(encoder)))
    assert loaded.get_input_embeddings().weight.shape[0] == Tokenizer.from_encoder(encoder).vocabulary_size  # type: ignore[operator]


def test_another_tokenizer_is_an_error(encoder: Path) -> None:
    with pytest.raises(
        ModelError, match=r"tokenized with 'words', which is not the tokenizer of .*\n.*\nFix: tokenize the texts with"
    ):
        load_matching_encoder(encoder, get_tokenizer(review_bunch("words")))


def test_texts_are_tokenized_again_with_the_same_options(encoder: Path) -> None:
    bunch = review_bunch("words", max_length=9, beginning=1.0)
    again = retokenize(bunch, Tokenizer.from_encoder(encoder))
    assert get_tokenizer(again) == Tokenizer.from_encoder(encoder)
    assert (again.modality.max_length, again.modality.beginning, again.batch_size) == (9, 1.0, 8)  # type: ignore[attr-defined]
    assert len(again.train.dataset.rows.table[CONTENT]) == len(bunch.train.dataset.rows.table[CONTENT])
    assert retokenize(again, Tokenizer("another name", get_tokenizer(again).core)) is again


def test_images_are_an_error(photos: Path) -> None:
    from learners import photo_bunch

    torch.manual_seed(0)
    with pytest.raises(ModelError, match=r"The items are not tokenized texts but Images: .*\n.*\nFix: use vision"):
        get_tokenizer(photo_bunch(photos))
