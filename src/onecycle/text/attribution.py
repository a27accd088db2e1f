"""Which words mattered for an answer?

Each word is left out in turn, and the answer asked for again (occlusion: Zeiler & Fergus 2013, arXiv:1311.2901; for
words Li et al. 2016, arXiv:1612.08220). This needs nothing of the model but its answers, so it works for all of them.
"""

from __future__ import annotations

import html
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from onecycle.data.figure import Picture
from onecycle.data.modality import collate
from onecycle.data.target import Category, MultiCategory
from onecycle.errors import DataError, ModelError, suggest
from onecycle.text.texts import Texts
from onecycle.train.learner import Learner
from onecycle.train.predictor import Predictor

LINE = 88


@dataclass(frozen=True, repr=False)
class Attribution:
    """A text's words, and how much each speaks for a class.

    Attributes:
        label: The class.
        probability: How probable it is, given the whole text.
        words: The words that the model reads, in their order.
        scores: By how much the class's log-odds fall when a word is left out: above 0 where it speaks for the class.
    """

    label: str
    probability: float
    words: tuple[str, ...]
    scores: tuple[float, ...]

    def top(self, count: int = 10) -> list[tuple[str, float]]:
        """Return the words that matter most, for or against, the strongest first."""
        pairs = zip(self.words, self.scores, strict=True)
        return sorted(pairs, key=lambda pair: -abs(pair[1]))[:count]

    def __repr__(self) -> str:
        rows = [f"  {score:+6.2f}  {word}" for word, score in self.top()]
        return "\n".join([f"{self.label} {self.probability:.0%}, since (log-odds lost without the word):", *rows])

    def plot(self) -> Picture:
        """Draw the text: the greener a word's ground, the more it speaks for the class; red speaks against it."""
        lines = self._lines()
        figure = Picture(figsize=(LINE * 0.09, 0.5 + 0.26 * len(lines)), layout="constrained")
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set(xlim=(0, LINE), ylim=(len(lines), -1), title=f"{self.label} {self.probability:.0%}")
        for row, line in enumerate(lines):
            column = 0
            for word, share in line:
                ground = {
                    "facecolor": ("tab:green" if share > 0 else "tab:red", 0.8 * abs(share)),
                    "edgecolor": "none",
                    "pad": 1.5,
                }
                axes.text(column, row, word.replace("$", r"\$"), family="monospace", fontsize=8, bbox=ground)
                column += len(word) + 1
        return figure

    def _repr_html_(self) -> str:
        shares = self._shares()
        spans = (
            f'<span style="background:rgba({"0,150,0" if share > 0 else "220,0,0"},{abs(share):.2f})" '
            f'title="{score:+.2f}">{html.escape(word)}</span>'
            for word, share, score in zip(self.words, shares, self.scores, strict=True)
        )
        return f"<b>{html.escape(self.label)} {self.probability:.0%}</b><br>{' '.join(spans)}"

    def _shares(self) -> list[float]:
        """Return each score as a share of the largest, -1 to 1."""
        most = max((abs(score) for score in self.scores), default=0.0) or 1.0
        return [score / most for score in self.scores]

    def _lines(self) -> list[list[tuple[str, float]]]:
        lines: list[list[tuple[str, float]]] = [[]]
        used = 0
        for word, share in zip(self.words, self._shares(), strict=True):
            word = word[:LINE]
            if used + len(word) > LINE:
                lines.append([])
                used = 0
            lines[-1].append((word, share))
            used += len(word) + 1
        return lines


def attribute(source: Learner | Predictor, text: str, *, label: str | None = None, batch_size: int = 32) -> Attribution:
    """Tell which words of a text mattered for an answer.

    Args:
        source: A learner of texts, or a predictor, as `load_model` gives it.
        text: The text.
        label: The class to explain; None takes the most probable.
        batch_size: Texts that are answered at a time; there is one a word.
    Raises:
        ModelError: The model does not answer with classes or tags.
        DataError: The text has no word, or there is no such class.
    """
    predictor = source.predictor() if isinstance(source, Learner) else source
    target = predictor.target
    if not isinstance(target, Category | MultiCategory) or not isinstance(predictor.modality, Texts):
        raise ModelError(
            f"The words that mattered are asked for, but the answers are {target.kind} of {predictor.modality}.",
            "a learner of texts with classes or tags.",
            "use predict().",
        )
    if label is not None and label not in target.classes:
        raise DataError(
            f"The label {label!r} is none of the classes.",
            f"one of: {', '.join(target.classes[:20])}.",
            "check the label." + suggest(label, target.classes),
        )
    words = words_read(predictor.modality, text)
    if not words:
        raise DataError("The text has no word.", "at least one.", "pass another text.")
    shortened = [" ".join(words[:number] + words[number + 1 :]) for number in range(len(words))]
    whole = _answers(predictor, [" ".join(words)], 1)[0]
    number = int(whole.argmax()) if label is None else target.classes.index(label)
    # A text of a single word has nothing left without it.
    without = _answers(predictor, shortened, batch_size) if len(words) > 1 else torch.full_like(whole, 0.5)[None]
    scores = torch.logit(whole[number], eps=1e-6) - torch.logit(without[:, number], eps=1e-6)
    return Attribution(target.classes[number], float(whole[number]), tuple(words), tuple(scores.tolist()))


def words_read(modality: Texts, text: str) -> list[str]:
    """Return the words of a text that fit into what the model reads of it: all, or those of its two ends."""
    words, tokenizer = text.split(), modality.tokenizer
    around = len(tokenizer.prefix) + len(tokenizer.suffix)
    front, back = tokenizer.shares(modality.max_length, modality.beginning)
    front, back = front - len(tokenizer.prefix), back - len(tokenizer.suffix)

    def fitting(some: Callable[[int], list[str]], room: int) -> list[str]:
        """Return the most words that `some` may give for a number of tokens; a word is a token at least."""
        count = bisect_right(
            range(1, min(len(words), room) + 1),
            room,
            key=lambda count: len(tokenizer.encode(" ".join(some(count)))) - around,
        )
        return some(count)

    first = fitting(lambda count: words[:count], front + back)
    if len(first) == len(words):
        return words
    first = fitting(lambda count: words[:count], front)
    last = fitting(lambda count: words[max(len(words) - count, len(first)) :], back)
    return [*first, *last] or words[:1]


def _answers(predictor: Predictor, texts: list[str], batch_size: int) -> Tensor:
    """Return the probabilities of each class, (texts, classes)."""
    parts = []
    for start in range(0, len(texts), batch_size):
        samples = [predictor.read(text) for text in texts[start : start + batch_size]]
        parts.append(predictor.answers(collate(samples, predictor.modality)))
    return torch.cat(parts)
