"""How to label? A labeller is a function from items to a column of labels; the label column travels, it does not."""

from __future__ import annotations

import sys
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Generic, Literal, Self, TypeVar

import pyarrow as pa

from onecycle.data.bunch import Balance, DataBunch, LoaderOptions
from onecycle.data.cache import CacheMode
from onecycle.data.dataset import OnBadItem
from onecycle.data.items import LABEL, ItemList, Part, slices
from onecycle.data.modality import Modality
from onecycle.data.numbers import Numbers, numbers_from
from onecycle.data.split import found_in
from onecycle.data.target import Category, MultiCategory, Target, in_order
from onecycle.errors import DataError, some

Labeller = Callable[[Part], list[Any]]
# All classes in the order wanted; "all" takes the labels of every side; None takes those of the training side.
Classes = Sequence[str] | Literal["all"] | None
LabelledT = TypeVar("LabelledT", bound="LabelledList")


@dataclass(frozen=True, repr=False)
class SplitList(ABC, Generic[LabelledT]):
    """The inputs, split. `LabelledT` is the modality's labelled stage."""

    train: Part
    valid: Part
    test: Part | None
    modality: Modality

    @abstractmethod
    def _labelled(self, train: Part, valid: Part, test: Part | None, target: Target, labeller: Labeller) -> LabelledT:
        """Return the modality's labelled stage."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {_sizes(self.train, self.valid, self.test)}"

    def label_from_folder(self, *, classes: Classes = None) -> LabelledT:
        """Label each item with the name of the folder it lies in."""
        return self.label_with(_from_folder, classes)

    def label_from_column(self, column: str, *, delimiter: str | None = None, classes: Classes = None) -> LabelledT:
        """Label from a column: one label, or with `delimiter` (such as " ") any number of tags.

        Args:
            column: The column's name.
            delimiter: What separates several tags; None means one label an item.
            classes: All classes in the order wanted; "all" takes the labels of both sides; None takes those of the
                training side, and a label that only validation has is an error. Numbers in names sort as numbers.
        """
        if delimiter is not None:
            _check_delimiter((self.train, self.valid), column, delimiter)
        return self.label_with(lambda part: _from_column(part, column, delimiter), classes)

    def label_from_columns(self, columns: Sequence[str]) -> LabelledT:
        """Label with the names of all columns that hold 1 or true ("one-hot" columns), as tags."""
        return self.label_with(lambda part: _from_one_hot(part, columns), columns)

    def label_from_regex(self, pattern: str, *, classes: Classes = None) -> LabelledT:
        """Label with the first group that `pattern` finds in the item's path (forward slashes, relative)."""
        return self.label_with(lambda part: found_in(part.names(), pattern), classes)

    def label_from_function(
        self, function: Callable[[Path], str | Sequence[str]], *, classes: Classes = None
    ) -> LabelledT:
        """Label with a function from the item's path to one label (a text) or to several (a list of texts).

        The function is called once an item, here and now; neither workers nor the shipped model ever see it.
        """
        return self.label_with(lambda part: _from_function(part, function), classes)

    def label_with(self, labeller: Labeller, classes: Classes = None) -> LabelledT:
        """Label with any function from a part to its labels; texts make a `Category`, lists a `MultiCategory`."""
        train, valid = labeller(self.train), labeller(self.valid)
        target = _target_for(train, in_order(_distinct(train + valid)) if classes == "all" else classes)
        _check_seen(target, valid, self.valid, "validation")
        _warn_if_single(target, train + valid)
        return self._label(labeller, target, train, valid)

    def label_numbers(self, columns: str | Sequence[str]) -> LabelledT:
        """Label with numbers from columns, to be predicted as they are ("regression"): ages, prices, angles.

        They are standardised on the training side only, so that columns of any unit weigh alike in the loss.

        Raises:
            DataError: A value is no number, or a column holds the same number in all training rows.
        """
        names = (columns,) if isinstance(columns, str) else tuple(columns)

        def labeller(part: Part) -> list[Any]:
            return numbers_from(part, names)

        train, valid = labeller(self.train), labeller(self.valid)
        return self._label(labeller, Numbers.standardised(names, train), train, valid)

    def _label(self, labeller: Labeller, target: Target, train: list[Any], valid: list[Any]) -> LabelledT:
        """Return the next stage; a test folder that came with the split is labelled too, where it can be."""
        test = self.test
        if test is not None and (labels := _known_labels(target, labeller, test)) is not None:
            test = test.with_labels(pa.array(labels, target.label_type))
        return self._labelled(
            self.train.with_labels(pa.array(train, target.label_type)),
            self.valid.with_labels(pa.array(valid, target.label_type)),
            test,
            target,
            labeller,
        )


