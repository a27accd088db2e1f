"""What takes longest to find out: the words of a text that mattered, and what a language model writes."""

from __future__ import annotations

from onecycle.data.categories import Category, MultiCategory
from onecycle.errors import OnecycleError
from onecycle.inference.interpretation.interpretation import Interpretation
from onecycle.ship.report.blocks import Block, Card, Gallery, Section
from onecycle.text.attribution import attribute
from onecycle.text.generate import generate
from onecycle.text.language_model import LanguageModel
from onecycle.text.texts import Texts
from onecycle.train.state import TrainState

EXPLAINED, SAMPLES, WORDS = 3, 3, 40


def words_that_mattered(state: TrainState, found: Interpretation) -> list[Section]:
    """Return a section with the words of the worst mistakes, or samples of a language model; none of other models."""
    predictor = state.predictor()
    if isinstance(state.model, LanguageModel):
        cards = [
            Card(f"sample {seed}", [], text=generate(predictor, words=WORDS, seed=seed))
            for seed in range(1, SAMPLES + 1)
        ]
        return [Section("Samples", [Gallery("Written by the model", cards)])]
    if not isinstance(predictor.modality, Texts) or not isinstance(state.target, Category | MultiCategory):
        return []
    cards = []
    for place in found.places_by_loss(EXPLAINED):
        try:
            batch = state.data.read(found.source.dataset, [int(found.evaluated.rows[place])])
            text = predictor.modality.as_text(predictor.modality.prepare(batch, state.target, None).inputs[0])
            marked = attribute(predictor, text)._repr_html_()
        except OnecycleError:  # a file that is gone by now, or a text without a word
            continue
        cards.append(Card(found.name(place), [f"label: {found.label(place)}"], marked=marked))
    note = "Green words support the class that is predicted, red ones speak against it; each was left out in turn."
    blocks: list[Block] = [Gallery("Words of the worst mistakes", cards, note=note)]
    return [Section("Words that mattered", blocks)] if cards else []
