"""Tokenizers: an encoder's own, and those that are trained here; and where encoders come from."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pyarrow as pa
import pytest
import tokenizers

from onecycle.errors import DataError, ModelError
from onecycle.text.encoders import DEFAULT_ENCODER, installed_encoders, locate_encoder
from onecycle.text.tokenizer import Tokenizer
from onecycle.text.vocabulary import choose_tokenizer, train_tokenizer

CORPUS = ["I didn't like this movie, it was BORING!!!!", "I liked this movie. It was good, very good."] * 5
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "film", "##s")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A folder as an encoder's, with an old vocabulary file and no tokenizer.json."""
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": len(WORDS)}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    return tmp_path


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return train_tokenizer("words", CORPUS, min_frequency=1)


@pytest.fixture(scope="module")
def pieces() -> Tokenizer:
    return train_tokenizer("bpe", CORPUS, vocabulary=400, min_frequency=1)


class TestTrained:
    def test_the_lesson_s_tokens_come_first(self, words: Tokenizer) -> None:
        assert words.tokens(range(7)) == ["xxunk", "xxpad", "xxbos", "xxrep", "xxwrep", "xxup", "xxmaj"]
        assert (words.pad, words.prefix, words.suffix, words.mask) == (1, (2,), (), None)

    def test_words_negations_and_marks_are_tokens(self, words: Tokenizer) -> None:
        numbers = words.encode("It wasn’t GOOD!!!!")
        assert words.tokens(numbers)[:2] == ["xxbos", "xxmaj"]
        assert words.tokens(words.encode("I didn't like")) == ["xxbos", "i", "did", "n't", "like"]
        assert words.decode(words.encode(CORPUS[0])) == CORPUS[0]

    def test_rare_words_are_unknown(self) -> None:
        few = train_tokenizer("words", ["a a b", "a c"], min_frequency=2)
        assert few.tokens(few.encode("a b c zebra")) == ["xxbos", "a", "xxunk", "xxunk", "xxunk"]

    @pytest.mark.parametrize("text", ["zebra שלום 😀👍🏽", CORPUS[0], "naïve  café", "THE END"])
    def test_no_piece_is_unknown(self, pieces: Tokenizer, text: str) -> None:
        assert "xxunk" not in pieces.tokens(pieces.encode(text))
        assert "".join(pieces.decode(pieces.encode(text)).split()) == "".join(text.split())

    def test_the_same_texts_give_the_same(self, words: Tokenizer) -> None:
        assert train_tokenizer("words", CORPUS, min_frequency=1) == words
        assert train_tokenizer("words", CORPUS[:1], min_frequency=1) != words


