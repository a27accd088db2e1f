"""Bundles of language models, and of classifiers on top of them."""

from __future__ import annotations

from pathlib import Path

import onecycle as oc


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
