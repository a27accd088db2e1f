"""Generation: it goes on with the prompt, counts words, repeats with the seed, and draws from the best tokens alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_texts import language_bunch, review_bunch, save_encoder

from onecycle.errors import DataError, ModelError
from onecycle.text.generate import draw, generate
from onecycle.text.learner import LanguageModelLearner, language_model_learner, text_learner

SMALL: dict[str, Any] = {"width": 16, "hidden": 24, "layers": 2, "progress": False}


@pytest.fixture(scope="module")
def language() -> LanguageModelLearner:
    learner = language_model_learner(language_bunch("words"), **SMALL)
    learner.fit_one_cycle(2, 2e-2)
    return learner


def test_it_goes_on_with_the_prompt(language: LanguageModelLearner) -> None:
    text = language.generate("The film was", words=12, seed=1)
    assert text.startswith("The film was ")
    assert len(text.split()) == 15
    assert "xx" not in text


def test_the_seed_decides(language: LanguageModelLearner) -> None:
    first = language.generate("The film", words=20, seed=1)
    torch.manual_seed(0)
    assert language.generate("The film", words=20, seed=1) == first
    assert len({language.generate("The film", words=20, seed=seed) for seed in range(5)}) > 1
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    language.generate("The film", words=3)
    assert torch.equal(torch.rand(1), expected)  # the user's own generator is left alone


def test_generating_changes_neither_the_model_nor_its_memory(language: LanguageModelLearner) -> None:
    batch = language.data.prepared(language.data.valid.dataset, range(2))
    language.model.eval()
    whole = language.model(torch.cat([batch.inputs, batch.inputs], 1))
    language.model.eval()
    first = language.model(batch.inputs)
    language_weights = language.copy_weights()
    state = language.model.state  # type: ignore[union-attr]
    generate(language.predictor(), "The film", words=3, seed=0)
    assert all(torch.equal(value, language.model.state_dict()[name]) for name, value in language_weights.items())
    language.model.state = state
    torch.testing.assert_close(torch.cat([first, language.model(batch.inputs)], 1), whole)


def test_an_empty_prompt_begins_a_text(language: LanguageModelLearner, tmp_path: Path) -> None:
    assert len(language.generate("", words=8, seed=0).split()) == 8
    assert len(language.generate(words=8, seed=0).split()) == 8


def test_an_empty_prompt_is_refused_where_nothing_begins_a_text(
    language: LanguageModelLearner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onecycle.text.tokenizer import Tokenizer

    monkeypatch.setattr(Tokenizer, "prefix", ())
    with pytest.raises(DataError, match="The prompt is empty"):
        language.generate("  ")


@pytest.mark.parametrize("wrong", [{"words": 0}, {"temperature": 0.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.1}])
def test_numbers_out_of_range_are_refused(language: LanguageModelLearner, wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="words and top_k of 1 or more"):
        language.generate("The film", **wrong)


def test_other_models_are_refused(tmp_path: Path) -> None:
    encoder = save_encoder(tmp_path)
    with pytest.raises(ModelError, match="A TextModel does not say what comes next"):
        generate(text_learner(review_bunch(encoder), encoder, progress=False), "The film")


def test_a_wordpiece_language_model_writes_whole_words(tmp_path: Path) -> None:
    learner = language_model_learner(language_bunch(save_encoder(tmp_path)), **SMALL)
    text = learner.generate("the film", words=10, seed=0)
    assert "[" not in text
    assert 3 <= len(text.split()) <= 12


def test_tokens_are_drawn_from_the_best_alone() -> None:
    scores = torch.tensor([0.5, 0.3, 0.1, 0.06, 0.04]).log()
    chance = torch.Generator().manual_seed(0)

    def drawn(temperature: float = 1.0, top_k: int = 5, top_p: float = 1.0) -> Counter[int]:
        return Counter(draw(scores, chance, temperature, top_k, top_p) for _ in range(600))

    assert set(drawn(top_k=2)) == {0, 1}
    assert set(drawn(top_p=0.5)) == {0}
    assert set(drawn(top_p=0.51)) == {0, 1}
    assert set(drawn()) == {0, 1, 2, 3, 4}
    assert drawn()[0] / 600 == pytest.approx(0.5, abs=0.1)
    assert drawn(temperature=0.1)[0] > 590
    assert drawn(temperature=10.0)[4] > 60
