"""What comes first, what each tab gets, and that nothing comes twice."""

from __future__ import annotations

from onecycle.review.cards import Card
from onecycle.review.queue import SECONDS_UNTIL_CLOSED, Progress, Queue
from review.review_cards import card, group


class Settled(set[str]):
    """The cards that are decided, by their keys."""

    def __call__(self, card: Card) -> bool:
        return card.key in self


def queue_of(*cards: Card, **options: object) -> tuple[Queue, Settled]:
    settled = Settled()
    queue = Queue(settled, **options)  # type: ignore[arg-type]
    queue.add(cards)
    return queue, settled


def key(card: Card | None) -> str | None:
    return None if card is None else card.key


def test_kinds_come_in_their_order_and_within_a_kind_the_highest_score_first() -> None:
    cards = [card("a", "unsure", 9.0), card("b", score=1.0), card("c", score=2.0), group("d", "e")]
    cards.append(card("f", "doubtful", -5.0))
    queue, settled = queue_of(*cards)
    seen = []
    while (now := queue.next("tab")) is not None:
        seen.append(now.key)
        settled.add(now.key)
    assert seen == ["train/f.jpg", "train/c.jpg", "train/b.jpg", "train/e.jpg + valid/d.jpg", "train/a.jpg"]


def test_a_tab_goes_on_with_its_card_whatever_is_found_meanwhile() -> None:
    queue, settled = queue_of(card("a"))
    assert key(queue.next("tab")) == "train/a.jpg"
    queue.add([card("b", "doubtful", 5.0)])
    assert key(queue.next("tab")) == "train/a.jpg"
    settled.add("train/a.jpg")
    assert key(queue.next("tab")) == "train/b.jpg"


def test_two_tabs_get_two_cards_until_one_of_them_is_closed() -> None:
    now = [0.0]
    queue, _ = queue_of(card("a", score=2.0), card("b", score=1.0), clock=lambda: now[0])
    assert [key(queue.next(tab)) for tab in ("one", "two", "one")] == ["train/a.jpg", "train/b.jpg", "train/a.jpg"]
    assert key(queue.next("three")) == "train/a.jpg"  # there is no other
    now[0] = SECONDS_UNTIL_CLOSED
    assert key(queue.next("four")) == "train/a.jpg"


def test_an_item_that_is_found_twice_is_one_card_at_the_better_place_with_both_reasons() -> None:
    for first, second in ((card("a", "unsure"), card("a", "doubtful", reason="Odd.")),) * 2:
        for order in ((first, second), (second, first)):
            queue, _ = queue_of(*order)
            (only,) = queue.cards.values()
            assert (only.kind, only.reasons) == ("doubtful", ("Odd.", "It is wrong."))


def test_one_kind_alone_can_be_looked_at() -> None:
    queue, _ = queue_of(card("a", "doubtful"), card("b", "unsure"))
    assert key(queue.next("tab", "unsure")) == "train/b.jpg"
    assert queue.next("tab", "pool") is None


def test_what_is_skipped_comes_back_when_it_is_asked_for() -> None:
    queue, _ = queue_of(card("a"))
    queue.skipped.add("train/a.jpg")
    assert queue.next("tab") is None
    assert queue.progress()["mistakes"] == Progress(total=1, decided=0, skipped=1)
    queue.skipped.clear()
    assert key(queue.next("tab")) == "train/a.jpg"


def test_of_too_many_cards_the_lowest_are_left_out_but_none_that_was_touched() -> None:
    queue, settled = queue_of(card("a", score=1.0), card("b", score=2.0), most=2)
    assert key(queue.next("tab")) == "train/b.jpg"
    settled.add("train/a.jpg")
    queue.add([card("c", score=3.0), card("d", score=4.0), card("e", score=5.0)])
    assert sorted(queue.cards) == ["train/a.jpg", "train/b.jpg", "train/d.jpg", "train/e.jpg"]


def test_the_card_after_is_the_one_that_comes_next() -> None:
    first, second = card("a", score=2.0), card("b", score=1.0)
    queue, _ = queue_of(first, second)
    assert queue.after("tab", first) == second
    assert queue.after("tab", first, "unsure") is None


def test_a_card_that_comes_next_is_not_left_out_since_its_pictures_are_being_loaded() -> None:
    first, second = card("a", score=2.0), card("b", score=1.0)
    queue, _ = queue_of(first, second, most=2)
    assert queue.next("tab") == first
    assert queue.after("tab", first) == second
    queue.add([card("c", score=3.0), card("d", score=4.0)])
    assert sorted(queue.cards) == ["train/a.jpg", "train/b.jpg", "train/c.jpg", "train/d.jpg"]
