"""Tokenizers in the folders of encoders, in new and old formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onecycle.errors import DataError
from onecycle.text.encoder_tokenizer import load_encoder_tokenizer, read_special_tokens
from onecycle.text.encoders import DEFAULT_ENCODER, locate_encoder

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "film", "##s")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": len(WORDS)}))
    return tmp_path


def test_a_tokenizer_json_is_loaded() -> None:
    tokens = load_encoder_tokenizer(DEFAULT_ENCODER).encode("good film").tokens
    assert tokens[:4] == ["[CLS]", "good", "film", "[SEP]"]


def test_an_old_vocabulary_file_is_converted(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    tokens = load_encoder_tokenizer(folder).encode("A good films?").tokens
    assert tokens == ["[CLS]", "a", "good", "film", "##s", "[UNK]", "[SEP]"]


def test_a_folder_without_a_tokenizer_is_an_error(folder: Path) -> None:
    with pytest.raises(
        DataError, match=r"contains no tokenizer that can be used: OSError.*\nExpected a tokenizer.json"
    ):
        load_encoder_tokenizer(folder)


def test_special_tokens_are_texts_or_objects(folder: Path) -> None:
    (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": {"content": "<pad>"}}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "other", "mask_token": "<mask>"}))
    assert read_special_tokens(folder) == {"pad_token": "<pad>", "mask_token": "<mask>"}
    assert read_special_tokens(locate_encoder(DEFAULT_ENCODER)) == {"pad_token": "[PAD]", "mask_token": "[MASK]"}
    assert read_special_tokens(folder / "nowhere") == {}
