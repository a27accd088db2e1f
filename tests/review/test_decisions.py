"""Every decision is a row of the table before it is acknowledged, and can be taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from onecycle.errors import DataError
from onecycle.review.decisions import CORRECTIONS, Decisions
from review.review_cards import card, group


@pytest.fixture
def decisions(tmp_path: Path) -> Decisions:
    return Decisions(oc.Corrections.open(tmp_path / CORRECTIONS))


def on_disk(decisions: Decisions) -> list[tuple[Any, ...]]:
    assert decisions.corrections.path is not None
    rows = oc.Corrections.read(decisions.corrections.path).standing().to_pylist()
    return [(row["item"], row["decision"], row["label"]) for row in rows]


def test_decisions_are_on_the_disk_when_they_are_made(decisions: Decisions) -> None:
    decisions.make("tab", card("a"), "keep")
    decisions.make("tab", card("b"), "relabel", "dog")
    decisions.make("tab", card("c"), "remove")
    expected = [("a.jpg", "keep", ""), ("b.jpg", "relabel", "dog"), ("c.jpg", "remove", "")]
    assert on_disk(decisions) == expected
    assert all(decisions.is_settled(card(letter)) for letter in "abc")
    assert not decisions.is_settled(card("d"))
    again = Decisions(oc.Corrections.open(decisions.corrections.path))  # type: ignore[arg-type]
    assert [again.is_settled(card(letter)) for letter in "abcd"] == [True, True, True, False]


def test_tags_are_a_list_also_where_there_are_none(decisions: Decisions) -> None:
    decisions.make("tab", card("a"), "relabel", ["haze", "road"])
    decisions.make("tab", card("b"), "relabel", [])
    assert [label for _, _, label in on_disk(decisions)] == ['["haze", "road"]', "[]"]


def test_a_decision_that_is_taken_back_leaves_the_one_before_it(decisions: Decisions) -> None:
    decisions.make("tab", card("a"), "relabel", "dog")
    second = decisions.make("tab", card("a"), "remove")
    decisions.take_back(second)
    assert on_disk(decisions) == [("a.jpg", "relabel", "dog")]


def test_the_version_of_a_card_grows_with_each_decision_about_one_of_its_items(decisions: Decisions) -> None:
    shown = group("a", "b")
    assert decisions.version(shown) == 0
    made = decisions.make("tab", card("b"), "keep")  # b of the training set, as on the card of the two
    assert decisions.version(shown) == 1
    decisions.take_back(made)
    assert decisions.version(shown) == 2


class TestNearDuplicates:
    def test_those_that_are_marked_are_removed_and_the_others_kept(self, decisions: Decisions) -> None:
        made = decisions.make("tab", group("a", "b", "c"), "remove", removed=["b.jpg", "c.jpg"])
        assert on_disk(decisions) == [("a.jpg", "keep", ""), ("b.jpg", "remove", ""), ("c.jpg", "remove", "")]
        assert decisions.is_settled(group("a", "b", "c"))
        decisions.take_back(made)
        assert on_disk(decisions) == []
        assert not decisions.is_settled(group("a", "b", "c"))

    def test_a_corrected_label_stays_where_a_copy_is_kept(self, decisions: Decisions) -> None:
        decisions.make("tab", card("b"), "relabel", "dog")
        decisions.make("tab", group("a", "b"), "keep")
        assert on_disk(decisions) == [("a.jpg", "keep", ""), ("b.jpg", "relabel", "dog")]

    def test_all_are_relabelled_together(self, decisions: Decisions) -> None:
        decisions.make("tab", group("a", "b"), "relabel", "dog")
        assert on_disk(decisions) == [("a.jpg", "relabel", "dog"), ("b.jpg", "relabel", "dog")]

    def test_items_that_were_looked_at_one_by_one_are_still_shown_together(self, decisions: Decisions) -> None:
        decisions.make("tab", card("a"), "keep")
        decisions.make("tab", card("b"), "keep")
        assert not decisions.is_settled(group("a", "b"))
        decisions.make("tab", group("a", "b"), "keep")
        assert decisions.is_settled(group("a", "b"))

    def test_one_that_is_left_alone_needs_no_decision(self, decisions: Decisions) -> None:
        decisions.make("tab", card("b"), "remove")
        assert decisions.is_settled(group("a", "b"))
        assert [item.name for item in decisions.left(group("a", "b", "c"))] == ["a.jpg", "c.jpg"]

    def test_nothing_marked_is_refused_and_the_fix_works(self, decisions: Decisions) -> None:
        with pytest.raises(DataError) as caught:
            decisions.make("tab", group("a", "b"), "remove")
        assert str(caught.value) == (
            "None of the items is marked to be removed.\nExpected one or more of them.\n"
            "Fix: mark those to remove, or keep all."
        )
        assert on_disk_is_missing(decisions)
        decisions.make("tab", group("a", "b"), "remove", removed=["b.jpg"])
        decisions.make("tab", group("c", "d"), "keep")
        assert len(on_disk(decisions)) == 4


def on_disk_is_missing(decisions: Decisions) -> bool:
    return decisions.corrections.path is not None and not decisions.corrections.path.exists()