@dataclass(frozen=True, repr=False)
class LabelledList:
    """The inputs, split and labelled."""

    train: Part
    valid: Part
    test: Part | None
    target: Target
    modality: Modality
    labeller: Labeller

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {_sizes(self.train, self.valid, self.test)}\n{self.target.summary}"

    def add_test(self, items: ItemList[Any], *, labelled: bool = False) -> Self:
        """Add a test set.

        Args:
            items: Where the test inputs are.
            labelled: Label them in the way of the other sides, for a final score; else they are only predicted.
        Raises:
            DataError: `labelled`, and a label is not among the classes.
        """
        test = items.items
        if labelled:
            labels = self.labeller(test)
            _check_seen(self.target, labels, test, "test")
            test = test.with_labels(pa.array(labels, self.target.label_type))
        return replace(self, test=test)

    def databunch(
        self,
        batch_size: int | Literal["auto"] = 64,
        *,
        workers: int | None = None,
        seed: int = 42,
        cache: CacheMode = "auto",
        balance: Balance = None,
        on_bad_item: OnBadItem = "raise",
    ) -> DataBunch:
        """Bind the sides together as loaders; reads a few items at once, so that mistakes show now.

        Args:
            batch_size: Items a batch; "auto" lets the learner find the largest that fits into memory.
            workers: Processes that read items; None chooses for this machine.
            seed: Decides the order of items and every random augmentation.
            cache: "memory" or "disk" keep read items; "auto" keeps them in memory where they take little of it.
            balance: For rare classes: "sampling" draws their items more often, "loss" weighs them more.
            on_bad_item: "raise" stops at a broken file and names it, "skip" leaves it out with a warning.
        """
        options = LoaderOptions(batch_size, workers, seed, cache, balance, on_bad_item, self.streams)
        return DataBunch(self.ready(), options)

    @property
    def streams(self) -> bool:
        """Whether items continue one another, and must be read in that order."""
        return False

    def ready(self) -> Self:
        """Return what `databunch` binds together; what is left to do to the items is done here."""
        return self


def _from_folder(part: Part) -> list[str]:
    labels = [PurePosixPath(name).parent.name for name in part.names()]
    if "" in labels:
        raise DataError(
            f"{part.names()[labels.index('')]} lies in no folder below {part.root}, so it has no label.",
            "a folder per class, such as cats/1.jpg and dogs/2.jpg.",
            "move the files into class folders, or label another way, such as label_from_regex().",
        )
    return labels


def _from_column(part: Part, column: str, delimiter: str | None) -> list[Any]:
    # Equal labels are one text: millions of items have few.
    values = (value for some_values in slices(part.column(column)) for value in some_values)
    texts = ["" if value is None else sys.intern(str(value)) for value in values]
    if delimiter is None:
        if "" in texts:
            empty = [name for name, text in zip(part.names(), texts, strict=True) if not text]
            raise DataError(
                f"{len(empty):,} rows have no label in column {column!r}: {some(empty)}.",
                "a label in every row.",
                "fill or remove those rows; for tags, where none is allowed, pass delimiter=.",
            )
        return texts
    return [list(dict.fromkeys(tag.strip() for tag in text.split(delimiter) if tag.strip())) for text in texts]


def _check_delimiter(parts: Sequence[Part], column: str, delimiter: str) -> None:
    """Refuse a delimiter that no value of any side contains, where many values contain another."""
    texts = [str(value) for part in parts for value in part.column(column).to_pylist() if value not in (None, "")]
    if any(delimiter in text for text in texts):
        return
    for other in ",;| ":
        if sum(other in text for text in texts) > len(texts) / 10:
            raise DataError(
                f"No value of column {column!r} contains the delimiter {delimiter!r}, such as {texts[0]!r}.",
                f"tags separated by {delimiter!r}.",
                f"pass delimiter={other!r}.",
            )


