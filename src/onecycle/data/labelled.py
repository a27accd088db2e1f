"""Inputs, split and labelled: what loaders are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from onecycle.data.modality import Modality
from onecycle.data.preview import html_of_rows
from onecycle.data.rows import LABEL, Rows
from onecycle.data.target import Target


@dataclass(frozen=True, repr=False)
class LabelledItems:
    """Labelled rows of each split, how inputs are read, and what is predicted.

    Attributes:
        train: Rows to train on.
        valid: Rows to validate on.
        test: Rows of the test set, labelled or not, or None.
        target: What is predicted.
        modality: How inputs are read.
    """

    train: Rows
    valid: Rows
    test: Rows | None
    target: Target
    modality: Modality

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {sizes(self.train, self.valid, self.test)}\n{self.target.summary}"

    def _repr_html_(self) -> str:
        return html_of_rows(repr(self), self.train)

    def ready(self) -> Self:
        """Return what loaders are made of; a modality does here what is left to do to the items."""
        return self


def sizes(train: Rows, valid: Rows, test: Rows | None) -> str:
    """Return how many items each split has."""
    text = f"{len(train):,} training, {len(valid):,} validation"
    if test is None:
        return text
    return f"{text}, {len(test):,} test items ({'labelled' if LABEL in test.table.column_names else 'unlabelled'})"
