"""Bundles of language models, and of classifiers on top of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.bundle import read_bundle, write_bundle
from onecycle.data.bunch import DataBunch
from onecycle.errors import BundleError, ModelError
from onecycle.text.language_model_learner import LanguageModelLearner


def test_a_language_model_s_bundle_generates_again(tmp_path: Path) -> None:
    texts = ["the film was good and the story was clever ."] * 12
    stage = oc.TextList.from_texts(texts).split_by_index([10, 11]).label_for_language_model()
    bunch = stage.tokenize("words", min_frequency=1, sequence=6).databunch(2)
    language = oc.language_model_learner(bunch, width=8, hidden=12, layers=2, progress=False)
    language.fit(1, 1e-3)
    from onecycle.text.generate import generate

    loaded = oc.load_model(language.export(tmp_path / "language.onecycle"))
    assert generate(loaded, "the film", words=4, seed=3) == language.generate("the film", words=4, seed=3)


def test_a_classifier_on_a_language_model_has_a_bundle(tmp_path: Path) -> None:
    texts, labels = ["the film was good .", "the film was bad ."] * 8, ["pos", "neg"] * 8
    split = oc.TextList.from_texts(texts, labels).split_by_index([14, 15])
    language = oc.language_model_learner(
        split.label_for_language_model().tokenize("words", min_frequency=1, sequence=6).databunch(2),
        width=8, hidden=12, layers=2, progress=False,
    )  # fmt: skip
    bunch = split.label_from_column("label").tokenize(language.data.modality.tokenizer).databunch(4)
    learner = oc.text_learner(bunch, encoder=language, progress=False)
    learner.fit(1, 1e-3)
    model = oc.load_model(learner.export(tmp_path / "classifier.onecycle"))
    assert model.predict("the film was good .") == learner.predict("the film was good .")


class TestEncodersOnDisk:
    TEXTS = ("the film was good and the story was clever .", "the film was bad .")

    def language(self) -> LanguageModelLearner:
        stage = oc.TextList.from_texts([*self.TEXTS] * 8).split_by_index([14, 15]).label_for_language_model()
        bunch = stage.tokenize("words", min_frequency=1, sequence=6).databunch(2)
        learner = oc.language_model_learner(bunch, width=8, hidden=12, layers=2, progress=False)
        learner.fit(1, 1e-2)
        return learner

    def bunch(self) -> DataBunch:
        split = oc.TextList.from_texts([*self.TEXTS] * 8, ["pos", "neg"] * 8).split_by_index([14, 15])
        return split.label_from_column("label").databunch(4)

    def test_a_classifier_begins_with_a_saved_encoder(self, tmp_path: Path) -> None:
        language = self.language()
        path = language.save_encoder(tmp_path / "lm.onecycle")
        weights = language.model.body.embedding.weight
        for encoder in (language, path, str(path), oc.load_model(path), language.export(tmp_path / "folder")):
            learner = oc.text_learner(self.bunch(), encoder=encoder, progress=False)
            assert torch.equal(learner.model.body.encoder.embedding.weight, weights)
            assert learner.data.modality.tokenizer.has_same_ids_as(language.data.modality.tokenizer)
        learner.fit(1, 1e-3)

    def test_a_loaded_language_model_generates(self, tmp_path: Path) -> None:
        language = self.language()
        loaded = oc.load_model(language.save_encoder(tmp_path / "lm.onecycle"))
        assert loaded.generate("the film", words=4, seed=3) == language.generate("the film", words=4, seed=3)

    def test_what_is_no_language_model_is_refused_and_the_fix_works(self, tmp_path: Path) -> None:
        learner = oc.text_learner(self.bunch(), progress=False)
        path = learner.export(tmp_path / "classifier.onecycle")
        for encoder in (learner, path):
            with pytest.raises(ModelError, match=r"a TextModel, which is no language model\.[\s\S]*pass one"):
                oc.text_learner(self.bunch(), encoder=encoder)
        oc.text_learner(self.bunch(), encoder=self.language(), progress=False)

    def test_an_image_model_does_not_generate(self, photos: Path, tmp_path: Path) -> None:
        model = oc.load_model(tiny(photo_bunch(photos)).export(tmp_path / "photos.onecycle"))
        with pytest.raises(ModelError, match="cannot predict the next token"):
            model.generate("the film")

    def test_a_file_that_describes_another_model_is_refused_and_the_fix_works(self, tmp_path: Path) -> None:
        language = self.language()
        tensors, config = read_bundle(language.save_encoder(tmp_path / "lm.onecycle"), "model")
        config["model"]["encoder"]["vocabulary"] = 10**9
        write_bundle(tmp_path / "bad.onecycle", tensors, config)
        with pytest.raises(BundleError, match=r"ValueError: other weights: [\s\S]*Fix: write it again"):
            oc.text_learner(self.bunch(), encoder=tmp_path / "bad.onecycle")
        oc.text_learner(self.bunch(), encoder=language.save_encoder(tmp_path / "bad.onecycle"), progress=False)
