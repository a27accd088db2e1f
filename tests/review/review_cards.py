"""Cards of items that are only names, for the tests of the queue and the decisions."""

from __future__ import annotations

import pyarrow as pa

from onecycle.data.categories import Category
from onecycle.data.dataset import Dataset
from onecycle.data.rows import ITEM, LABEL, Rows
from onecycle.review.cards import Card, Item
from onecycle.vision.images import Images

NAMES = [f"{letter}.jpg" for letter in "abcdefgh"]
DATASET = Dataset(
    Rows(pa.table({ITEM: NAMES, LABEL: ["cat"] * len(NAMES)})), Images((8, 8)), Category(("cat", "dog")), training=False
)


def item(letter: str, split: str = "train") -> Item:
    return Item(DATASET, NAMES.index(f"{letter}.jpg"), split, "dog", {"cat": 0.25, "dog": 0.75})


def card(letter: str, kind: str = "mistakes", score: float = 0.0, reason: str = "It is wrong.") -> Card:
    return Card.of_item(kind, score, item(letter), reason)


def group(*letters: str, score: float = 0.0) -> Card:
    items = tuple(item(letter, "valid" if place == 0 else "train") for place, letter in enumerate(letters))
    return Card.of_group("duplicates", score, items, "They look alike.")
