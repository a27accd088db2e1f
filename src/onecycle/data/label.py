"""How to label? The stages between a split and the loaders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar

from onecycle.calls import explains_calls
from onecycle.data import labellers
from onecycle.data.bunch import Balance, DataBunch, LoaderOptions
from onecycle.data.cache import CacheMode
from onecycle.data.categories import Category, in_natural_order
from onecycle.data.class_labels import check_no_records
from onecycle.data.corrected import check_can_be_relabelled, corrected_labeller, tell_new_classes
from onecycle.data.items import ItemList
from onecycle.data.labelled import LabelledItems, sizes
from onecycle.data.labellers import Classes, Labeller
from onecycle.data.labels import Labels
from onecycle.data.loader import OnBadItem
from onecycle.data.modality import Modality
from onecycle.data.numbers import Numbers, numbers_labeller
from onecycle.data.preview import html_of_rows
from onecycle.data.rows import LABEL, Rows
from onecycle.data.tables import check_missing
from onecycle.data.target import Target
from onecycle.errors import ModelError, counted

LabelledT = TypeVar("LabelledT", bound="LabelledList")


@explains_calls
@dataclass(frozen=True, repr=False)
class SplitList(ABC, Generic[LabelledT]):
    """The inputs, split. `LabelledT` is the modality's labelled stage."""

    train: Rows
    valid: Rows
    test: Rows | None
    modality: Modality

    @abstractmethod
    def _labelled(self, train: Rows, valid: Rows, test: Rows | None, target: Target, labeller: Labeller) -> LabelledT:
        """Return the modality's labelled stage."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {sizes(self.train, self.valid, self.test)}"

    def _repr_html_(self) -> str:
        return html_of_rows(repr(self), self.train)

    def label_from_folder(self, *, level: int = 1, classes: Classes = None) -> LabelledT:
        """Label each item with the name of the folder it is in, or of one further up.

        Args:
            level: 1 takes the folder that the item is in, 2 the one above that, and so on.
            classes: The classes in their order; None takes those of the training items.
        """
        return self.label_with(lambda rows: labellers.from_folder(rows, level), classes)

    def label_from_column(
        self, column: str, *, delimiter: str | None = None, classes: Classes = None, missing: str = "raise"
    ) -> LabelledT:
        """Label from a column: one label, or with `delimiter` (such as " ") or lists in the column any number of tags.

        Blanks around labels do not count. A cell that is empty or says so, as `NaN` and `None` do, holds no label.

        Args:
            column: The column's name.
            delimiter: What separates several tags; None means one label an item.
            classes: All classes in the order wanted; "all" takes the labels of both splits; None takes those of the
                training set, and a label that only validation has is an error. Numbers in names sort as numbers.
            missing: "raise" refuses rows without a label, "drop" leaves them out. Tags may be none at all.
        """
        check_missing(missing)
        shards = self.train.shards
        if shards is not None and shards.label == column and delimiter is None:
            for rows in (self.train, self.valid):
                check_can_be_relabelled(rows, "class that is read with its item")
            target = labellers.target_of_names(shards, classes)
            return self._labelled(self.train, self.valid, self.test, target, labellers.unknown)
        split, splits = self, (self.train, self.valid)
        check_no_records(column, self.train.column(column).type)
        if delimiter is not None:
            labellers.check_delimiter(splits, column, delimiter)
        elif not labellers.holds_lists(self.train.column(column)):
            if missing == "drop":
                train, valid = (labellers.without_missing(rows, column) for rows in splits)
                if dropped := sum(map(len, splits)) - len(train) - len(valid):
                    print(f"Left out: {counted(dropped, 'row')} without a label in column {column!r}.")
                split = replace(self, train=train, valid=valid)
            labellers.check_present((split.train, split.valid), column)
        labelled = split._label_with(lambda rows: labellers.from_column(rows, column, delimiter), classes, delimiter)
        if isinstance(labelled.target, Category):
            held = [Labels(rows.table[LABEL]) for rows in (labelled.train, labelled.valid)]
            labellers.warn_of_numbers(column, *held)
        return labelled

    def label_from_columns(self, columns: Sequence[str]) -> LabelledT:
        """Label with the names of all columns that hold 1 or true ("one-hot" columns), as tags.

        Other rows hold 0 or false, or -1 where none is 0.
        """
        return self.label_with(lambda rows: labellers.from_one_hot(rows, columns), [name.strip() for name in columns])

    def label_from_regex(self, pattern: str, *, classes: Classes = None) -> LabelledT:
        """Label with the first group that `pattern` finds in the item's path (forward slashes, relative)."""
        return self.label_with(lambda rows: labellers.from_regex(rows, pattern), classes)

    def label_from_function(
        self, function: Callable[[Path], Any], *, classes: Classes = None, target: Target | None = None
    ) -> LabelledT:
        """Label with a function from the item's path to one label (a string) or several (a list of strings).

        The function is called once an item, here and now; neither workers nor the exported model ever need it.

        Args:
            function: Returns the label of a path.
            classes: As for `label_from_column`.
            target: A target of your own; the function may then return anything that its `encode` takes.
        Example:
            >>> split.label_from_function(lambda path: path.stem.split("_")[0]).target.classes
            ('blue', 'green', 'red')
        """
        check = labellers.check_text_label if target is None else None
        return self.label_with(lambda rows: labellers.from_function(rows, function, check), classes, target=target)

    def label_with(self, labeller: Labeller, classes: Classes = None, *, target: Target | None = None) -> LabelledT:
        """Label with any function from `Rows` to a list with one label an item.

        Args:
            labeller: The function.
            classes: As for `label_from_column`.
            target: What the labels mean; None makes a `Category` of strings, a `MultiCategory` of lists of strings.
        """
        if target is not None and not isinstance(target, Target):
            raise ModelError(
                f"target={target!r}.", "an instance of a class that derives from onecycle.Target.",
                f"write {target.__name__}(...)." if isinstance(target, type) else "derive its class from it.",
            )  # fmt: skip
        if target is not None:
            train, valid = (Labels.of(labeller(rows), target.label_type) for rows in (self.train, self.valid))
            return self._label(labeller, target, train, valid)
        return self._label_with(labeller, classes)

    def _label_with(self, labeller: Labeller, classes: Classes, delimiter: str | None = None) -> LabelledT:
        """Label with classes or tags, corrected where there are corrections; `delimiter` separates the tags in them."""
        labeller = corrected_labeller(labeller, delimiter)
        train, valid = (Labels.of(labeller(rows)) for rows in (self.train, self.valid))
        labellers.check_texts(train)
        tell_new_classes((train, valid), (self.train, self.valid))
        both = in_natural_order({*train.counts(), *valid.counts()}) if classes == "all" else classes
        target = labellers.target_for(train, both)
        labellers.check_seen(target, valid, self.valid, "validation")
        labellers.warn_if_single(target, train, valid)
        labellers.warn_of_unlearned(target, train)
        labellers.warn_of_capitals(target)
        done = replace(self, train=self.train.without_corrected(), valid=self.valid.without_corrected())
        return done._label(labeller, target, train, valid)

    def label_numbers(
        self, columns: str | Sequence[str] | Callable[[Path], Any], *, names: Sequence[str] | None = None
    ) -> LabelledT:
        """Label with numbers, for regression: ages, prices, angles.

        They are standardised by the training set's mean and standard deviation, so that columns of any unit count
        equally in the loss.

        Args:
            columns: A column's name or several; or a function from the item's path to a number or a list of them.
            names: What the numbers are called; None takes the columns' names, or "number".
        Raises:
            DataError: A value is not a number, or a column holds the same number in all training rows.
        """
        labeller, names = numbers_labeller(columns, names, self.train)

        train, valid = labeller(self.train), labeller(self.valid)
        return self._label(labeller, Numbers.standardised(names, train), train, valid)

    def _label(self, labeller: Labeller, target: Target, train: Sequence[Any], valid: Sequence[Any]) -> LabelledT:
        """Return the next stage; a test folder that came with the split is labelled too, where it can be."""
        train, valid = Labels.of(train, target.label_type), Labels.of(valid, target.label_type)
        for rows in (self.train, self.valid):
            check_can_be_relabelled(rows, target.kind)
        labellers.check_labelled(train, self.train)
        labellers.check_labelled(valid, self.valid)
        test = self.test
        if test is not None and (known := labellers.known_labels(target, labeller, test)) is not None:
            test = test.with_labels(known.column)
        return self._labelled(
            self.train.with_labels(train.column),
            self.valid.with_labels(valid.column),
            test,
            target,
            labeller,
        )