class TestEncoders:
    def test_one_s_own_tokenizer_with_what_it_puts_around_texts(self, encoder: Path) -> None:
        own = Tokenizer.of_encoder(encoder)
        assert (own.pad, own.mask, own.prefix, own.suffix, own.size) == (0, 4, (2,), (3,), 9)
        assert own.tokens(own.encode("A good films?")) == ["[CLS]", "a", "good", "film", "##s", "[UNK]", "[SEP]"]
        assert own.decode([2, 5, 6, 7, 8, 3, 0, 0]) == "a good films"
        assert own.special == {0, 1, 2, 3, 4}

    def test_a_special_token_in_a_text_is_only_text(self, encoder: Path) -> None:
        own = Tokenizer.of_encoder(encoder)
        assert own.encode("a [SEP] a").count(3) == 1

    def test_the_installed_default_is_found(self) -> None:
        folder = locate_encoder(DEFAULT_ENCODER)
        assert (folder / "model.safetensors").is_file()
        assert locate_encoder(f"sentence-transformers/{DEFAULT_ENCODER}") == folder
        assert DEFAULT_ENCODER in installed_encoders()
        own = Tokenizer.of_encoder()
        assert own.encode("hello")[0] == 101
        assert len(own.encode("hello " * 500)) == 502

    def test_a_name_that_cannot_be_had_names_what_is_installed(self) -> None:
        with pytest.raises(
            ModelError, match=rf"'nobody/nothing' is neither .*\n.*there are: {DEFAULT_ENCODER}.*\nFix: "
        ):
            locate_encoder("nobody/nothing")

    def test_a_folder_that_is_no_encoder(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("a")
        with pytest.raises(ModelError, match=r"holds no encoder: it has no config.json, only a.txt"):
            locate_encoder(tmp_path)

    def test_an_encoder_without_a_tokenizer(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
        with pytest.raises(DataError, match="holds no tokenizer that can be used"):
            Tokenizer.of_encoder(tmp_path)


class TestEncoding:
    def test_one_by_one_and_all_at_once_are_the_same(self, words: Tokenizer) -> None:
        pieces = list(words.encode_all(iter(CORPUS), total=len(CORPUS)))
        assert pa.types.is_list(pieces[0].type)
        assert pieces[0].to_pylist() == [words.encode(text) for text in CORPUS]

    @pytest.mark.parametrize("text", ["good " * 3000, "g" * 5000, "good\n" * 2000, "a " * 30 + "x" * 900 + " a" * 50])
    @pytest.mark.parametrize("length", [3, 8, 50])
    @pytest.mark.parametrize("beginning", [0.0, 0.25, 1.0])
    def test_both_ends_of_a_long_text_are_those_of_all_of_it(
        self, encoder: Path, text: str, length: int, beginning: float
    ) -> None:
        own = Tokenizer.of_encoder(encoder)
        assert own.encode(text, length, beginning) == own.truncated(own.encode(text), length, beginning)
        assert len(own.encode(text, length, beginning)) <= length

    def test_the_middle_of_a_long_text_is_left_out(self, words: Tokenizer) -> None:
        numbers = [*words.prefix, *range(100, 120), *words.suffix]
        own = len(words.prefix) + len(words.suffix)
        for beginning, kept in ((0.25, [100, 101, 114, 115, 116, 117, 118, 119]), (1.0, list(range(100, 108)))):
            assert words.truncated(numbers, 8 + own, beginning) == [*words.prefix, *kept, *words.suffix]
        assert words.truncated(numbers, len(numbers), 0.5) == numbers

    def test_of_nothing_something_is_left(self) -> None:
        core = tokenizers.Tokenizer(tokenizers.models.WordLevel({"<pad>": 0, "a": 1}, unk_token="<pad>"))
        core.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        assert Tokenizer("own", core).encode("") == [0]

    @pytest.mark.parametrize("kind", ["words", "bpe"])
    def test_it_travels(self, kind: str, request: pytest.FixtureRequest) -> None:
        one: Tokenizer = request.getfixturevalue({"words": "words", "bpe": "pieces"}[kind])
        config = json.loads(json.dumps(one.to_config()))
        for other in (Tokenizer.from_config(config), pickle.loads(pickle.dumps(one))):
            assert other == one
            assert other.encode(CORPUS[0]) == one.encode(CORPUS[0])
            assert (other.pad, other.marked) == (one.pad, True)

    def test_one_without_a_token_to_pad_with(self) -> None:
        core = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
        with pytest.raises(DataError, match=r"tokenizer of own has no token to pad with.\nExpected one of: \[PAD\]"):
            Tokenizer("own", core).pad  # noqa: B018


class TestChoice:
    def test_a_tokenizer_is_taken_as_it_is(self, words: Tokenizer) -> None:
        assert choose_tokenizer(words, []) is words
        assert choose_tokenizer(words.core, []).name == "custom"

    @pytest.mark.parametrize(
        ("asked", "options", "what"),
        [
            ("words", {"vocabulary": 10}, r"vocabulary=10, min_frequency=2.\nExpected 300 tokens"),
            ("bpe", {"min_frequency": 0}, r"min_frequency=0"),
            (None, {"vocabulary": 500}, r"do not fit tokenizer=None, whose vocabulary is fixed"),
            (7, {}, r"tokenizer=7.\nExpected an encoder's name"),
        ],
    )
    def test_arguments_must_fit(self, asked: object, options: dict[str, int], what: str) -> None:
        with pytest.raises(DataError, match=what):
            choose_tokenizer(asked, CORPUS, **options)  # type: ignore[arg-type]
