"""Labels of many items: functions from rows to one label a row, and checks of what they return."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from onecycle.data.categories import Category, MultiCategory, in_natural_order
from onecycle.data.class_labels import is_list
from onecycle.data.label_values import NO, YES, are_written_lists, differ_by_capitals, label_of, numbers_in, tags_of
from onecycle.data.labels import Labels, distinct
from onecycle.data.rows import ITEM, Rows, check_level
from onecycle.data.shards.source import Shards
from onecycle.data.split import matches
from onecycle.data.target import Target
from onecycle.errors import DataError, counted, some, users_level

JOIN = "\x1f"  # between the tags of a list, where it is a text
MOST_NUMBERS = 200  # with more different numbers, classes are unlikely
Labeller = Callable[[Rows], Sequence[Any]]
# All classes in the order wanted; "all" takes the labels of both splits; None takes those of the training set.
Classes = Sequence[str] | Literal["all"] | None


def from_folder(rows: Rows, level: int = 1) -> Labels:
    def name_of(folder: str | None) -> str | None:
        parts = PurePosixPath(folder or "").parts
        return parts[-level] if level <= len(parts) else None

    check_level(level)
    labels = Labels.by_value(rows.folders(), name_of, pa.string())
    if len(outside := labels.missing()):
        above = "" if level == 1 else f" {level} levels above it,"
        raise DataError(
            f"{rows.names_at(outside[:1])[0]} is in no folder{above} below {rows.root}, so it has no label.",
            "a folder per class, such as cats/1.jpg and dogs/2.jpg.",
            "move the files into class folders, or label another way, such as label_from_regex().",
        )
    return labels


def from_regex(rows: Rows, pattern: str) -> Labels:
    return Labels(matches(rows.table[ITEM], pattern))


def from_column(rows: Rows, column: str, delimiter: str | None) -> Labels:
    """Label from a column: tags where it holds lists, or with a delimiter; else one class a row.

    Raises:
        DataError: A row has no class, or the classes are decimal numbers.
    """
    values = rows.column(column)
    if pa.types.is_nested(values.type):
        values, delimiter = _joined(values), JOIN
    if delimiter is not None or holds_lists(values):
        return Labels.by_value(values, lambda value: tags_of(value, delimiter), MultiCategory.label_type)
    check_present((rows,), column)
    return Labels.by_value(values, label_of, pa.string())


def check_present(splits: Sequence[Rows], column: str) -> None:
    """Refuse rows without a label in a column of classes.

    Raises:
        DataError: It counts and lists them, over all splits.
    """
    lacking: list[str] = []
    for rows in splits:
        numbers, values = distinct(rows.column(column))
        without = np.array([label_of(value) is None for value in values])[numbers]
        without[rows.relabelled()] = False
        lacking += rows.names_at(np.flatnonzero(without)) if len(rows) else []
    if lacking:
        raise DataError(
            f"{counted(len(lacking), 'row', ('has', 'have'), of=sum(map(len, splits)))} no label in column {column!r}: "
            f"{some(lacking)}.",
            "a label in every row.",
            "fill in the labels, or pass missing='drop' to leave those rows out; for tags, where none is allowed, pass "
            "delimiter=' '.",
            shell_fix="fill in the labels, or pass --missing drop to leave those rows out; for tags, where none is "
            "allowed, pass --task tag.",
        )


def without_missing(rows: Rows, column: str) -> Rows:
    """Return the rows that have a label in a column of classes."""
    numbers, values = distinct(rows.column(column))
    present = np.array([label_of(value) is not None for value in values])[numbers]
    present[rows.relabelled()] = True
    return rows.take(np.flatnonzero(present))


def holds_lists(values: pa.ChunkedArray) -> bool:
    """Return whether a column holds lists: as Arrow has them, or each written as a text."""
    if is_list(values.type):
        return True
    return are_written_lists(distinct(values)[1])


def _joined(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of lists as texts, so that each different one is there once."""

    def joined(tags: list[Any] | None) -> str | None:
        return None if tags is None else JOIN.join(str(tag) for tag in tags if tag is not None)

    return pa.chunked_array([pa.array(map(joined, values.to_pylist()), pa.string())])


def warn_of_numbers(column: str, *labels: Labels) -> None:
    """Warn where classes are numbers with decimals, or many different ones."""
    counts = sum((Counter(one.counts()) for one in labels), Counter[str]())
    found = numbers_in(counts)
    if found is None or not (found[1] or found[0] > MOST_NUMBERS):
        return
    kind = "decimal" if found[1] else "whole"
    warnings.warn(
        f"Column {column!r} holds {found[0]:,} different {kind} numbers, which are classes here. To predict them as "
        f"numbers, use label_numbers({column!r}).",
        stacklevel=users_level(),
    )


