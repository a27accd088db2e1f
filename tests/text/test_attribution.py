"""Attribution: the words that decide have the highest scores, for both kinds of encoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_texts import BAD, GOOD, language_bunch, review_bunch, save_encoder

from onecycle.errors import DataError, ModelError
from onecycle.ship.report.blocks import Gallery
from onecycle.ship.report.words import words_that_mattered
from onecycle.text.attribution import Attribution, attribute, visible_words
from onecycle.text.awd_lstm import Dropouts
from onecycle.text.awd_lstm_classifier import AwdLstmClassifier
from onecycle.text.language_model_learner import language_model_learner
from onecycle.text.learner import text_learner
from onecycle.train.learner import Learner


@pytest.fixture(scope="module", params=["transformer", "awd_lstm"])
def learner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Learner:
    if request.param == "transformer":
        encoder = save_encoder(tmp_path_factory.mktemp("encoder"))
        learner = text_learner(review_bunch(encoder, max_length=24), encoder, progress=False)
    else:
        language = language_model_learner(language_bunch("words"), width=24, hidden=32, layers=1, progress=False)
        bunch = review_bunch(language.data.modality.tokenizer, max_length=24)
        learner = text_learner(bunch, language, dropouts=Dropouts().scaled(0.1), progress=False)
    learner.fine_tune(8, 5e-2)
    return learner


def test_a_word_that_decides_has_the_highest_score(learner: Learner) -> None:
    found = attribute(learner, "the film was lovely with a story", batch_size=3)
    assert found.words == ("the", "film", "was", "lovely", "with", "a", "story")
    if isinstance(learner.model, AwdLstmClassifier):  # a small transformer needs more reviews than there are here
        assert found.label == "pos"
        assert found.top(1)[0][0] == "lovely"
        assert found.top(1)[0][1] > 0
    assert found.probability == pytest.approx(
        learner.predict(" ".join(found.words)).probabilities[found.label], abs=1e-4
    )


def test_a_score_is_the_log_odds_that_are_lost_without_the_word(learner: Learner) -> None:
    found = attribute(learner, "a dull plot", label="neg")
    odds = {}
    for text in ("a dull plot", "a plot"):
        odds[text] = torch.logit(torch.tensor(learner.predict(text).probabilities["neg"]), eps=1e-6)
    assert found.scores[1] == pytest.approx(float(odds["a dull plot"] - odds["a plot"]), abs=1e-3)
    against = attribute(learner, "a dull plot", label="pos")
    assert against.scores == pytest.approx([-score for score in found.scores], abs=1e-3)


def test_only_words_that_the_model_reads_have_scores(learner: Learner) -> None:
    modality: Any = learner.data.modality
    text = "film plot " * 50
    words, cut = visible_words(modality, text)
    assert cut is not None
    assert 0 < cut < len(words)
    assert 20 <= len(words) <= 24
    assert len(modality.tokenizer.encode(" ".join(words))) <= 24 < len(modality.tokenizer.encode("film plot " * 12))
    found = attribute(learner, text)
    assert (len(found.words), found.cut) == (len(words), cut)
    before, after = found._repr_html_().split(" […] ")
    assert (before.count("<span"), after.count("<span")) == (cut, len(words) - cut)
    (first, *_, last), _ = visible_words(modality, f"plot {'film ' * 50} story")
    assert (first, last) == ("plot", "story")
    assert visible_words(modality, "a film") == (["a", "film"], None)


def test_a_report_marks_the_words_of_the_worst_mistakes(learner: Learner) -> None:
    found = learner.interpret("train")
    [section] = words_that_mattered(learner.state, found)
    [gallery] = section.blocks
    assert isinstance(gallery, Gallery)
    assert [card.name for card in gallery.cards] == [found.name(place) for place in found.places_by_loss(3)]
    assert all("<span" in card.marked for card in gallery.cards)
    assert [card.lines for card in gallery.cards] == [[f"label: {found.label(p)}"] for p in found.places_by_loss(3)]


def test_a_report_of_a_language_model_has_samples() -> None:
    learner = language_model_learner(language_bunch("words"), width=24, hidden=32, layers=1, progress=False)
    [section] = words_that_mattered(learner.state, learner.interpret())
    [gallery] = section.blocks
    assert isinstance(gallery, Gallery)
    assert [card.name for card in gallery.cards] == ["sample 1", "sample 2", "sample 3"]
    assert all(card.text for card in gallery.cards)


def test_markup_is_no_word(learner: Learner) -> None:
    assert attribute(learner, "a lovely<br />film").words == ("a", "lovely", "film")


def test_a_single_word(learner: Learner) -> None:
    assert len(attribute(learner, GOOD[0]).words) == 1


def test_texts_without_words_and_unknown_labels_are_errors(learner: Learner) -> None:
    with pytest.raises(DataError, match="The text '  ' has no word"):
        attribute(learner, "  ")
    with pytest.raises(DataError, match=r"The label 'bos' is not one of the classes.(.|\n)*Did you mean 'pos'"):
        attribute(learner, "a film", label="bos")


def test_a_language_model_has_no_classes_to_explain() -> None:
    language = language_model_learner(language_bunch("words"), width=12, hidden=16, layers=2, progress=False)
    with pytest.raises(ModelError, match="does not fit this model: it predicts next_token of Texts"):
        attribute(language, "a film")


def test_it_can_be_printed_and_drawn() -> None:
    words = ("<b>", "costs", "$5", *BAD, *["word"] * 40)
    found = Attribution("neg", 0.9, words, tuple(float(number % 5 - 1) for number in range(len(words))))
    assert repr(found).startswith("neg 90%, log-odds lost without each word:\n   +3.00  ")
    assert len(repr(found).splitlines()) == 11
    page = found._repr_html_()
    assert "&lt;b&gt;" in page
    assert page.count("<span") == len(words)
    figure = found.plot()
    figure.draw_without_rendering()
    assert [text.get_text() for text in figure.axes[0].texts][:3] == ["<b>", "costs", r"\$5"]
    assert found.plot()._repr_png_().startswith(b"\x89PNG")
