"""Patterns that keep copies together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from onecycle.data.split import by_group, matches
from onecycle.review.rankings.group_pattern import group_pattern

PEOPLE = [f"person{number:02}" for number in range(12)]
FIRST, SECOND = np.arange(0, 60, 5), np.arange(1, 60, 5)


def frames(name: str) -> list[str]:
    return [name.format(person=person, frame=frame) for person in PEOPLE for frame in range(5)]


@pytest.mark.parametrize(
    "name", ["{person}_{frame}.jpg", "{person}-{frame}.jpg", "{person}/{frame}.jpg", "{person}_left_{frame:03}.png"]
)
def test_frames_of_a_person_are_one_group(name: str) -> None:
    names = frames(name)
    pattern = group_pattern(names, [None] * 60, FIRST, SECOND)
    assert pattern is not None
    chosen = by_group(matches(pa.chunked_array([names]), pattern), 0.25, seed=1)
    people = [{names[row][:8] for row in rows} for rows in (chosen.train, chosen.valid)]
    assert people[0] & people[1] == set()


def test_numbered_copies_keep_their_original_s_name() -> None:
    names = [f"{number}.jpg" for number in range(40)] + [f"{number} (1).jpg" for number in range(5)]
    pattern = group_pattern(names, [None] * 45, np.arange(5), np.arange(40, 45))
    assert pattern is not None
    assert pattern.startswith("(.+?)")


def test_classes_or_few_large_groups_are_no_pattern() -> None:
    names, labels = frames("{person}/{frame}.jpg"), [person for person in PEOPLE for _ in range(5)]
    assert group_pattern(names, labels, FIRST, SECOND) is None
    few = [f"{clip}_{frame}.jpg" for clip in "ab" for frame in range(30)]
    assert group_pattern(few, [None] * 60, np.arange(20), np.arange(1, 21)) is None


def test_names_that_say_nothing_give_none() -> None:
    names = [f"{number * 7919 % 1000:03}.jpg" for number in range(60)]
    assert group_pattern(names, [None] * 60, FIRST, SECOND) is None
    assert group_pattern(names, [None] * 60, FIRST[:0], SECOND[:0]) is None
