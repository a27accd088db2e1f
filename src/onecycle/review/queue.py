"""What is to be looked at, in which order, and what each tab of a browser shows of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from onecycle.review.cards import KINDS, Card

# A tab asks for news every few seconds; after so many without a word it is taken for closed.
SECONDS_UNTIL_CLOSED = 15.0


@dataclass(frozen=True)
class Progress:
    """How far one kind of card is.

    Attributes:
        total: Cards that were found.
        decided: Those that a person has decided.
        skipped: Those that were put off.
    """

    total: int = 0
    decided: int = 0
    skipped: int = 0


class Queue:
    """Cards, the most worthwhile first. Cards may be added while others are looked at.

    Args:
        is_settled: Whether nothing is left to decide about a card.
        most: The most cards of a kind; those of the lowest scores are left out.
        clock: Seconds that only grow.
    """

    def __init__(
        self, is_settled: Callable[[Card], bool], *, most: int = 100, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.is_settled, self.most, self.clock = is_settled, most, clock
        self.cards: dict[str, Card] = {}
        self.skipped: set[str] = set()
        self._shown: dict[str, tuple[str, float]] = {}
        self._announced: dict[str, str] = {}

    def add(self, cards: Iterable[Card]) -> None:
        """Add cards; of one that is there already the better place counts, and both reasons are told."""
        for card in cards:
            known = self.cards.get(card.key)
            self.cards[card.key] = card if known is None else known.joined(card)
        for kind in KINDS:
            self._leave_out(kind)

    def _leave_out(self, kind: str) -> None:
        """Leave out the cards of a kind that are too many, but none that was decided, is looked at or comes next."""
        looked_at = {key for key, _ in self._shown.values()} | {*self._announced.values()} | self.skipped
        left = [card for card in self.cards.values() if card.kind == kind and not self.is_settled(card)]
        for card in sorted(left, key=lambda card: -card.score)[self.most :]:
            if card.key not in looked_at:
                del self.cards[card.key]

    def next(self, tab: str, kind: str | None = None) -> Card | None:
        """Return what a tab shows: what it showed before, until that is decided or skipped; None where nothing is left.

        Args:
            tab: The tab; another one gets another card, while there are any.
            kind: Only cards of this kind.
        """
        now = self.clock()
        left = [card for card in self._in_order() if kind in (None, card.kind)]
        shown = self._shown.get(tab, ("", now))[0]
        elsewhere = {
            key for other, (key, seen) in self._shown.items() if other != tab and now - seen < SECONDS_UNTIL_CLOSED
        }
        mine = [card for card in left if card.key == shown]
        free = [card for card in left if card.key not in elsewhere]
        card = next(iter([*mine, *free, *left]), None)
        self._shown[tab] = ("" if card is None else card.key, now)
        return card

    def after(self, tab: str, card: Card, kind: str | None = None) -> Card | None:
        """Return the card that a tab is likely to show after another one; it loads that card's pictures already."""
        others = (each for each in self._in_order() if kind in (None, each.kind) and each.key != card.key)
        announced = next(others, None)
        self._announced[tab] = "" if announced is None else announced.key
        return announced

    def show(self, tab: str, card: Card) -> None:
        """Have a tab show a card again, such as one whose decision was taken back."""
        self.skipped.discard(card.key)
        self.cards.setdefault(card.key, card)
        self._shown[tab] = (card.key, self.clock())

    def _in_order(self) -> list[Card]:
        """Return what is left to decide and not skipped."""
        kinds = list(KINDS)
        left = [card for card in self.cards.values() if card.key not in self.skipped and not self.is_settled(card)]
        return sorted(left, key=lambda card: (kinds.index(card.kind), -card.score))

    def progress(self) -> dict[str, Progress]:
        """Return how far each kind is."""
        counts = {kind: [0, 0, 0] for kind in KINDS}
        for card in self.cards.values():
            of_kind, settled = counts[card.kind], self.is_settled(card)
            of_kind[0] += 1
            of_kind[1] += settled
            of_kind[2] += not settled and card.key in self.skipped
        return {kind: Progress(*numbers) for kind, numbers in counts.items()}
