"""From text to token ids and back."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pyarrow as pa
import pytest
import tokenizers
from tiny_texts import save_encoder

from onecycle.errors import DataError
from onecycle.text.tokenizer import Tokenizer
from onecycle.text.tokenizer_training import train_tokenizer

CORPUS = ["I didn't like this movie, it was BORING!!!!", "I liked this movie. It was good, very good."] * 5


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return train_tokenizer("words", CORPUS, min_frequency=1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoder"))


class TestEncoders:
    def test_ids_of_special_tokens(self, encoder: Path) -> None:
        own = Tokenizer.from_encoder(encoder)
        assert (own.pad, own.mask, own.prefix, own.suffix) == (0, 4, (2,), (3,))
        assert own.special_ids == {0, 1, 2, 3, 4}
        assert own.vocabulary_size == own.embedding_rows == own.core.get_vocab_size()
        assert own.decode([2, *own.encode("a good film")[1:-1], 3, 0, 0]) == "a good film"

    def test_a_special_token_within_a_text_is_plain_text(self, encoder: Path) -> None:
        own = Tokenizer.from_encoder(encoder)
        assert own.encode("a [SEP] a").count(3) == 1

    def test_the_default_encoder_has_bert_s_ids(self) -> None:
        own = Tokenizer.from_encoder()
        assert own.encode("hello")[0] == 101
        assert len(own.encode("hello " * 500)) == 502
        assert repr(own) == "Tokenizer of all-MiniLM-L6-v2"

    def test_a_name_alone_is_enough(self, encoder: Path) -> None:
        assert Tokenizer(str(encoder)) == Tokenizer.from_encoder(encoder)


class TestEncoding:
    def test_one_text_and_many_give_the_same_ids(self, words: Tokenizer) -> None:
        arrays = list(words.encode_all(iter(CORPUS), total=len(CORPUS)))
        assert pa.types.is_list(arrays[0].type)
        assert arrays[0].to_pylist() == [words.encode(text) for text in CORPUS]

    @pytest.mark.parametrize("text", ["good " * 3000, "g" * 5000, "good\n" * 2000, "a " * 30 + "x" * 900 + " a" * 50])
    @pytest.mark.parametrize("length", [3, 8, 50])
    @pytest.mark.parametrize("beginning", [0.0, 0.25, 1.0])
    def test_the_shortcut_for_long_texts_gives_the_same_ids(
        self, encoder: Path, text: str, length: int, beginning: float
    ) -> None:
        own = Tokenizer.from_encoder(encoder)
        assert own.encode(text, length, beginning) == own.truncate(own.encode(text), length, beginning)
        assert len(own.encode(text, length, beginning)) <= length

    def test_the_middle_of_a_long_text_is_left_out(self, words: Tokenizer) -> None:
        token_ids = [*words.prefix, *range(100, 120), *words.suffix]
        around = len(words.prefix) + len(words.suffix)
        for beginning, inner in ((0.25, [100, 101, 114, 115, 116, 117, 118, 119]), (1.0, list(range(100, 108)))):
            assert words.truncate(token_ids, 8 + around, beginning) == [*words.prefix, *inner, *words.suffix]
        assert words.truncate(token_ids, len(token_ids), 0.5) == token_ids

    def test_an_empty_text_has_one_token(self) -> None:
        core = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<pad>": 0, "a": 1}, unk_token="<pad>"))
        core.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        assert Tokenizer("own", core).encode("") == [0]


class TestIds:
    def test_ids_may_have_gaps(self) -> None:
        core = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<pad>": 0, "a": 7}, unk_token="<pad>"))
        own = Tokenizer("own", core)
        assert (own.vocabulary_size, own.embedding_rows) == (2, 8)
        assert own.ids_to_tokens([7, 3]) == ["a", "?"]

    def test_a_tokenizer_without_a_padding_token_is_an_error(self) -> None:
        core = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
        with pytest.raises(DataError, match=r"tokenizer of own has no padding token.\nExpected one of: \[PAD\]"):
            Tokenizer("own", core).pad  # noqa: B018
        assert Tokenizer("own", core, pad="a").pad == 0

    def test_the_name_does_not_change_ids(self, words: Tokenizer) -> None:
        renamed = Tokenizer("bpe", words.core)
        assert renamed != words
        assert renamed.has_same_ids_as(words)
        assert not train_tokenizer("words", CORPUS[:1], min_frequency=1).has_same_ids_as(words)


@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_a_tokenizer_can_be_saved_and_sent_to_workers(kind: str) -> None:
    one = train_tokenizer(kind, CORPUS, vocabulary=400, min_frequency=1)  # type: ignore[arg-type]
    config = json.loads(json.dumps(one.to_config()))
    for other in (Tokenizer.from_config(config), pickle.loads(pickle.dumps(one))):
        assert other == one
        assert hash(other) == hash(one)
        assert other.encode(CORPUS[0]) == one.encode(CORPUS[0])
        assert (other.pad, other.encodes_case) == (one.pad, True)


def test_old_names_work_with_a_warning(words: Tokenizer) -> None:
    with pytest.warns(DeprecationWarning, match=r"of_encoder\(\) is deprecated, use Tokenizer.from_encoder\(\)"):
        assert Tokenizer.of_encoder() == Tokenizer.from_encoder()
    with pytest.warns(DeprecationWarning, match=r"use Tokenizer.ids_to_tokens\(\)"):
        assert words.tokens([2]) == ["xxbos"]
    with pytest.warns(DeprecationWarning, match=r"use Tokenizer.vocabulary_size"):
        assert words.size == words.vocabulary_size
