"""Text learners from end to end: both kinds of encoder, both stages, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_texts import device_of, language_bunch, review_bunch, reviews, save_encoder

from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError
from onecycle.text.awd_lstm import Dropouts
from onecycle.text.awd_lstm_classifier import AwdLstmClassifier
from onecycle.text.language_model_learner import LanguageModelLearner, language_model_learner
from onecycle.text.learner import text_learner
from onecycle.text.model import TextModel
from onecycle.train.layer_groups import body_is_frozen
from onecycle.train.learner import Learner

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


def test_a_transformer_learns_in_two_stages(bunch: DataBunch, encoder: Path) -> None:
    learner = text_learner(bunch, encoder, progress=False)
    assert isinstance(learner.model, TextModel)
    assert body_is_frozen(learner.model)
    before = learner.copy_weights()
    learner.fit_one_cycle(1, 5e-2)
    learner.unfreeze()
    learner.fit_one_cycle(8, slice(1e-4, 1e-2))
    assert [record.stage for record in learner.history.epochs] == ["head", *["all"] * 8]
    assert learner.history[-1].metrics["accuracy"] > 0.8
    changed = [name for name, value in learner.model.state_dict().items() if not torch.equal(value, before[name])]
    assert any(name.startswith("body.encoder.embeddings") for name in changed)
    assert learner.predict("The film was lovely and clever, a good story").label in ("neg", "pos")
    predictions = learner.predict_all("valid")
    names = [learner.data.valid.dataset.name(row) for row in range(len(predictions))]
    assert predictions.table["item"].to_pylist() == names


def test_fine_tune_has_one_stage_with_the_lower_half_frozen(bunch: DataBunch, encoder: Path) -> None:
    learner = text_learner(bunch, encoder, progress=False)
    before = learner.copy_weights()
    learner.fine_tune(1)
    assert [(record.stage, record.lr) for record in learner.history.epochs] == [("from group 2", 2e-3)]
    assert learner.lr_finder_results == []
    changed = {name for name, value in learner.model.state_dict().items() if not torch.equal(value, before[name])}
    assert not any("embeddings" in name or ".layer.0." in name for name in changed)
    assert any(".layer.1." in name for name in changed)
    learner.fine_tune(1, 1e-3, frozen_epochs=1)
    assert [record.stage for record in learner.history.epochs][1:] == ["head", "from group 2"]


def test_cached_features_are_the_outputs_of_the_body(bunch: DataBunch, encoder: Path) -> None:
    learner = text_learner(bunch, encoder, progress=False)
    learner.fit_one_cycle(1, 1e-3)
    cached = learner.state.cached_features
    assert cached is not None
    inputs = bunch.prepared(bunch.valid.dataset, range(5)).inputs.to(device_of(learner.model))
    body: Any = learner.model.eval().body
    torch.testing.assert_close(cached.valid.inputs[:5].cpu(), body(inputs).cpu())


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
    learner = text_learner(
        review_bunch(language.data.modality.tokenizer), language, dropouts=Dropouts().scaled(0.1), progress=False
    )
    assert isinstance(learner.model, AwdLstmClassifier)
    trained, copied = language.copy_weights(), learner.model.state_dict()
    assert torch.equal(copied["body.encoder.layers.0.weight_hh_l0"], trained["body.layers.0.weight_hh_l0"])
    learner.fine_tune(8, 5e-2)
    assert learner.history[-1].metrics["accuracy"] > 0.8
    assert torch.equal(language.model.state_dict()["body.embedding.weight"], trained["body.embedding.weight"])


def test_texts_are_tokenized_again_with_the_language_model_s_tokenizer(
    language: LanguageModelLearner, bunch: DataBunch
) -> None:
    learner = text_learner(bunch, language, progress=False)
    tokenizer = learner.data.modality.tokenizer
    assert tokenizer == language.data.modality.tokenizer
    assert learner.data.batch_size == bunch.batch_size
    assert "tokenized again" in learner.history.notes[0]
    learner.fit_one_cycle(1, 1e-2)


def test_the_encoder_of_a_masked_language_model_is_copied(encoder: Path) -> None:
    language = language_model_learner(language_bunch(encoder, masked=True, sequence=16), encoder, progress=False)
    language.fit_one_cycle(1, 1e-3)
    learner = text_learner(review_bunch(encoder), language, progress=False)
    trained, copied = language.copy_weights(), learner.model.state_dict()
    shared = [name for name in copied if name.startswith("body.encoder.")]
    assert shared
    assert all(torch.equal(copied[name], trained[name]) for name in shared)
    learner.unfreeze()
    learner.fit_one_cycle(1, 1e-3)
    assert all(torch.equal(trained[name], value) for name, value in language.model.state_dict().items())


@pytest.mark.parametrize("kind", ["transformer", "windows", "awd_lstm"])
def test_predictions_do_not_depend_on_the_batch(kind: str, encoder: Path, language: LanguageModelLearner) -> None:
    source: Any = language if kind == "awd_lstm" else encoder
    tokenizer = language.data.modality.tokenizer if kind == "awd_lstm" else encoder
    options = {"window": 8} if kind == "windows" else {}
    learner: Learner = text_learner(review_bunch(tokenizer, max_length=30), source, progress=False, **options)
    texts = [" ".join(reviews(64, seed=3)[0][: 1 + number % 3]) for number in range(64)]
    texts += [text.split()[0] for text in reviews(6, seed=3)[0]]
    predictor = learner.predictor()
    alone = predictor.probabilities(texts, batch_size=1)
    for size in (7, 64):
        torch.testing.assert_close(predictor.probabilities(texts, batch_size=size), alone, rtol=0, atol=1e-6)


def test_data_and_encoders_that_do_not_fit_are_errors(
    language: LanguageModelLearner, bunch: DataBunch, encoder: Path
) -> None:
    with pytest.raises(ModelError, match="tokenized with 'words', which is not the tokenizer of"):
        text_learner(review_bunch("words"), encoder)
    with pytest.raises(ModelError, match="predicts one label for each text, but the labels are next_token"):
        text_learner(language.data, encoder)
    with pytest.raises(ModelError, match="encoder= is a TextModel, which is no language model"):
        text_learner(bunch, text_learner(bunch, encoder, progress=False))
    with pytest.raises(ModelError, match="neither a folder nor installed"):
        text_learner(bunch, "no-such-encoder")


def test_images_are_an_error(photos: Path) -> None:
    from learners import photo_bunch

    with pytest.raises(ModelError, match="The items are not tokenized texts"):
        text_learner(photo_bunch(photos))


def test_long_texts_are_read_in_windows(encoder: Path) -> None:
    texts = [" ".join(reviews()[0])] * 2
    learner = text_learner(review_bunch(encoder, max_length=120), encoder, window=16, progress=False)
    assert len(learner.predictor().predict_many(texts)) == 2
