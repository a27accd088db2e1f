"""Finds what is worth looking at: each search yields cards as it finds them, so that the first are there at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from onecycle.data.categories import Category, ClassTarget, MultiCategory
from onecycle.data.dataset import Dataset
from onecycle.data.target import Target
from onecycle.errors import ModelError
from onecycle.inference.predictions import Predictions
from onecycle.review.cards import POOL, Card, Item
from onecycle.review.rankings.next_to_label import next_to_label

if TYPE_CHECKING:
    from onecycle.train.learner import Learner

# Items that are predicted at a time: few at first, so that a person need not wait.
FIRST_ITEMS, MOST_ITEMS = 64, 1024
# An answer is unsure where the two likeliest classes are as close, or a tag as close to the threshold.
CLOSE_CLASSES, CLOSE_TAG = 0.3, 0.1


class Search(Protocol):
    """Finds cards of some kinds."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of the cards that it finds."""

    def find(self) -> Iterator[Sequence[Card]]:
        """Yield cards, as soon as they are found."""


class AnswerSearch:
    """What the model gets wrong, worst first, and where it hesitates.

    Args:
        learner: The model, and the data.
    """

    kinds = ("mistakes", "unsure")

    def __init__(self, learner: Learner) -> None:
        self.learner = learner

    def find(self) -> Iterator[Sequence[Card]]:
        for split, dataset in labelled_splits(self.learner).items():
            for rows, predictions in predict_in_blocks(self.learner, dataset):
                yield list(self._cards(split, dataset, rows, predictions))

    def _cards(self, split: str, dataset: Dataset, rows: Sequence[int], predictions: Predictions) -> Iterator[Card]:
        target, table = predictions.target, predictions.table
        right = set(range(len(predictions)))
        if isinstance(target, ClassTarget):
            wrong = set(predictions.mistakes().table["item"].to_pylist())
            right = {number for number, name in enumerate(table["item"].to_pylist()) if name not in wrong}
        losses = table["loss"].to_pylist()
        for number, item in enumerate(items_of(split, dataset, rows, predictions)):
            if number not in right or not isinstance(target, ClassTarget):
                yield Card.of_item("mistakes", losses[number], item, told_mistake(target, item, losses[number]))
            elif doubt := hesitation(target, item):
                yield Card.of_item("unsure", doubt[0], item, doubt[1])


class PoolSearch:
    """New items without a label, those first whose labels would teach most.

    Args:
        learner: The model.
        dataset: The items.
        most: How many.
    """

    kinds = (POOL,)

    def __init__(self, learner: Learner, dataset: Dataset, most: int) -> None:
        self.learner, self.dataset, self.most = learner, dataset, most

    def find(self) -> Iterator[Sequence[Card]]:
        rows = self.dataset.rows
        if not len(rows):
            return
        try:
            ranked = next_to_label(self.learner, rows, self.most).to_arrow().to_pylist()
        except ModelError:  # no classes, or no features: those that the model is least sure of
            for numbers, predictions in predict_in_blocks(self.learner, self.dataset):
                items = items_of(POOL, self.dataset, numbers, predictions)
                doubts = [hesitation(predictions.target, item, closest=2.0) or (0.0, "It is new.") for item in items]
                yield [Card.of_item(POOL, score, item, why) for item, (score, why) in zip(items, doubts, strict=True)]
            return
        row_of = {name: row for row, name in enumerate(rows.names())}
        why = {row["item"]: row["reason"] for row in ranked}
        chosen = self.learner.data.dataset_of(rows.take([row_of[name] for name in why]))
        for numbers, predictions in predict_in_blocks(self.learner, chosen):
            items = items_of(POOL, chosen, numbers, predictions)
            yield [
                Card.of_item(POOL, -float(row), item, why[item.name]) for row, item in zip(numbers, items, strict=True)
            ]


class Ranked(Protocol):
    """A ranking, as a search needs it."""

    @property
    def datasets(self) -> Mapping[str, Dataset]:
        """The items by split."""

    def to_arrow(self) -> pa.Table:
        """Return a row an item: item, split, predicted, probability, score, reason; of groups also group."""


class RankingSearch:
    """The items of a ranking, each on a card of its own, or those of a group on one.

    Args:
        kind: Of the cards.
        rank: Returns the ranking.
    """

    def __init__(self, kind: str, rank: Callable[[], Ranked]) -> None:
        self.kinds, self._rank = (kind,), rank

    def find(self) -> Iterator[Sequence[Card]]:
        ranking, (kind,) = self._rank(), self.kinds
        table = ranking.to_arrow()
        found = list(zip(table.to_pylist(), ranked_items(ranking), strict=True))
        if "group" not in table.column_names:
            yield [Card.of_item(kind, row["score"], item, row["reason"]) for row, item in found]
            return
        groups: dict[Any, list[Item]] = {}
        for row, item in found:
            groups.setdefault(row["group"], []).append(item)
        best = {row["group"]: row["score"] for row, _ in reversed(found)}
        yield [_card_of_copies(kind, best[number], items) for number, items in groups.items() if len(items) > 1]


