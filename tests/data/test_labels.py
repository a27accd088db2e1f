"""Labels as an Arrow column: the same values, counted and found as Python would."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onecycle.data.labels import Labels, distinct

CLASSES = st.sampled_from(["a", "b", "c d", ""])


@pytest.mark.parametrize(
    "labels",
    [["a", "b", "a"], [["a"], [], ["b", "a"]], [1.5, 2.0], [[[1.0, 2.0]], [[3.0, 4.0]]], ["a", None], [[], []], []],
)
def test_labels_are_a_sequence_of_what_they_are_made_of(labels: list[Any]) -> None:
    held = Labels.of(labels)
    assert (list(held), len(held)) == (labels, len(labels))
    assert [held[place] for place in range(len(labels))] == labels
    assert list(held[1:]) == labels[1:]
    assert Labels.of(held) is held


def test_equal_texts_are_held_once() -> None:
    labels = Labels.of(["a long name of a class"] * 100_000)
    assert labels.column.nbytes < 500_000


@given(st.lists(CLASSES, min_size=1))
def test_classes_are_counted_and_found(labels: list[str]) -> None:
    held = Labels.of(labels)
    assert (held.counts(), held.several) == (Counter(labels), False)
    assert held.numbers(["a", "b"]).tolist() == [{"a": 0, "b": 1}.get(label, -1) for label in labels]
    for name in set(labels):
        assert held.first_with([name]) == labels.index(name)


@given(st.lists(st.lists(CLASSES), min_size=1))
def test_tags_are_counted_and_found(labels: list[list[str]]) -> None:
    held = Labels.of(labels, pa.list_(pa.string()))
    assert (held.counts(), held.several) == (Counter(tag for tags in labels for tag in tags), True)
    assert held.lengths().tolist() == [len(tags) for tags in labels]
    for name in held.counts():
        assert held.first_with([name]) == next(i for i, tags in enumerate(labels) if name in tags)


def test_missing_labels_are_found_and_not_counted() -> None:
    labels = Labels.of(["a", None, "b", None])
    assert (labels.missing().tolist(), labels.counts()) == ([1, 3], {"a": 1, "b": 1})
    assert Labels.of([["a"], None]).missing().tolist() == [1]


@pytest.mark.parametrize(
    "column",
    [
        pa.chunked_array([["b", None], ["a", "b"]]),
        pa.chunked_array([pa.array(["b", None]).dictionary_encode(), pa.array(["a", "b"]).dictionary_encode()]),
        pa.chunked_array([[1.0, None, 2.5, 1.0]]),
        pa.chunked_array([[True, None, False, True]]),
        pa.chunked_array([pa.array(["b", None, "a", "b"], pa.large_string())]),
    ],
)
def test_distinct_values_are_numbered_once_whatever_the_column(column: pa.ChunkedArray) -> None:
    numbers, values = distinct(column)
    assert [values[number] for number in numbers] == column.to_pylist()
    assert len(values) == len(set(column.to_pylist()))
    calls: list[Any] = []
    labels = Labels.by_value(column, lambda value: calls.append(value) or str(value), pa.string())  # type: ignore[func-returns-value]
    assert list(labels) == [str(value) for value in column.to_pylist()]
    assert len(calls) == len(set(calls))


def test_values_of_lists_are_texts_and_no_rows_have_no_labels() -> None:
    assert distinct(pa.chunked_array([[["a", "b"], None, ["a", "b"]]]))[1] == ["['a', 'b']", None]
    assert list(Labels.by_value(pa.chunked_array([], pa.string()), str, pa.string())) == []
