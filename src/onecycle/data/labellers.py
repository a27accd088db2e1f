"""Labels of many items: functions from rows to one label a row, and checks of what they return."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from onecycle.data.categories import Category, MultiCategory, in_natural_order
from onecycle.data.rows import Rows
from onecycle.data.tables import slices
from onecycle.data.target import Target
from onecycle.errors import DataError, some

Labeller = Callable[[Rows], list[Any]]
# All classes in the order wanted; "all" takes the labels of both splits; None takes those of the training set.
Classes = Sequence[str] | Literal["all"] | None


def from_folder(rows: Rows) -> list[str]:
    labels = [PurePosixPath(name).parent.name for name in rows.names()]
    if "" in labels:
        raise DataError(
            f"{rows.names()[labels.index('')]} is in no folder below {rows.root}, so it has no label.",
            "a folder per class, such as cats/1.jpg and dogs/2.jpg.",
            "move the files into class folders, or label another way, such as label_from_regex().",
        )
    return labels


def from_column(rows: Rows, column: str, delimiter: str | None) -> list[Any]:
    # Equal labels are one text: millions of items have few.
    values = (value for some_values in slices(rows.column(column)) for value in some_values)
    texts = ["" if value is None else sys.intern(str(value)) for value in values]
    if delimiter is None:
        if "" in texts:
            empty = [name for name, text in zip(rows.names(), texts, strict=True) if not text]
            raise DataError(
                f"{len(empty):,} rows have no label in column {column!r}: {some(empty)}.",
                "a label in every row.",
                "fill or remove those rows; for tags, where none is allowed, pass delimiter=.",
            )
        return texts
    return [list(dict.fromkeys(tag.strip() for tag in text.split(delimiter) if tag.strip())) for text in texts]


def check_delimiter(splits: Sequence[Rows], column: str, delimiter: str) -> None:
    """Refuse a delimiter that no value contains, where many values contain another.

    Raises:
        DataError: It names the delimiter that the values seem to have.
    """
    texts = [str(value) for rows in splits for value in rows.column(column).to_pylist() if value not in (None, "")]
    if any(delimiter in text for text in texts):
        return
    for other in ",;| ":
        if sum(other in text for text in texts) > len(texts) / 10:
            raise DataError(
                f"No value of column {column!r} contains the delimiter {delimiter!r}, such as {texts[0]!r}.",
                f"tags separated by {delimiter!r}.",
                f"pass delimiter={other!r}.",
            )


def from_one_hot(rows: Rows, columns: Sequence[str]) -> list[list[str]]:
    flags = {column: [str(value).lower() for value in rows.column(column).to_pylist()] for column in columns}
    for column, values in flags.items():
        odd = set(values) - {"0", "1", "true", "false", "0.0", "1.0"}
        if odd:
            raise DataError(
                f"Column {column!r} holds {some(sorted(odd))}.",
                "only 0 and 1, or true and false.",
                "name other columns.",
            )
    return [[column for column in columns if flags[column][row] in {"1", "true", "1.0"}] for row in range(len(rows))]


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


def target_for(labels: list[Any], classes: Classes) -> Target:
    several = bool(labels) and not isinstance(labels[0], str)
    seen = distinct(labels)
    ordered = tuple(classes) if classes is not None else in_natural_order(seen)
    unlisted = seen - set(ordered)
    if unlisted:
        raise DataError(
            f"Training labels are missing from classes=: {some(in_natural_order(unlisted))}.",
            "every label among the classes.",
            "add them to classes=, or leave it out.",
        )
    if len(ordered) < (1 if several else 2):
        raise DataError(
            f"All training items have the same label: {some(ordered) or 'none'}.",
            "two classes or more." if not several else "at least one tag.",
            "check how the items are labelled.",
        )
    return MultiCategory(ordered) if several else Category(ordered)


def check_seen(target: Target, labels: list[Any], rows: Rows, split: str) -> None:
    if not isinstance(target, Category | MultiCategory):
        return  # other targets have no classes
    known = set(target.classes)
    unseen = Counter(tag for label in labels for tag in tags(label) if tag not in known)
    if unseen:
        first = next(i for i, label in enumerate(labels) if set(tags(label)) & unseen.keys())
        raise DataError(
            f"The {split} set has labels that the training set does not have: "
            f"{some(f'{name} ({unseen[name]})' for name in in_natural_order(set(unseen)))}; "
            f"first in {rows.names()[first]}.",
            f"the training classes: {some(target.classes, 12)}.",
            'split with stratify=, pass classes="all", or move these items to the training set.',
        )


def check_labelled(labels: list[Any], rows: Rows) -> None:
    lacking = [name for name, label in zip(rows.names(), labels, strict=True) if label is None]
    if lacking:
        raise DataError(
            f"{len(lacking):,} items have no label: {some(lacking)}.",
            "a label for every item of the training and validation set.",
            "return a label for them, or leave them out with split_by().",
        )


def known_labels(target: Target, labeller: Labeller, rows: Rows) -> list[Any] | None:
    """Label a test folder that came with the split; None where no label is a class, so it must be unlabelled."""
    try:
        labels = labeller(rows)
    except DataError:
        return None
    if isinstance(target, Category | MultiCategory) and not any(
        set(tags(label)) & set(target.classes) for label in labels
    ):
        return None
    check_seen(target, labels, rows, "test")
    return labels


def warn_if_single(target: Target, labels: list[Any]) -> None:
    counts = Counter(tag for label in labels for tag in tags(label))
    single = [name for name in target.classes if counts[name] == 1]
    if single:
        warnings.warn(
            f"Classes with a single item: {some(single)}. They can hardly be learned, and cannot be validated.",
            stacklevel=4,
        )


def distinct(labels: list[Any]) -> set[str]:
    return {tag for label in labels for tag in tags(label)}


def tags(label: Any) -> Sequence[str]:
    return (label,) if isinstance(label, str) else label
