"""A review from several tabs, while it is still searched."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import onecycle as oc
from onecycle.errors import DataError
from onecycle.review.cards import Card
from onecycle.review.decisions import CORRECTIONS, Decisions
from onecycle.review.session import AlreadyDecidedError, Review
from review.review_cards import card, group


class Found:
    """A search that finds what it is given, and then fails, if it is told to."""

    def __init__(self, kind: str, *blocks: Sequence[Card], error: Exception | None = None) -> None:
        self.kinds, self.blocks, self.error = (kind,), blocks, error

    def find(self) -> Iterator[Sequence[Card]]:
        yield from self.blocks
        if self.error:
            raise self.error


def review_of(folder: Path, *searches: Found) -> Review:
    review = Review(Decisions(oc.Corrections.open(folder / CORRECTIONS)), searches)
    review.search()
    return review


def shown(review: Review, tab: str = "one") -> str | None:
    now, _ = review.next(tab)
    return None if now is None else now.key


def decided(folder: Path) -> dict[str, str]:
    rows = oc.Corrections.read(folder / CORRECTIONS).standing().to_pylist()
    return {row["item"]: row["decision"] for row in rows}


def test_first_items_are_looked_at_while_others_are_searched(tmp_path: Path) -> None:
    first, rest = threading.Event(), threading.Event()

    class Slow(Found):
        def find(self) -> Iterator[Sequence[Card]]:
            yield [card("a")]
            first.set()
            rest.wait(60)
            yield [card("b", score=9.0)]

    review = Review(Decisions(oc.Corrections.open(tmp_path / CORRECTIONS)), [Slow("mistakes")])
    review.start()
    assert first.wait(60)
    assert shown(review) == "train/a.jpg"
    assert review.searching == ["mistakes"]
    review.decide("one", "train/a.jpg", "keep")
    assert shown(review) is None
    rest.set()
    review.stop()
    assert shown(review) == "train/b.jpg"


def test_a_search_that_fails_is_told_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = DataError("The features are gone.", "features.", "train again.")
    review = review_of(
        tmp_path, Found("doubtful", [card("a", "doubtful")], error=error), Found("duplicates", error=ValueError("x")),
        Found("unsure", [card("b", "unsure")]),
    )  # fmt: skip
    assert review.problems == {"doubtful": str(error), "duplicates": "Internal error in onecycle: ValueError."}
    assert "ValueError: x" in capsys.readouterr().err
    assert review.searching == []
    assert len(review.queue.cards) == 2


def test_a_decision_of_another_tab_is_not_overwritten(tmp_path: Path) -> None:
    review = review_of(tmp_path, Found("mistakes", [card("a")]))
    assert [shown(review, tab) for tab in ("one", "two")] == ["train/a.jpg"] * 2
    review.decide("one", "train/a.jpg", "remove", version=0)
    with pytest.raises(AlreadyDecidedError, match="This was decided in another tab meanwhile"):
        review.decide("two", "train/a.jpg", "keep", version=0)
    assert decided(tmp_path) == {"a.jpg": "remove"}
    review.undo("one")  # as the fix says
    review.decide("two", "train/a.jpg", "keep", version=review.decisions.version(card("a")))
    assert decided(tmp_path) == {"a.jpg": "keep"}


def test_undo_takes_back_what_this_tab_did_last_and_shows_it_again(tmp_path: Path) -> None:
    review = review_of(tmp_path, Found("mistakes", [card(letter, score=-ord(letter)) for letter in "abc"]))
    review.decide("one", "train/a.jpg", "keep")
    review.decide("two", "train/b.jpg", "remove")
    review.skip("one", "train/c.jpg")
    assert shown(review) is None
    review.undo("one")
    assert shown(review) == "train/c.jpg"
    review.undo("one")
    assert shown(review) == "train/a.jpg"
    assert decided(tmp_path) == {"b.jpg": "remove"}
    review.undo("three")  # a tab that has done nothing, such as one that was opened anew
    assert decided(tmp_path) == {}
    with pytest.raises(DataError, match="There is no decision to take back"):
        review.undo("one")


def test_a_decision_under_a_later_one_is_not_taken_back(tmp_path: Path) -> None:
    review = review_of(tmp_path, Found("mistakes", [card("b"), group("a", "b")]))
    review.decide("one", "train/b.jpg", "keep")
    review.decide("two", group("a", "b").key, "keep")
    with pytest.raises(AlreadyDecidedError, match="Another tab has decided about the same item since"):
        review.undo("one")
    review.undo("two")  # as the fix says
    review.undo("one")
    assert decided(tmp_path) == {}


def test_a_skipped_card_that_is_decided_counts_as_decided(tmp_path: Path) -> None:
    review = review_of(tmp_path, Found("mistakes", [card("a")]))
    review.skip("one", "train/a.jpg")
    review.show_skipped()
    assert shown(review) == "train/a.jpg"
    review.skip("one", "train/a.jpg")
    review.decide("two", "train/a.jpg", "keep")
    progress = review.progress()["mistakes"]
    assert (progress.decided, progress.skipped) == (1, 0)


def test_a_card_that_there_is_not_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no card 'x'\.\nExpected one that was shown\.\nFix: reload the page"):
        review_of(tmp_path).decide("one", "x", "keep")


def test_decisions_of_many_threads_are_all_kept(tmp_path: Path) -> None:
    review = review_of(tmp_path, Found("mistakes", [card(letter) for letter in "abcdefgh"]))

    def decide(letter: str) -> None:
        review.decide(letter, f"train/{letter}.jpg", "keep")

    threads = [threading.Thread(target=decide, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert decided(tmp_path) == {f"{letter}.jpg": "keep" for letter in "abcdefgh"}