def ranked_items(ranking: Ranked) -> list[Item]:
    """Return the items of a ranking."""
    rows = ranking.to_arrow().to_pylist()
    splits = {row["split"] for row in rows}
    places = {split: {name: row for row, name in enumerate(ranking.datasets[split].rows.names())} for split in splits}
    return [
        Item(
            ranking.datasets[row["split"]], places[row["split"]][row["item"]], row["split"], row["predicted"],
            {row["predicted"]: row["probability"]} if isinstance(row["predicted"], str) and row["probability"] else {},
        )
        for row in rows
    ]  # fmt: skip


def _card_of_copies(kind: str, score: float, items: Sequence[Item]) -> Card:
    """Return the card of several copies; those in two splits, and those with two labels, come first."""
    splits = sorted({item.split for item in items}, reverse=True)
    labels = {str(item.label) for item in items}
    where = f"in {' and '.join(splits)}" if len(splits) > 1 else f"all in {splits[0]}"
    sentence = f"They are nearly the same, {where}" + (", and their labels differ." if len(labels) > 1 else ".")
    return Card.of_group(kind, score + 2 * (len(splits) > 1) + (len(labels) > 1), tuple(items), sentence)


def labelled_splits(learner: Learner) -> dict[str, Dataset]:
    """Return the items that are validated and trained on, read as at prediction."""
    data = learner.data
    datasets = {"valid": data.valid.dataset, "train": data.dataset_of(data.train.dataset.rows)}
    return {split: dataset for split, dataset in datasets.items() if len(dataset)}


def predict_in_blocks(learner: Learner, dataset: Dataset) -> Iterator[tuple[list[int], Predictions]]:
    """Yield the predictions for ever more items of a dataset, and their rows; items that are skipped are left out."""
    start, count = 0, FIRST_ITEMS
    while start < len(dataset):
        rows = range(start, min(start + count, len(dataset)))
        predictions = learner.predict_all(dataset.rows.take(rows))
        row_of = {dataset.name(row): row for row in rows}
        yield [row_of[name] for name in predictions.table["item"].to_pylist()], predictions
        start, count = rows.stop, min(2 * count, MOST_ITEMS)


def items_of(split: str, dataset: Dataset, rows: Sequence[int], predictions: Predictions) -> list[Item]:
    """Return items with what is predicted for them."""
    target, table = predictions.target, predictions.table
    said = table["prediction"].to_pylist() if isinstance(target, ClassTarget) else [None] * len(rows)
    shares = predictions.probabilities if isinstance(target, ClassTarget) else torch.empty(len(rows), 0)
    return [
        Item(dataset, row, split, label, dict(zip(target.classes, _rounded(own), strict=False)))
        for row, label, own in zip(rows, said, shares, strict=True)
    ]


def _rounded(shares: Tensor) -> list[float]:
    return [float(share) for share in np.round(shares.numpy().astype(float), 6)]


def told_mistake(target: Target, item: Item, loss: float) -> str:
    """Return in a sentence what the model gets wrong."""
    if isinstance(target, Category):
        return f"Labelled {item.label}, and the model says {item.predicted} ({item.probabilities[item.predicted]:.0%})."
    if isinstance(target, MultiCategory):
        given, said = set(item.label), set(item.predicted)
        more, less = (
            ", ".join(name for name in target.classes if name in names) for names in (said - given, given - said)
        )
        parts = [f"sees {more}, which it is not tagged with" if more else "", f"does not see {less}" if less else ""]
        return f"The model {', and '.join(filter(None, parts))}."
    return f"The loss is {loss:.3g}."


def hesitation(target: Target, item: Item, *, closest: float | None = None) -> tuple[float, str] | None:
    """Return how unsure an answer is, higher for less sure, and why in a sentence; None for one that is sure.

    Args:
        target: What is predicted.
        item: The item.
        closest: How close is unsure; None takes the usual distance.
    """
    shares = sorted(item.probabilities.items(), key=lambda pair: -pair[1])
    if isinstance(target, Category) and len(shares) > 1:
        (first, most), (second, less) = shares[:2]
        sentence = f"The model hesitates between {first} ({most:.0%}) and {second} ({less:.0%})."
        return (less - most, sentence) if most - less < (closest or CLOSE_CLASSES) else None
    if isinstance(target, MultiCategory):
        tag, share = min(shares, key=lambda pair: abs(pair[1] - target.threshold))
        distance = abs(share - target.threshold)
        sentence = (
            f"The model hesitates whether to tag it {tag} ({share:.0%}, the threshold is {target.threshold:.0%})."
        )
        return (-distance, sentence) if distance < (closest or CLOSE_TAG) else None
    return None
