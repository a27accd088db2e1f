"""What a person looks at: one item, or several that resemble each other, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from onecycle.data.dataset import Dataset

# What there is to look at, what is worth most first.
KINDS = {
    "doubtful": "Doubtful labels",
    "mistakes": "Worst mistakes",
    "duplicates": "Near-duplicates",
    "unsure": "Unsure answers",
    "pool": "New items",
}
POOL = "pool"


@dataclass(frozen=True)
class Item:
    """An item, and what the model says of it.

    Attributes:
        dataset: Where it is read from.
        row: Its row there.
        split: "train", "valid", "test", or "pool" for a new one.
        predicted: The label that is predicted, as a table of predictions holds it; None where that is not known.
        probabilities: As far as they are known.
    """

    dataset: Dataset
    row: int
    split: str
    predicted: Any = None
    probabilities: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the data calls it."""
        return self.dataset.name(self.row)

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.split}/{self.name}"

    @property
    def label(self) -> Any:
        """The label that it was given, or None."""
        return self.dataset.label(self.row)


@dataclass(frozen=True)
class Card:
    """One item, or several that are decided together.

    Attributes:
        key: What tells it from all others.
        kind: One of `KINDS`.
        score: The higher, the earlier it is looked at among its kind.
        items: The items.
        reasons: Why they are to be looked at, a sentence each.
    """

    key: str
    kind: str
    score: float
    items: tuple[Item, ...]
    reasons: tuple[str, ...]

    @classmethod
    def of_item(cls, kind: str, score: float, item: Item, reason: str) -> Card:
        """Return the card of one item."""
        return cls(item.key, kind, score, (item,), (reason,))

    @classmethod
    def of_group(cls, kind: str, score: float, items: tuple[Item, ...], reason: str) -> Card:
        """Return the card of several items."""
        return cls(" + ".join(sorted(item.key for item in items)), kind, score, items, (reason,))

    @property
    def is_group(self) -> bool:
        """Whether the items are decided together."""
        return len(self.items) > 1

    def joined(self, other: Card) -> Card:
        """Return the card of the same items that was found for two reasons, at the place of the better one."""
        first, second = sorted((self, other), key=lambda card: (list(KINDS).index(card.kind), -card.score))
        known = max(first.items, second.items, key=lambda items: len(items[0].probabilities))
        reasons = tuple(dict.fromkeys((*first.reasons, *second.reasons)))
        return replace(first, items=known, reasons=reasons)
