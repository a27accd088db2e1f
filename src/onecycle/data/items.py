"""Where are the inputs? The first stage of the data block."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Generic, Self, TypeVar

import numpy as np
import pyarrow as pa

from onecycle.calls import ExplainingMeta, explains_calls
from onecycle.data import split
from onecycle.data.broken import broken_items, delete_files
from onecycle.data.corrected import apply_corrections
from onecycle.data.corrections import Corrections
from onecycle.data.labels import Labels
from onecycle.data.modality import Modality
from onecycle.data.preview import html_of_rows
from onecycle.data.rows import ITEM, Rows, check_level
from onecycle.data.skipped import Skipped, counted_reason
from onecycle.errors import DataError, counted, some, users_level
from onecycle.registry import lookup

SplitT = TypeVar("SplitT")


@explains_calls
@dataclass(frozen=True, repr=False)
class ItemList(ABC, Generic[SplitT], metaclass=ExplainingMeta):
    """The inputs, not yet split. `SplitT` is the modality's next stage, so that an editor completes what may follow."""

    items: Rows
    modality: Modality
    skipped: tuple[Skipped, ...] = ()

    @abstractmethod
    def _split(self, train: Rows, valid: Rows, test: Rows | None) -> SplitT:
        """Return the modality's split stage."""

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        text = f"{type(self).__name__}: {counted(len(self), 'item')}"
        if self.items.shards is not None:
            text += f" {self.items.shards}"
        if self.items.root is not None:
            text += f" in {self.items.root}"
        if self.skipped:
            counts = Counter(skipped.reason for skipped in self.skipped)
            text += (
                f" (left out: {', '.join(counted_reason(counts[why], why) for why in sorted(counts))}; see .skipped)"
            )
        return text

    def left_out(self) -> str:
        """Return what is not among the items, as a line for each reason with some names; "" where that is nothing."""
        names: dict[str, list[str]] = {}
        for skipped in self.skipped:
            names.setdefault(skipped.reason, []).append(skipped.path)
        return "\n".join(
            f"left out: {counted_reason(len(names[why]), why)}: {some(names[why], 3)}" for why in sorted(names)
        )

    def _repr_html_(self) -> str:
        return html_of_rows(repr(self), self.items)

    def __getitem__(self, index: Any) -> Any:
        """Return one item, for files its path; or for a slice, or a list of positions or booleans, a list of those."""
        found = self.items[index]
        return replace(self, items=found) if isinstance(found, Rows) else found

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __add__(self, other: Self) -> Self:
        """Return a list of these items and then the others.

        Raises:
            DataError: The two are lists of different things, or their columns do not fit.
        """
        if type(other) is not type(self) or other.modality != self.modality:
            raise DataError(
                f"{type(self).__name__} + {type(other).__name__}.",
                f"two lists of the same kind, before split_...(): another {type(self).__name__}.",
                f"make it with {type(self).__name__}.from_...(), in the same way as the first.",
            )
        return replace(self, items=self.items + other.items, skipped=self.skipped + other.skipped)

    @property
    def paths(self) -> list[Path]:
        """The paths of the items' files."""
        return self.items.paths

    def sample(self, count: int = 5, *, seed: int = 42) -> Self:
        """Return a list of some items, drawn at random."""
        drawn = np.random.default_rng(seed).permutation(len(self))[:count]
        return replace(self, items=self.items.take(np.sort(drawn)))

    def split_random(
        self, valid: float = 0.2, *, seed: int = 42, stratify: str | None = None, level: int = 1
    ) -> SplitT:
        """Hold back a random fraction for validation.

        Args:
            valid: Fraction of the items, above 0 and below 1.
            seed: The same seed gives the same split.
            stratify: "folder", or a column's name: hold back the same fraction of each of its values.
            level: With "folder", which folder: 1 the one that an item is in, 2 the one above it; as that of
                `label_from_folder`.
        """
        check_level(level)
        strata = None
        if stratify == "folder":
            strata = Labels.by_value(
                self.items.folders(), lambda path: "".join(PurePosixPath(path or "").parts[-level:][:1]), pa.string()
            ).column
        elif stratify is not None:
            strata = self.items.column(stratify)
        return self._apply(split.at_random(len(self), valid, seed, strata))

    def split_none(self) -> SplitT:
        """Train on all items, without validation, which a warning says: there is no measure of what was learned.

        Nothing can then tell overfitting from learning, so `KeepBest` and `EarlyStopping` can only watch
        "train_loss". It suits a last training on all data, whose options were found with a validation set.
        """
        warnings.warn(
            "split_none(): nothing is held back for validation, so nothing measures what is learned.",
            stacklevel=users_level(),
        )
        return self._split(self.items, self.items.take([]), None)

    def verify(self, *, delete: bool = False) -> Self:
        """Read every item, and return a list without those that cannot be read, which `skipped` names.

        Args:
            delete: Delete the files of broken items as well. They are gone then.
        """
        broken = broken_items(self.items, self.modality)
        if delete:
            delete_files(self.items, list(broken))
        kept = [place for place, name in enumerate(self.items.names()) if name not in broken]
        skipped = tuple(Skipped(name, reason) for name, reason in broken.items())
        return replace(self, items=self.items.take(kept), skipped=self.skipped + skipped)

    def corrected(self, corrections: Corrections | str | Path) -> Self:
        """Apply what people decided about items: those to be removed are left out, others get another label.

        What was done is printed, and what the corrections name that is not here. Labels are corrected when the items
        are labelled: classes and tags can be.

        Args:
            corrections: The decisions, or their file, as `onecycle review` writes it.
        Example:
            >>> corrections = oc.Corrections()
            >>> corrections.append("red/red_0.jpg", "relabel", "green")
            >>> corrections.append("red/red_1.jpg", "remove")
            >>> oc.ImageList.from_folder(photos).corrected(corrections).split_random(0.2).label_from_folder()
            Corrections: 1 relabelled, 1 removed, 0 kept.
            LabelledImages: 23 training, 6 validation
            Category, 3 classes: blue, green, red
        """
        read = corrections if isinstance(corrections, Corrections) else Corrections.read(corrections)
        applied = apply_corrections(self.items, read)
        print(applied)
        removed = tuple(Skipped(name, "removed by corrections") for name in applied.removed)
        return replace(self, items=applied.rows, skipped=self.skipped + removed)

    def split_by_folder(
        self,
        *,
        valid: str | Sequence[str] = "valid",
        train: str | Sequence[str] | None = None,
        test: str | Sequence[str] | None = None,
    ) -> SplitT:
        """Split by the name of a folder on the item's path, such as `train/`, `valid/` and `test/`.

        Args:
            valid: Name or names of the folders held back for validation.
            train: Folders to train on; None takes all that is neither `valid` nor `test`.
            test: Folders of the test set, if any.
        """
        return self._apply(split.by_folder(self.items.table[ITEM], train, valid, test))

    def split_by_column(self, column: str = "is_valid", *, valid: object = True, test: object = None) -> SplitT:
        """Split by a column: rows equal to `valid` are held back, rows equal to `test` (if given) are the test set."""
        return self._apply(split.by_value(self.items.column(column), column, valid, test))

    def split_by_shards(self, valid: str | Sequence[str]) -> SplitT:
        """Hold back whole shards, for a list that `from_shards` made.

        Args:
            valid: Names of the shards, or patterns such as `valid-*.tar` or `train-{090..099}.tar`.
        Raises:
            DataError: The list is not made of shards, or a name or pattern is none of theirs.
        """
        return self._apply(split.by_shards(self.items, valid))

    def split_with(self, valid: Self) -> SplitT:
        """Train on all of these items, and validate on those of another list of the same kind.

        Example:
            >>> images = oc.ImageList.from_folder(photos, include=["red", "blue"])
            >>> images.split_with(oc.ImageList.from_folder(photos, include=["green"]))
            SplitImages: 20 training, 10 validation
        """
        for line in valid.left_out().splitlines():
            print(f"Validation, {line}.")
        return self._split(self.items, valid.items, None)

    def split_from_file(self, path: str | Path) -> SplitT:
        """Hold back the items that a file names: relative path, file name, or name without suffix.

        Args:
            path: A text file with a name a line, or a CSV file with a header and a column of names.
        """
        return self._apply(split.by_names(self.items.names(), Path(path)))

    def split_by_index(self, valid: Sequence[int]) -> SplitT:
        """Hold back the items at these positions, counted from 0."""
        return self._apply(split.by_index(len(self), valid))

    def split_by(self, function: Callable[[Path], str | bool | None] | str) -> SplitT:
        """Split with a function from the item's path to its split.

        Args:
            function: Returns "train", "valid" or "test", or None to leave the item out; True means "valid", False
                "train". Or the name that such a function is registered under.
        Raises:
            DataError: The function fails, or returns anything else.
        Example:
            >>> oc.ImageList.from_folder(photos).split_by(lambda path: path.stem.endswith("7"))
            SplitImages: 27 training, 3 validation
        """
        chosen = lookup("split", function) if isinstance(function, str) else function
        return self._apply(split.by_function(self.items.located(), chosen))

    def split_by_group(
        self,
        by: str | Callable[[Path], str] | None = None,
        *,
        pattern: str | None = None,
        valid: float = 0.2,
        seed: int = 42,
    ) -> SplitT:
        """Hold back whole groups, such as all the frames of one person, so that none is in both splits.

        Args:
            by: A column's name, or a function from the item's path to the name of its group.
            pattern: Instead of `by`: a regular expression whose first group, found in the item's relative path, names
                the item's group, such as r"(.+)_\\d+" for anna_01.jpg.
            valid: Fraction of the items to hold back; met as closely as whole groups allow.
            seed: The same seed gives the same split.
        """
        if (by is None) == (pattern is None):
            raise DataError("split_by_group() takes by= or pattern=.", "one of them.", "name a column, or a pattern.")
        if pattern is not None:
            groups: split.Values = split.matches(self.items.table[ITEM], pattern)
        elif isinstance(by, str):
            groups = self.items.column(by)
        else:
            assert by is not None
            groups = [by(Path(path)) for path in self.items.located()]
        return self._apply(split.by_group(groups, valid, seed))

    def _apply(self, chosen: split.Split) -> SplitT:
        test = self.items.take(chosen.test) if len(chosen.test) else None
        return self._split(self.items.take(chosen.train), self.items.take(chosen.valid), test)
