"""A review that goes on: searches add cards while people decide them, in any number of tabs."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Collection, Sequence
from typing import Any

from onecycle.errors import DataError, OnecycleError
from onecycle.review.cards import Card
from onecycle.review.decisions import Choice, Decisions, Made
from onecycle.review.queue import Progress, Queue
from onecycle.review.searches import Search

SECONDS_TO_STOP = 10.0


class AlreadyDecidedError(DataError):
    """A card was decided in another tab since this one was shown."""


class Review:
    """What one or several people decide about the cards that searches find.

    Args:
        decisions: Where decisions are written.
        searches: They run one after the other, in a thread of their own.
        most: The most cards of a kind.

    Attributes:
        queue: The cards.
        searching: The kinds of cards that are still being looked for.
        problems: Why a search ended early, by kind.
    """

    def __init__(self, decisions: Decisions, searches: Sequence[Search], *, most: int = 100) -> None:
        self.decisions, self.searches = decisions, searches
        self.queue = Queue(decisions.is_settled, most=most)
        self.searching = [kind for search in searches for kind in search.kinds]
        self.problems: dict[str, str] = {}
        self._made: list[Made] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # --- searching ---

    def start(self) -> None:
        """Begin to search."""
        self._thread = threading.Thread(target=self.search, name="onecycle-review", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the searches after what they are at; a ranking of many items is not waited for."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(SECONDS_TO_STOP)

    def search(self) -> None:
        """Run all searches; one that fails says why, and the others go on."""
        for search in self.searches:
            try:
                if self._stop.is_set():
                    return
                for cards in search.find():
                    with self._lock:
                        self.queue.add(cards)
                    if self._stop.is_set():
                        return
            except OnecycleError as error:
                self.problems |= dict.fromkeys(search.kinds, str(error))
            except Exception as error:
                traceback.print_exc()
                self.problems |= dict.fromkeys(search.kinds, f"Internal error in onecycle: {type(error).__name__}.")
            self.searching = [kind for kind in self.searching if kind not in search.kinds]

    # --- looking and deciding ---

    def next(self, tab: str, kind: str | None = None) -> tuple[Card | None, Card | None]:
        """Return what a tab shows, and what is likely to be shown next."""
        with self._lock:
            card = self.queue.next(tab, kind)
            return card, None if card is None else self.queue.after(tab, card, kind)

    def decide(
        self, tab: str, key: str, choice: Choice, label: Any = None, removed: Collection[str] = (), *,
        version: int | None = None,
    ) -> Made:  # fmt: skip
        """Write a decision down.

        Args:
            tab: Where it was made.
            key: Of the card.
            choice: See `Decisions.make`.
            label: See `Decisions.make`.
            removed: See `Decisions.make`.
            version: Of the card as it was shown; None decides whatever was decided meanwhile.
        Raises:
            AlreadyDecidedError: It was decided meanwhile.
            DataError: There is no such card.
        """
        with self._lock:
            card = self._card(key)
            if version is not None and version != self.decisions.version(card):
                raise AlreadyDecidedError(
                    "This was decided in another tab meanwhile.", "one decision at a time.",
                    "look at what comes next, or undo the other decision first.",
                )  # fmt: skip
            made = self.decisions.make(tab, card, choice, label, removed)
            self.queue.skipped.discard(key)
            self._made.append(made)
            return made

    def skip(self, tab: str, key: str) -> None:
        """Put a card off."""
        with self._lock:
            card = self._card(key)
            self.queue.skipped.add(key)
            self._made.append(Made(card, tab))

    def show_skipped(self) -> None:
        """Have everything looked at that was put off."""
        with self._lock:
            self.queue.skipped.clear()

    def undo(self, tab: str) -> Made:
        """Take back the last decision of a tab, or of all where this one has made none; the card is shown again.

        Raises:
            DataError: There is none, or something was decided about the same items since.
        """
        with self._lock:
            own = [made for made in self._made if made.tab == tab] or self._made
            if not own:
                raise DataError(
                    "There is no decision to take back.", "one that was made since the review was started.",
                    "decide something first; what was decided earlier can be changed in the table of corrections.",
                )  # fmt: skip
            made = own[-1]
            about = {item.key for item in made.card.items}
            later = self._made[self._made.index(made) + 1 :]
            if any(about & {item.key for item in other.card.items} for other in later):
                raise AlreadyDecidedError(
                    "Another tab has decided about the same item since.", "the last decision about an item.",
                    "undo it in the other tab first.",
                )  # fmt: skip
            if made.items or made.judged is not None:
                self.decisions.take_back(made)
            self._made.remove(made)
            self.queue.show(tab, made.card)
            return made

    @property
    def can_undo(self) -> bool:
        """Whether there is a decision to take back."""
        return bool(self._made)

    def progress(self) -> dict[str, Progress]:
        """Return how far each kind of card is."""
        with self._lock:
            return self.queue.progress()

    def _card(self, key: str) -> Card:
        card = self.queue.cards.get(key)
        if card is None:
            raise DataError(f"There is no card {key[:80]!r}.", "one that was shown.", "reload the page.")
        return card
