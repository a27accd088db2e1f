"""Which words of a text mattered for a prediction?

Each word is left out in turn, and the prediction repeated (occlusion: Zeiler & Fergus 2013, arXiv:1311.2901; for words
Li et al. 2016, arXiv:1612.08220). This needs nothing but predictions, so it works with every model.
"""

from __future__ import annotations

import html
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from onecycle.data.categories import Category, MultiCategory
from onecycle.errors import DataError, ModelError
from onecycle.figure import Picture
from onecycle.inference.predictor import Predictor
from onecycle.text.cleaning import clean
from onecycle.text.reading import read_text
from onecycle.text.texts import CUT, Texts
from onecycle.train.learner import Learner

CHARACTERS_PER_LINE = 88


@dataclass(frozen=True, repr=False)
class Attribution:
    """The words of a text, and how much each supports a class.

    Attributes:
        label: The class.
        probability: Its probability for the whole text.
        words: The words that the model reads, in their order.
        scores: How much the log-odds of the class fall when a word is left out; above 0 if the word supports the class.
        cut: How many of the words stand before the middle of the text, which the model does not read; None where it
            reads all.

    Example:
        >>> Attribution("pos", 0.9, ("a", "good", "film"), (0.1, 2.5, -0.2))
        pos 90%, log-odds lost without each word:
           +2.50  good
           -0.20  film
           +0.10  a
    """

    label: str
    probability: float
    words: tuple[str, ...]
    scores: tuple[float, ...]
    cut: int | None = None

    def top(self, count: int = 10) -> list[tuple[str, float]]:
        """Return the words with the largest absolute scores, largest first."""
        pairs = zip(self.words, self.scores, strict=True)
        return sorted(pairs, key=lambda pair: -abs(pair[1]))[:count]

    def __repr__(self) -> str:
        rows = [f"  {score:+6.2f}  {word}" for word, score in self.top()]
        return "\n".join([f"{self.label} {self.probability:.0%}, log-odds lost without each word:", *rows])

    def plot(self) -> Picture:
        """Draw the text with green behind words that support the class, and red behind words against it."""
        lines = self._lines()
        figure = Picture(figsize=(CHARACTERS_PER_LINE * 0.09, 0.5 + 0.26 * len(lines)), layout="constrained")
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set(
            xlim=(0, CHARACTERS_PER_LINE), ylim=(len(lines), -1), title=f"{self.label} {self.probability:.0%}"
        )  # fmt: skip
        for row, line in enumerate(lines):
            column = 0
            for word, share in line:
                box = {
                    "facecolor": ("tab:green" if share > 0 else "tab:red", 0.8 * abs(share)),
                    "edgecolor": "none",
                    "pad": 1.5,
                }
                axes.text(column, row, word.replace("$", r"\$"), family="monospace", fontsize=8, bbox=box)
                column += len(word) + 1
        return figure.ready()

    def _repr_html_(self) -> str:
        spans = [
            f'<span style="background:rgba({"0,150,0" if share > 0 else "220,0,0"},{0.6 * abs(share):.2f})" '
            f'title="{score:+.2f}">{html.escape(word)}</span>'
            for word, share, score in zip(self.words, self._shares(), self.scores, strict=True)
        ]
        if self.cut is not None:
            spans.insert(self.cut, CUT.strip())
        return f"<b>{html.escape(self.label)} {self.probability:.0%}</b><br>{' '.join(spans)}"

    def _shares(self) -> list[float]:
        """Return each score as a fraction of the largest, -1 to 1."""
        largest = max((abs(score) for score in self.scores), default=0.0) or 1.0
        return [score / largest for score in self.scores]

    def _lines(self) -> list[list[tuple[str, float]]]:
        lines: list[list[tuple[str, float]]] = [[]]
        used = 0
        shown = list(zip(self.words, self._shares(), strict=True))
        if self.cut is not None:
            shown.insert(self.cut, (CUT.strip(), 0.0))
        for word, share in shown:
            word = word[:CHARACTERS_PER_LINE]
            if used + len(word) > CHARACTERS_PER_LINE:
                lines.append([])
                used = 0
            lines[-1].append((word, share))
            used += len(word) + 1
        return lines


def attribute(source: Learner | Predictor, text: Any, *, label: str | None = None, batch_size: int = 32) -> Attribution:
    """Return how much each word of a text supports a class.

    Args:
        source: A learner of texts, or a predictor, as `load_model` returns it.
        text: The text, the `Path` of a text file, or its bytes.
        label: The class to explain; None takes the most probable one.
        batch_size: Number of texts that are predicted at once; there is one for each word.
    Raises:
        ModelError: The model does not predict classes or tags of texts.
        DataError: The text has no word, or there is no such class.
    """
    predictor = source.predictor() if isinstance(source, Learner) else source
    modality, target = predictor.modality, predictor.target
    if not isinstance(target, Category | MultiCategory) or not isinstance(modality, Texts):
        raise ModelError(
            f"attribute() does not fit this model: it predicts {target.kind} of {type(modality).__name__}.",
            "a learner of texts with classes or tags.",
            "use predict().",
        )
    explained = None if label is None else target.output_of(label)
    words, cut = visible_words(modality, clean(read_text(text), modality.rules))
    if not words:
        raise DataError(f"The text {str(text)[:40]!r} has no word.", "at least one word.", "pass another text.")
    whole = _predict(predictor, [" ".join(words)], 1)[0]
    number = int(whole.argmax()) if explained is None else explained
    if len(words) > 1:
        shortened = [" ".join(words[:position] + words[position + 1 :]) for position in range(len(words))]
        without = _predict(predictor, shortened, batch_size)
    else:
        without = torch.full_like(whole, 0.5)[None]  # nothing is left of the text to predict from
    scores = torch.logit(whole[number], eps=1e-6) - torch.logit(without[:, number], eps=1e-6)
    return Attribution(target.classes[number], float(whole[number]), tuple(words), tuple(scores.tolist()), cut)


def visible_words(modality: Texts, text: str) -> tuple[list[str], int | None]:
    """Return the words of a text that the model reads: all of them, or of a long text those at both ends, and how many
    of those are at its beginning; None where they are all.
    """
    words, tokenizer = text.split(), modality.tokenizer
    around = len(tokenizer.prefix) + len(tokenizer.suffix)
    front, back = tokenizer.split_length(modality.max_length, modality.beginning)
    front, back = front - len(tokenizer.prefix), back - len(tokenizer.suffix)

    def fit(select: Callable[[int], list[str]], limit: int) -> list[str]:
        """Return the most words that `select` may return for a limit of tokens; a word has at least one token."""
        count = bisect_right(
            range(1, min(len(words), limit) + 1),
            limit,
            key=lambda count: len(tokenizer.encode(" ".join(select(count)))) - around,
        )
        return select(count)

    first = fit(lambda count: words[:count], front + back)
    if len(first) == len(words):
        return words, None
    first = fit(lambda count: words[:count], front)
    last = fit(lambda count: words[max(len(words) - count, len(first)) :], back)
    return ([*first, *last], len(first)) if first or last else (words[:1], 1)


def _predict(predictor: Predictor, texts: list[str], batch_size: int) -> Tensor:
    """Return the probabilities of each class, (texts, classes)."""
    parts = []
    for start in range(0, len(texts), batch_size):
        samples = [predictor.read(text) for text in texts[start : start + batch_size]]
        parts.append(predictor.predict_batch(predictor.collate(samples)))
    return torch.cat(parts)
