"""Learners of texts from end to end: both kinds of encoder, both steps, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_texts import language_bunch, review_bunch, reviews, save_encoder

from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError
from onecycle.text.awd_lstm import AwdLstmClassifier, Dropouts
from onecycle.text.learner import LanguageModelLearner, language_model_learner, text_learner
from onecycle.text.model import TextModel
from onecycle.train.groups import body_is_frozen

SMALL: dict[str, Any] = {"width": 24, "hidden": 32, "layers": 1, "progress": False}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def bunch(encoder: Path) -> DataBunch:
    return review_bunch(encoder)


@pytest.fixture(scope="module")
def language() -> LanguageModelLearner:
    return language_model_learner(language_bunch("words"), **SMALL)


def test_a_transformer_learns_in_two_steps(bunch: DataBunch, encoder: Path) -> None:
    learner = text_learner(bunch, encoder, progress=False)
    assert isinstance(learner.model, TextModel)
    assert body_is_frozen(learner.model)
    body = learner.copy_weights()
    learner.fit_one_cycle(1, 5e-2)
    learner.unfreeze()
    learner.fit_one_cycle(8, slice(1e-4, 1e-2))
    assert [record.stage for record in learner.history.epochs] == ["head", *["all"] * 8]
    assert learner.history[-1].metrics["accuracy"] > 0.8
    changed = [name for name, value in learner.model.state_dict().items() if not torch.equal(value, body[name])]
    assert any(name.startswith("body.encoder.embeddings") for name in changed)
    assert learner.predict("The film was lovely and clever, a good story").label in ("neg", "pos")
    answers = learner.predict_all("valid")
    names = [learner.data.valid.dataset.name(row) for row in range(len(answers))]
    assert answers.table["item"].to_pylist() == names


def test_fine_tune_takes_one_step_with_the_lower_half_frozen(bunch: DataBunch, encoder: Path) -> None:
    learner = text_learner(bunch, encoder, progress=False)
    before = learner.copy_weights()
    learner.fine_tune(1)
    assert [(record.stage, record.lr) for record in learner.history.epochs] == [("from group 2", 2e-3)]
    assert learner.findings == []
    changed = {name for name, value in learner.model.state_dict().items() if not torch.equal(value, before[name])}
    assert not any("embeddings" in name or ".layer.0." in name for name in changed)
    assert any(".layer.1." in name for name in changed)
    learner.fine_tune(1, 1e-3, frozen_epochs=1)
    assert [record.stage for record in learner.history.epochs][1:] == ["head", "from group 2"]


def test_kept_features_are_what_the_body_gives(bunch: DataBunch, encoder: Path) -> None:
    learner = text_learner(bunch, encoder, progress=False)
    learner.fit_one_cycle(1, 1e-3)
    kept = learner.kept
    assert kept is not None
    batch = bunch.prepared(bunch.valid.dataset, range(5))
    torch.testing.assert_close(kept.valid.inputs[:5], learner.model.eval().body(batch.inputs))  # type: ignore[operator]


def test_the_same_seed_gives_the_same_learner(bunch: DataBunch, encoder: Path) -> None:
    torch.manual_seed(5)
    first = text_learner(bunch, encoder, progress=False)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), drawn)
    second = text_learner(bunch, encoder, progress=False)
    for name, value in first.copy_weights().items():
        assert torch.equal(value, second.model.state_dict()[name])


def test_a_language_model_becomes_a_classifier(language: LanguageModelLearner) -> None:
    language.fit_one_cycle(2, 1e-2)
    metrics = language.history[-1].metrics
    assert metrics["perplexity"] == pytest.approx(torch.tensor(language.history[-1].valid_loss).exp().item(), rel=1e-3)
    learner = text_learner(
        review_bunch(language.data.modality.tokenizer), language, dropouts=Dropouts().scaled(0.1), progress=False
    )
    assert isinstance(learner.model, AwdLstmClassifier)
    trained, taken = language.model.state_dict(), learner.model.state_dict()
    assert torch.equal(taken["body.encoder.layers.0.weight_hh_l0"], trained["body.layers.0.weight_hh_l0"])
    learner.fine_tune(8, 5e-2)
    assert learner.history[-1].metrics["accuracy"] > 0.8
    assert torch.equal(language.model.state_dict()["body.embedding.weight"], trained["body.embedding.weight"])


def test_texts_take_over_the_language_models_vocabulary(language: LanguageModelLearner, bunch: DataBunch) -> None:
    learner = text_learner(bunch, language, progress=False)
    tokenizer = learner.data.modality.tokenizer
    assert tokenizer == language.data.modality.tokenizer
    assert learner.data.batch_size == bunch.batch_size
    assert "tokenised again" in learner.history.notes[0]
    learner.fit_one_cycle(1, 1e-2)


def test_a_masked_language_model_hands_on_its_encoder(encoder: Path) -> None:
    language = language_model_learner(language_bunch(encoder, masked=True, sequence=16), encoder, progress=False)
    language.fit_one_cycle(1, 1e-3)
    learner = text_learner(review_bunch(encoder), language, progress=False)
    trained, taken = language.model.state_dict(), learner.model.state_dict()
    shared = [name for name in taken if name.startswith("body.encoder.")]
    assert shared
    assert all(torch.equal(taken[name], trained[name]) for name in shared)
    learner.unfreeze()
    learner.fit_one_cycle(1, 1e-3)
    assert all(torch.equal(trained[name], value) for name, value in language.model.state_dict().items())


def test_what_does_not_belong_together_is_refused(
    language: LanguageModelLearner, bunch: DataBunch, encoder: Path
) -> None:
    with pytest.raises(ModelError, match="tokenised with 'words', which is not the tokenizer of"):
        text_learner(review_bunch("words"), encoder)
    with pytest.raises(ModelError, match="text_learner gives a text one answer, but the labels are next_token"):
        text_learner(language.data, encoder)
    with pytest.raises(ModelError, match="An AWD-LSTM learns by next token, but the labels are category"):
        language_model_learner(bunch)
    with pytest.raises(ModelError, match="This encoder learns by masked token, but the labels are next_token"):
        language_model_learner(language.data, encoder)
    with pytest.raises(ModelError, match="The encoder is a learner of a TextModel"):
        text_learner(bunch, text_learner(bunch, encoder, progress=False))
    with pytest.raises(ModelError, match="neither a folder nor installed"):
        text_learner(bunch, "no-such-encoder")


def test_images_are_refused(photos: Path) -> None:
    from learners import photo_bunch

    with pytest.raises(ModelError, match="The items are no tokenised texts"):
        text_learner(photo_bunch(photos))


def test_long_texts_and_empty_batches_of_windows(encoder: Path) -> None:
    texts = [" ".join(reviews()[0])] * 2
    learner = text_learner(review_bunch(encoder, max_length=120), encoder, window=16, progress=False)
    assert len(learner.predictor().predict_many(texts)) == 2