def _from_one_hot(part: Part, columns: Sequence[str]) -> list[list[str]]:
    flags = {column: [str(value).lower() for value in part.column(column).to_pylist()] for column in columns}
    for column, values in flags.items():
        odd = set(values) - {"0", "1", "true", "false", "0.0", "1.0"}
        if odd:
            raise DataError(
                f"Column {column!r} holds {some(sorted(odd))}.",
                "only 0 and 1, or true and false.",
                "name other columns.",
            )
    return [[column for column in columns if flags[column][row] in {"1", "true", "1.0"}] for row in range(len(part))]


def _from_function(part: Part, function: Callable[[Path], Any]) -> list[Any]:
    labels: list[Any] = []
    for name in part.names():
        try:
            label = function(Path(part.locate(name)))
        except Exception as error:
            raise DataError(
                f"The label function failed on {part.locate(name)}: {type(error).__name__}: {error}.",
                "a label for every item.",
                "mend the function, or leave the item out.",
            ) from error
        if not isinstance(label, str | list | tuple | set | frozenset):
            raise DataError(
                f"The label function gave {label!r} ({type(label).__name__}) for {part.locate(name)}.",
                "a text (one label) or a list of texts (tags).",
                f"return str(...), here {str(label)!r}.",
            )
        if labels and isinstance(label, str) != isinstance(labels[0], str):
            raise DataError(
                f"The label function gave {label!r} for {part.locate(name)}, but {labels[0]!r} for the first item.",
                "texts for all items (one label), or lists for all items (tags).",
                "mend the function.",
            )
        labels.append(label if isinstance(label, str) else [str(tag) for tag in label])
    return labels


def _target_for(labels: list[Any], classes: Classes) -> Target:
    several = bool(labels) and not isinstance(labels[0], str)
    seen = _distinct(labels)
    ordered = tuple(classes) if classes is not None else in_order(seen)
    unlisted = seen - set(ordered)
    if unlisted:
        raise DataError(
            f"Training labels are missing from classes=: {some(in_order(unlisted))}.",
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


def _check_seen(target: Target, labels: list[Any], part: Part, side: str) -> None:
    if not isinstance(target, Category | MultiCategory):
        return  # other targets have no classes that could be unseen
    known = set(target.classes)
    unseen = Counter(tag for label in labels for tag in _tags(label) if tag not in known)
    if unseen:
        first = next(i for i, label in enumerate(labels) if set(_tags(label)) & unseen.keys())
        raise DataError(
            f"The {side} side has labels that training never sees: "
            f"{some(f'{name} ({unseen[name]})' for name in in_order(set(unseen)))}; first in {part.names()[first]}.",
            f"only the training classes: {some(target.classes, 12)}.",
            'split with stratify=, pass classes="all", or move these items to the training side.',
        )


def _known_labels(target: Target, labeller: Labeller, part: Part) -> list[Any] | None:
    """Label a test folder that came with the split; None where no label is a class, so it must be unlabelled."""
    try:
        labels = labeller(part)
    except DataError:
        return None
    if isinstance(target, Category | MultiCategory) and not any(
        set(_tags(label)) & set(target.classes) for label in labels
    ):
        return None
    _check_seen(target, labels, part, "test")
    return labels


def _warn_if_single(target: Target, labels: list[Any]) -> None:
    counts = Counter(tag for label in labels for tag in _tags(label))
    single = [name for name in target.classes if counts[name] == 1]
    if single:
        warnings.warn(
            f"Classes with a single item: {some(single)}. They can hardly be learnt, and never be validated.",
            stacklevel=4,
        )


def _distinct(labels: list[Any]) -> set[str]:
    return {tag for label in labels for tag in _tags(label)}


def _tags(label: Any) -> Sequence[str]:
    return (label,) if isinstance(label, str) else label


def _sizes(train: Part, valid: Part, test: Part | None) -> str:
    text = f"{len(train):,} training, {len(valid):,} validation"
    if test is None:
        return text
    return f"{text}, {len(test):,} test items ({'labelled' if LABEL in test.table.column_names else 'unlabelled'})"