@explains_calls
@dataclass(frozen=True, repr=False)
class LabelledList(LabelledItems):
    """The inputs, split and labelled."""

    labeller: Labeller

    def add_test(self, items: ItemList[Any], *, labelled: bool = False) -> Self:
        """Add a test set.

        Args:
            items: Where the test inputs are.
            labelled: Label them as the other splits are, for a final score; else they are only predicted.
        Raises:
            DataError: `labelled`, and a label is not among the classes.
        """
        test = items.items
        if labelled:
            labels = Labels.of(self.labeller(test), self.target.label_type)
            labellers.check_seen(self.target, labels, test, "test")
            test = test.with_labels(labels.column)
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
        """Make a loader of each split; reads a few items at once, so that mistakes show now.

        Args:
            batch_size: Items a batch; "auto" lets the learner find the largest that fits into memory. Training batches
                have a number near it that makes all of them equally large: at most an eighth, or one item, more.
            workers: Processes that read items; None chooses for this machine.
            seed: Decides the order of items and every random augmentation.
            cache: "memory" or "disk" keep read items; "auto" keeps them in memory where they take little of it.
            balance: For rare classes: "sampling" draws their items more often, "loss" weighs them more.
            on_bad_item: "raise" stops at a broken file and names it, "skip" leaves it out with a warning.
        """
        options = LoaderOptions(batch_size, workers, seed, cache, balance, on_bad_item, self.target.contiguous)
        return DataBunch(self.ready(), options)