def check_delimiter(splits: Sequence[Rows], column: str, delimiter: str) -> None:
    """Refuse a delimiter that no value contains, where many values contain another.

    Raises:
        DataError: It names the delimiter that the values seem to have.
    """
    counts: Counter[str] = Counter()
    for rows in splits:
        numbers, values = distinct(rows.column(column))
        often = np.bincount(numbers, minlength=len(values)).tolist()
        counts.update({str(value): count for value, count in zip(values, often, strict=True) if value is not None})
    texts = {text: count for text, count in counts.items() if text and count}
    if any(delimiter in text for text in texts):
        return
    for other in ",;| ":
        if sum(count for text, count in texts.items() if other in text) > sum(texts.values()) / 10:
            raise DataError(
                f"No value of column {column!r} contains the delimiter {delimiter!r}, such as {next(iter(texts))!r}.",
                f"tags separated by {delimiter!r}.",
                f"pass delimiter={other!r}.",
            )


def from_one_hot(rows: Rows, columns: Sequence[str]) -> Labels:
    held = [_words(rows, column) for column in columns]
    # -1 is for "no" where nothing is 0; beside 0 it has another meaning, such as "not known".
    no = NO if any(NO & set(words) for words in held) else NO | {"-1", "-1.0"}
    flags = np.stack([_flags(*one, no) for one in zip(columns, held, strict=True)], axis=1)
    ends = np.concatenate([[0], np.cumsum(flags.sum(axis=1))])
    tags = pa.array([column.strip() for column in columns]).take(pa.array(np.nonzero(flags)[1]))
    return Labels(pa.chunked_array([pa.ListArray.from_arrays(pa.array(ends, pa.int32()), tags)]))


def _words(rows: Rows, column: str) -> NDArray[np.str_]:
    numbers, values = distinct(rows.column(column))
    return np.array([str(value).strip().lower() for value in values])[numbers]


def _flags(column: str, words: NDArray[np.str_], no: frozenset[str]) -> NDArray[np.bool_]:
    if odd := set(map(str, np.unique(words))) - no - YES:
        raise DataError(
            f"Column {column!r} holds {some(sorted(odd))}.",
            "only 0 and 1, or true and false.",
            "name other columns.",
        )
    flags: NDArray[np.bool_] = np.isin(words, [*YES])
    return flags


def from_function(
    rows: Rows, function: Callable[[Path], Any], check: Callable[[Any, str, list[Any]], Any] | None
) -> list[Any]:
    """Label with a function of each item's path; `check` is given each label, its path and the labels before it."""
    labels: list[Any] = []
    for path in rows.located():
        try:
            label = function(Path(path))
        except Exception as error:
            raise DataError(
                f"The label function failed on {path}: {type(error).__name__}: {error}.",
                "a label for every item.",
                "fix the function, or leave the item out.",
            ) from error
        label = label.tolist() if isinstance(label, np.ndarray | np.generic) else label  # as a column can hold it
        labels.append(label if check is None else check(label, path, labels))
    return labels


def check_text_label(label: Any, path: str, before: list[Any]) -> str | list[str]:
    """Return a label that is a string or a list of strings, as the ones before it are.

    Raises:
        DataError: It is neither, or not of the kind of the others.
    """
    if not isinstance(label, str | list | tuple | set | frozenset):
        raise DataError(
            f"The label function returned {label!r} ({type(label).__name__}) for {path}.",
            "a string (one label) or a list of strings (tags).",
            f"return str(...), here {str(label)!r}.",
        )
    if before and isinstance(label, str) != isinstance(before[0], str):
        raise DataError(
            f"The label function returned {label!r} for {path}, but {before[0]!r} for the first item.",
            "strings for all items (one label), or lists for all items (tags).",
            "fix the function.",
        )
    return label if isinstance(label, str) else [str(tag) for tag in label]


def check_texts(labels: Labels) -> None:
    """Refuse labels that are neither texts nor lists of texts, of which classes could not be made.

    Raises:
        DataError: They are numbers, or anything else.
    """
    held = labels.column.type
    held = held.value_type if pa.types.is_dictionary(held) or pa.types.is_list(held) else held
    if not (pa.types.is_string(held) or pa.types.is_large_string(held) or pa.types.is_null(held)):
        raise DataError(
            f"The labels are of type {held}, such as {labels[0]!r}.",
            "a string an item (one class), or a list of strings (tags).",
            "return str(...) for classes; for numbers to predict, use label_numbers().",
        )


