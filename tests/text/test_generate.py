"""Generation: it continues the prompt, counts words, repeats with the seed, and draws from the best tokens alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_texts import device_of, language_bunch, review_bunch, save_encoder

from onecycle.errors import DataError, ModelError
from onecycle.text.generate import generate, sample_token
from onecycle.text.language_model_learner import LanguageModelLearner, language_model_learner
from onecycle.text.learner import text_learner
from onecycle.text.special_tokens import SPECIAL_TOKENS
from onecycle.text.tokenizer import Tokenizer

SMALL: dict[str, Any] = {"width": 16, "hidden": 24, "layers": 2, "progress": False}


@pytest.fixture(scope="module")
def language() -> LanguageModelLearner:
    learner = language_model_learner(language_bunch("words"), **SMALL)
    learner.fit_one_cycle(2, 2e-2)
    return learner


def test_the_prompt_is_continued(language: LanguageModelLearner) -> None:
    text = language.generate("The film was", words=12, seed=1)
    assert text.startswith("The film was ")
    assert len(text.split()) == 15
    assert "xx" not in text


def test_the_same_seed_gives_the_same_text(language: LanguageModelLearner) -> None:
    first = language.generate("The film", words=20, seed=1)
    torch.manual_seed(0)
    assert language.generate("The film", words=20, seed=1) == first
    assert len({language.generate("The film", words=20, seed=seed) for seed in range(5)}) > 1


def test_the_user_s_own_generator_is_not_used(language: LanguageModelLearner) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    language.generate("The film", words=3)
    assert torch.equal(torch.rand(1), expected)


def test_reading_token_by_token_gives_the_text_of_reading_everything_each_time() -> None:
    language = language_model_learner(language_bunch("words"), **SMALL)
    tokenizer = language.data.modality.tokenizer
    model: Any = language.predictor().model
    with torch.no_grad():
        model.head.bias[: len(SPECIAL_TOKENS)] = -100.0  # an untrained model would generate nothing else
        text = language.generate("the film", words=5, top_k=1, seed=0)
        token_ids = tokenizer.encode("the film")
        for _ in range(12):
            logits = model(torch.tensor([token_ids], device=device_of(model)))[0, -1]
            token_ids.append(int(logits.argmax()))
    assert len(text.split()) == 7
    assert text.split() == tokenizer.decode(token_ids).split()[:7]


def test_the_model_does_not_change(language: LanguageModelLearner) -> None:
    model = language.model.eval()
    inputs = language.data.prepared(language.data.valid.dataset, range(2)).inputs.to(device_of(model))
    before, weights = model(inputs), language.copy_weights()
    generate(language.predictor(), "The film", words=3, seed=0)
    assert torch.equal(model(inputs), before)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in weights.items())


def test_an_empty_prompt_begins_a_text(language: LanguageModelLearner) -> None:
    assert len(language.generate("", words=8, seed=0).split()) == 8
    assert len(language.generate(words=8, seed=0).split()) == 8


def test_an_empty_prompt_without_a_beginning_token_is_an_error(
    language: LanguageModelLearner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tokenizer, "prefix", ())
    with pytest.raises(DataError, match=r"The prompt is empty.\nExpected at least one word"):
        language.generate("  ")


@pytest.mark.parametrize("wrong", [{"words": 0}, {"temperature": 0.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}])
def test_numbers_out_of_range_are_errors(language: LanguageModelLearner, wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="words and top_k of 1 or more"):
        language.generate("The film", **wrong)


def test_other_models_are_errors(tmp_path: Path) -> None:
    encoder = save_encoder(tmp_path)
    with pytest.raises(ModelError, match=r"A TextModel cannot predict the next token.\nExpected a language model"):
        generate(text_learner(review_bunch(encoder), encoder, progress=False), "The film")


def test_a_subword_language_model_generates_whole_words(tmp_path: Path) -> None:
    learner = language_model_learner(language_bunch(save_encoder(tmp_path)), **SMALL)
    text = learner.generate("the film", words=10, seed=0)
    assert "[" not in text
    assert 3 <= len(text.split()) <= 12


def test_tokens_are_drawn_from_the_best_alone() -> None:
    logits = torch.tensor([0.5, 0.3, 0.1, 0.06, 0.04]).log()
    generator = torch.Generator().manual_seed(0)

    def draw(temperature: float = 1.0, top_k: int = 5, top_p: float = 1.0) -> Counter[int]:
        return Counter(sample_token(logits, generator, temperature, top_k, top_p) for _ in range(600))

    assert set(draw(top_k=2)) == {0, 1}
    assert set(draw(top_p=0.5)) == {0}
    assert set(draw(top_p=0.51)) == {0, 1}
    assert set(draw()) == {0, 1, 2, 3, 4}
    assert draw()[0] / 600 == pytest.approx(0.5, abs=0.1)
    assert draw(temperature=0.1)[0] > 590
    assert draw(temperature=10.0)[4] > 60
