"""What is found: mistakes and unsure answers at once, and the items of rankings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import onecycle as oc
from learners import photo_bunch, tag_bunch, tiny
from onecycle.data.categories import Category, MultiCategory
from onecycle.errors import ModelError
from onecycle.review import searches
from onecycle.review.cards import Card, Item
from onecycle.review.searches import AnswerSearch, PoolSearch, RankingSearch, hesitation, told_mistake
from onecycle.train.learner import Learner
from review.review_cards import DATASET, NAMES


def item(predicted: Any, label: Any = None, **shares: float) -> Item:
    found = Item(DATASET, 0, "train", predicted, shares)
    if label is not None:
        object.__setattr__(found, "dataset", Labelled(label))
    return found


@dataclass
class Labelled:
    """A dataset of one label."""

    given: Any

    def label(self, row: int) -> Any:
        return self.given


@pytest.fixture(scope="module", params=["photos", "tags"])
def learner(request: pytest.FixtureRequest) -> Learner:
    makers: dict[str, Callable[[], Any]] = {
        "photos": lambda: photo_bunch(request.getfixturevalue("photos")),
        "tags": lambda: tag_bunch(request.getfixturevalue("tagged")),
    }
    return tiny(makers[request.param]())


def test_every_mistake_is_found_with_its_loss_and_no_right_answer_is_called_one(
    learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "FIRST_ITEMS", 4)
    blocks = list(AnswerSearch(learner).find())
    assert len(blocks) > 3  # the first are there before the others
    cards = [card for block in blocks for card in block]
    expected = {}
    for split in ("valid", "train"):
        wrong = learner.predict_all(split).mistakes().table
        expected |= dict(
            zip((f"{split}/{name}" for name in wrong["item"].to_pylist()), wrong["loss"].to_pylist(), strict=True)
        )
    found = {card.key: card.score for card in cards if card.kind == "mistakes"}
    assert found == pytest.approx(expected, abs=1e-4)
    assert all(card.kind in AnswerSearch.kinds for card in cards)
    one = cards[0].items[0]
    assert sorted(one.probabilities) == sorted(learner.data.classes)
    assert one.label == one.dataset.rows.table["#label"][one.row].as_py()


def test_new_items_come_with_what_is_predicted(learner: Learner, photos: Path) -> None:
    rows = learner.data.modality.rows_in(photos / "red")
    dataset = learner.data.dataset_of(rows)
    cards = [card for block in PoolSearch(learner, dataset, 10).find() for card in block]
    assert len(cards) == 10
    assert {card.kind for card in cards} == {"pool"}
    predicted = learner.predict_all(photos / "red").table
    by_name = dict(zip(predicted["item"].to_pylist(), predicted["prediction"].to_pylist(), strict=True))
    assert {card.items[0].name: card.items[0].predicted for card in cards} == by_name
    ranked = oc.next_to_label(learner, rows, 10).to_arrow().to_pylist()
    cards.sort(key=lambda card: -card.score)
    expected = [(row["item"], row["reason"]) for row in ranked]
    assert [(card.items[0].name, *card.reasons) for card in cards] == expected
    assert list(PoolSearch(learner, learner.data.dataset_of(rows.take([])), 10).find()) == []


def test_new_items_that_cannot_be_ranked_come_by_how_unsure_the_model_is(
    learner: Learner, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ModelError("It has no body.", "a body.", "take another model.")

    monkeypatch.setattr(searches, "next_to_label", refuse)
    dataset = learner.data.dataset_of(learner.data.modality.rows_in(photos / "red"))
    (cards,) = PoolSearch(learner, dataset, 10).find()
    assert len(cards) == 10
    assert all(card.reasons[0].startswith("The model hesitates ") for card in cards)


def test_a_mistake_is_told_in_a_sentence() -> None:
    classes = Category(("cat", "dog"))
    assert told_mistake(classes, item("dog", "cat", cat=0.1, dog=0.9), 2.0) == (
        "Labelled cat, and the model says dog (90%)."
    )
    tags = MultiCategory(("haze", "road", "water"))
    assert told_mistake(tags, item(["road", "water"], ["haze", "water"]), 2.0) == (
        "The model sees road, which it is not tagged with, and does not see haze."
    )
    assert told_mistake(tags, item([], ["haze"]), 2.0) == "The model does not see haze."
    assert told_mistake(oc.Numbers(("age",), (0.0,), (1.0,)), item(None), 1.2345) == "The loss is 1.23."


def test_an_answer_is_unsure_where_two_classes_or_a_tag_and_the_threshold_are_close() -> None:
    classes, tags = Category(("a", "b", "c")), MultiCategory(("a", "b"), 0.3)
    assert hesitation(classes, item("a", a=0.9, b=0.1, c=0.0)) is None
    score, sentence = hesitation(classes, item("a", a=0.5, b=0.3, c=0.2)) or (0, "")
    assert (score, sentence) == (pytest.approx(-0.2), "The model hesitates between a (50%) and b (30%).")
    assert hesitation(tags, item(["a"], a=0.9, b=0.1)) is None
    score, sentence = hesitation(tags, item(["a"], a=0.35, b=0.0)) or (0, "")
    assert score == pytest.approx(-0.05)
    assert sentence == "The model hesitates whether to tag it a (35%, the threshold is 30%)."
    assert hesitation(oc.Numbers(("age",), (0.0,), (1.0,)), item(None)) is None


class Ranking:
    """A ranking of items that are only names."""

    def __init__(self, **columns: list[Any]) -> None:
        count = len(columns["item"])
        known = {"split": ["train"] * count, "predicted": [None] * count, "probability": [None] * count}
        self.table = pa.table(
            {**known, "reason": ["Odd."] * count, "score": list(np.arange(count, 0, -1.0)), **columns}
        )
        self.datasets = {"train": DATASET, "valid": DATASET}

    def to_arrow(self) -> pa.Table:
        return self.table


def cards_of(kind: str, ranking: Ranking) -> list[Card]:
    search = RankingSearch(kind, lambda: ranking)
    assert search.kinds == (kind,)
    return [card for block in search.find() for card in block]


def test_each_item_of_a_ranking_is_a_card() -> None:
    first, second = cards_of("doubtful", Ranking(item=["b.jpg", "a.jpg"], predicted=["dog", "cat"],
                                                 probability=[0.75, 0.5]))  # fmt: skip
    assert (first.key, first.score, first.reasons) == ("train/b.jpg", 2.0, ("Odd.",))
    assert first.items[0].row == NAMES.index("b.jpg")
    assert (first.items[0].predicted, first.items[0].probabilities) == ("dog", {"dog": 0.75})
    assert second.key == "train/a.jpg"


def test_each_group_of_a_ranking_is_a_card_and_those_in_two_splits_come_first() -> None:
    inside, across = cards_of("duplicates", Ranking(
        item=["a.jpg", "c.jpg", "d.jpg", "b.jpg"], split=["train", "valid", "train", "train"], group=[1, 2, 2, 1]
    ))  # fmt: skip
    assert [item.key for item in inside.items] == ["train/a.jpg", "train/b.jpg"]
    assert inside.reasons == ("They are nearly the same, all in train.",)
    assert [item.key for item in across.items] == ["valid/c.jpg", "train/d.jpg"]
    assert across.reasons == ("They are nearly the same, in valid and train.",)
    assert across.score > inside.score


def test_an_empty_ranking_has_no_cards() -> None:
    empty = pa.array([], pa.string())
    assert cards_of("doubtful", Ranking(item=empty, score=pa.array([], pa.float64()))) == []  # type: ignore[arg-type]
