"""Learners of language models, from scratch and from an encoder."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_texts import language_bunch, review_bunch, save_encoder
from torch.nn import functional

from onecycle.errors import ModelError
from onecycle.text.language_model import LanguageModel
from onecycle.text.language_model_learner import LanguageModelLearner, language_model_learner
from onecycle.text.masked_model import MaskedModel
from onecycle.text.token_losses import IGNORE_INDEX, RegularisedTokenLoss, TokenLoss

SMALL: dict[str, Any] = {"width": 24, "hidden": 32, "layers": 1, "progress": False}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoder"))


def test_an_awd_lstm_learns_the_next_token() -> None:
    learner = language_model_learner(language_bunch("words"), **SMALL)
    assert isinstance(learner, LanguageModelLearner)
    assert isinstance(learner.model, LanguageModel)
    before = learner.validate()["valid_loss"]
    learner.fit_one_cycle(2, 1e-2)
    last = learner.history[-1]
    assert last.valid_loss < before
    assert last.metrics["perplexity"] == pytest.approx(math.exp(last.valid_loss), rel=1e-3)


def test_an_encoder_learns_masked_tokens(encoder: Path) -> None:
    learner = language_model_learner(language_bunch(encoder, masked=True, sequence=16), encoder, progress=False)
    assert isinstance(learner.model, MaskedModel)
    before = learner.validate()["valid_loss"]
    learner.fine_tune(3, 1e-2)
    assert [record.stage for record in learner.history.epochs] == ["all"] * 3
    assert learner.history[-1].valid_loss < before - 0.5
    assert set(learner.history[-1].metrics) >= {"perplexity"}


def test_a_loss_of_ones_own_gets_the_logits_of_all_tokens(encoder: Path) -> None:
    seen = []

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append(outputs.shape[:2] == targets.shape)
        return functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX)

    bunch = language_bunch(encoder, masked=True, sequence=16)
    learner = language_model_learner(bunch, encoder, loss=loss, progress=False)
    learner.fit(1, 1e-3)
    assert seen
    assert all(seen)
    learner = language_model_learner(bunch, encoder, progress=False)
    assert learner.model.defer_logits is True


def test_the_loss_has_the_options_of_the_learner() -> None:
    learner = language_model_learner(language_bunch("words"), ar=3.0, tar=0.5, label_smoothing=0.1, **SMALL)
    loss = learner.loss
    assert isinstance(loss, RegularisedTokenLoss)
    assert (loss.ar, loss.tar, loss.smoothing) == (3.0, 0.5, 0.1)
    own = TokenLoss()
    assert language_model_learner(language_bunch("words"), loss=own, **SMALL).loss is own


def test_other_labels_are_errors(encoder: Path) -> None:
    with pytest.raises(
        ModelError, match=r"An AWD-LSTM is trained on next_token labels, but the labels .* are category"
    ):
        language_model_learner(review_bunch("words"))
    with pytest.raises(
        ModelError, match=r"A transformer encoder is trained on masked_token labels, .*next_token.\n.*masked=True"
    ):
        language_model_learner(language_bunch("words"), encoder)
