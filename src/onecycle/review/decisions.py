"""What a person decides about cards: written down before it is acknowledged, and taken back by a row of its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from onecycle.data.corrections import Corrections
from onecycle.errors import DataError
from onecycle.review.cards import POOL, Card, Item

# In the folder of a run.
CORRECTIONS = "corrections.parquet"
Choice = Literal["keep", "relabel", "remove"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
# Who decided, in the table: copies of items that are kept side by side were looked at together, for another reason.
ALONE, TOGETHER = "review", "review near-duplicates"


class Judgements(Protocol):
    """Where decisions about new items go."""

    def judge(self, item: Item, choice: Choice, label: Any) -> Any:
        """Write down what was decided, and return what takes it back."""

    def take_back(self, judged: Any) -> None:
        """Write down that a judgement is taken back."""

    def knows(self, item: Item) -> bool:
        """Return whether a person has judged the item."""


@dataclass(eq=False)
class Made:
    """A decision that was made.

    Attributes:
        card: About what.
        tab: In which tab.
        items: The names of the items that rows were written for.
        judged: What takes the judgement of a new item back.
    """

    card: Card
    tab: str
    items: tuple[str, ...] = ()
    judged: Any = None


class Decisions:
    """The decisions about one's own items, in a table of corrections, and about new ones, as judgements.

    Args:
        corrections: The table; it keeps its file up to date.
        judgements: Where decisions about new items go, if there are any.
    """

    def __init__(self, corrections: Corrections, judgements: Judgements | None = None) -> None:
        self.corrections, self.judgements = corrections, judgements
        self._counts: dict[str, int] = {}
        self._read()

    def _read(self) -> None:
        rows = self.corrections.standing().to_pylist()
        self._standing: dict[str, dict[str, Any]] = {row["item"]: row for row in rows}

    def of(self, item: Item) -> dict[str, Any] | None:
        """Return the decision that counts for one of one's own items, or None."""
        return None if item.split == POOL else self._standing.get(item.name)

    def left(self, card: Card) -> list[Item]:
        """Return the items of a card that are not removed."""
        return [item for item in card.items if (self.of(item) or {}).get("decision") != "remove"]

    def is_settled(self, card: Card) -> bool:
        """Return whether nothing is left to decide about a card."""
        if card.kind == POOL:
            return self.judgements is not None and self.judgements.knows(card.items[0])
        if not card.is_group:
            return self.of(card.items[0]) is not None
        left = self.left(card)
        return len(left) < 2 or all((self.of(item) or {}).get("source") == TOGETHER for item in left)

    def version(self, card: Card) -> int:
        """Return a number that grows with each decision about an item of a card."""
        return sum(self._counts.get(item.key, 0) for item in card.items)

    def make(self, tab: str, card: Card, choice: Choice, label: Any = None, removed: Collection[str] = ()) -> Made:
        """Write down a decision; it is on the disk when this returns.

        Args:
            tab: Where it was made.
            card: About what.
            choice: "keep" for a label that is right, "relabel", or "remove".
            label: With "relabel": the class, or a list of tags.
            removed: With "remove" of several items: the names of those to remove; the others are kept.
        """
        if card.kind == POOL and self.judgements is not None:
            made = Made(card, tab, judged=self.judgements.judge(card.items[0], choice, label))
        elif card.is_group:
            made = self._make_together(tab, card, choice, label, removed)
        else:
            name = card.items[0].name
            self.corrections.append(name, choice, "" if label is None else label, source=ALONE)
            made = Made(card, tab, (name,))
        self._note(card)
        return made

    def _make_together(self, tab: str, card: Card, choice: Choice, label: Any, removed: Collection[str]) -> Made:
        left = self.left(card)
        if choice == "remove" and not any(item.name in removed for item in left):
            raise DataError(
                "None of the items is marked to be removed.", "one or more of them.",
                "mark those to remove, or keep all.",
            )  # fmt: skip
        gone = [item.name for item in left if choice == "remove" and item.name in removed]
        for item in left:
            said = self.of(item)
            if item.name in gone:
                self.corrections.append(item.name, "remove", source=TOGETHER)
            elif choice == "relabel":
                self.corrections.append(item.name, "relabel", label, source=TOGETHER)
            elif said is not None and said["decision"] == "relabel":  # the last row counts, so it says it again
                self.corrections.append(item.name, "relabel", said["label"] or [], source=TOGETHER)
            else:
                self.corrections.append(item.name, "keep", source=TOGETHER)
        return Made(card, tab, tuple(item.name for item in left))

    def take_back(self, made: Made) -> None:
        """Take a decision back, so that what was decided before counts again."""
        if made.judged is not None and self.judgements is not None:
            self.judgements.take_back(made.judged)
        if made.items:
            self.corrections.append(made.items, "undo")
        self._note(made.card)

    def _note(self, card: Card) -> None:
        for item in card.items:
            self._counts[item.key] = self._counts.get(item.key, 0) + 1
        self._read()