def target_for(labels: Labels, classes: Classes) -> Target:
    several, seen = labels.several, set(labels.counts())
    ordered = tuple(classes) if classes is not None else in_natural_order(seen)
    unlisted = seen - set(ordered)
    if unlisted:
        raise DataError(
            f"Training labels are missing from classes=: {some(in_natural_order(unlisted))}.",
            "every label among the classes.",
            "add them to classes=, or leave it out.",
        )
    if len(seen) < (1 if several else 2):
        raise DataError(
            f"All training items have the same label: {some(seen) or 'none'}.",
            "two classes or more." if not several else "at least one tag.",
            "check how the items are labelled, and how they are split.",
        )
    return MultiCategory(ordered) if several else Category(ordered)


def target_of_names(shards: Shards, classes: Classes) -> Target:
    """Return the target of labels that are read with their items.

    Raises:
        DataError: Their classes are not known.
    """
    named = shards.classes if classes is None or isinstance(classes, str) else tuple(classes)
    if named is None or len(named) < 2:
        raise DataError(
            f"The classes of column {shards.label!r} are not known, since no label is read before its item.",
            "all classes, two or more.",
            "pass classes=[...], or leave length= out, so that labels are read once.",
        )
    return Category(named)


def unknown(rows: Rows) -> Sequence[Any]:
    """Stand for a function from rows to labels, where labels are read with their items."""
    raise DataError(
        "The labels of a stream are only known when its items are read.",
        "a test set without labels.",
        "leave labelled= out, or pass the stream as a validation set with split_with().",
    )


def check_seen(target: Target, labels: Labels, rows: Rows, split: str) -> None:
    if not isinstance(target, Category | MultiCategory):
        return  # other targets have no classes
    known = set(target.classes)
    unseen = {name: count for name, count in labels.counts().items() if name not in known}
    if unseen:
        first = rows.names_at(np.array([labels.first_with(unseen)]))[0]
        raise DataError(
            f"The {split} set has labels that the training set does not have: "
            f"{some(f'{name} ({unseen[name]})' for name in in_natural_order(set(unseen)))}; "
            f"first in {first}.",
            f"the training classes: {some(target.classes, 12)}.",
            f"move some of these items to the training set, or split at random with stratify=; with classes='all' the "
            f"{split} items count, although nothing is learned of those classes.",
            shell_fix="move some of these items to the training set, or hold back another set with --valid.",
        )


def check_labelled(labels: Labels, rows: Rows) -> None:
    if len(lacking := labels.missing()):
        raise DataError(
            f"{counted(len(lacking), 'item', ('has', 'have'))} no label: {some_names(rows, lacking)}.",
            "a label for every item of the training and validation set.",
            "return a label for them, or leave them out with split_by().",
        )


def known_labels(target: Target, labeller: Labeller, rows: Rows) -> Labels | None:
    """Label a test folder that came with the split; None where no label is a class, so it must be unlabelled."""
    try:
        labels = Labels.of(labeller(rows), target.label_type)
    except DataError:
        return None
    if isinstance(target, Category | MultiCategory) and not set(labels.counts()) & set(target.classes):
        return None
    check_seen(target, labels, rows, "test")
    return labels


def warn_if_single(target: Target, *labels: Labels) -> None:
    counts = sum((Counter(one.counts()) for one in labels), Counter[str]())
    single = [name for name in target.classes if counts[name] == 1]
    if single:
        warnings.warn(
            f"Classes with a single item: {some(single)}. They can hardly be learned, and cannot be validated.",
            stacklevel=users_level(),
        )


def warn_of_unlearned(target: Target, train: Labels) -> None:
    if isinstance(target, Category | MultiCategory):
        seen = train.counts()
        if absent := [name for name in target.classes if not seen.get(name)]:
            warnings.warn(
                f"No training item has the label {some(absent)}: nothing is learned of that.",
                stacklevel=users_level(),
            )


def warn_of_capitals(target: Target) -> None:
    if groups := differ_by_capitals(target.classes):
        warnings.warn(
            f"Classes that differ by capitals alone: {some(' and '.join(group) for group in groups)}. They are learned "
            "as different classes.",
            stacklevel=users_level(),
        )


def some_names(rows: Rows, places: NDArray[np.int64]) -> str:
    """Return the first of some items' names, for a message."""
    return some([*rows.names_at(places[:9]), *[""] * (len(places) - 9)])
