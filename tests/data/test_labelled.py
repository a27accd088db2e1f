"""Labelled rows of each split."""

import pyarrow as pa

from onecycle.data.categories import Category
from onecycle.data.labelled import LabelledItems, sizes
from onecycle.data.rows import ITEM, LABEL, Rows
from toy_parts import Series

TARGET = Category(("a", "b"))


def rows(count: int, *, labelled: bool = True) -> Rows:
    labels = {LABEL: ["a"] * count} if labelled else {}
    return Rows(pa.table({ITEM: [str(number) for number in range(count)], **labels}))


def test_it_prints_the_size_of_each_split_and_what_is_predicted() -> None:
    items = LabelledItems(rows(1200), rows(3), None, TARGET, Series())
    assert repr(items) == "LabelledItems: 1,200 training, 3 validation\nCategory, 2 classes: a, b"
    assert sizes(rows(1), rows(2), rows(3)) == "1 training, 2 validation, 3 test items (labelled)"
    assert sizes(rows(1), rows(2), rows(3, labelled=False)) == "1 training, 2 validation, 3 test items (unlabelled)"


def test_they_are_ready_by_default() -> None:
    items = LabelledItems(rows(2), rows(1), None, TARGET, Series())
    assert items.ready() is items
