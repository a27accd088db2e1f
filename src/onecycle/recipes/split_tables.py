"""A table for each split: train.csv beside valid.csv and test.csv, each with rows of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from onecycle.data.label_values import tags_of
from onecycle.data.split_names import ROLES, role_of
from onecycle.errors import DataError, counted, some
from onecycle.recipes.found_tables import TABLES, tables_for
from onecycle.recipes.label_tables import LabelTable, read_table
from onecycle.recipes.listing import Listing, existing_path
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.pipeline import Call

_ROLE_WORDS = re.compile("|".join(f"(?<![a-z]){name}(?![a-z])" for names in ROLES.values() for name in names))


@dataclass(frozen=True)
class TableItems:
    """The items of a table.

    Attributes:
        call: The call that lists them.
        keys: What tells each apart, such as its path; None where there is nothing.
    """

    call: Call
    keys: Sequence[str | None]


@dataclass(frozen=True)
class Learned:
    """The table that is learned from.

    Attributes:
        table: Its rows.
        keys: What tells its items apart.
        labels: Its columns of labels.
        label: The call that labels.
        read: Returns the items of another table of the same kind, for "valid" or "test".
    """

    table: LabelTable
    keys: Sequence[str | None]
    labels: Sequence[str]
    label: Call
    read: Callable[[LabelTable, str], TableItems]

    def knows_labels_of(self, other: LabelTable) -> bool:
        """Return whether each row of another table is labelled, with nothing but labels of this one."""
        if not set(self.labels) <= set(other.table.column_names):
            return False
        tags = self.label.options.get("classes") == "all"
        if not tags and any(len(other.values(name)) < other.table.num_rows for name in self.labels):
            return False
        return self.label.name != "label_from_column" or self._words(other) <= self._words(self.table)

    def _words(self, table: LabelTable) -> set[str]:
        values = table.counts(self.labels[0])
        if self.label.options.get("classes") != "all":
            return set(values)
        return {tag for value in values for tag in tags_of(value, self.label.options.get("delimiter"))}


@dataclass(frozen=True)
class _Other:
    """Another table of the same kind.

    Attributes:
        name: Its path relative to the data.
        table: Its rows.
        items: Its items.
        shared: How many of these are in the first table, too.
    """

    name: str
    table: LabelTable
    items: TableItems
    shared: int

    def __str__(self) -> str:
        return f"{self.name} ({counted(self.table.table.num_rows, 'row')})"


def find_split_tables(
    learned: Learned, data: Listing, options: FineTuneOptions, findings: list[str], *, is_split: bool
) -> tuple[Call | None, Call | None]:
    """Return the calls that split by another table and add one as a test set; None where no table is there for it.

    Args:
        learned: The table that is learned from.
        data: The files beside it.
        options: `valid=` and `test=` may name a table, too.
        findings: What is chosen is added.
        is_split: Whether the table itself, or an option, says what validates.
    Raises:
        DataError: Two tables are for validation, or some items are in two.
    """
    given = _given_table(options.valid, data)
    if role_of(learned.table.path.stem) in ("valid", "test") and given is None:
        return None, None
    split: Call | None = None
    if given is not None or not is_split:
        split = _validating(learned, _choose("valid", given, learned, data, options, findings), findings)
    is_split = is_split or split is not None
    other = _choose("test", _given_table(options.test, data), learned, data, options, findings)
    if other is None:
        return split, None
    if other.shared:
        findings.append(f"left out: {other}, a table for testing: {other.shared:,} of its items are trained on")
        return split, None
    known = learned.knows_labels_of(other.table)
    if known and not is_split and options.test is None:
        trained = learned.table.path.name
        findings.append(f"split: {trained} trains, {other} validates, since it has the same labels")
        return Call("split_with", (other.items.call,)), None
    findings.append(f"test set: {other}{'' if known else ', without labels'}")
    return split, Call("add_test", (other.items.call,), {"labelled": True} if known else {})


def _validating(learned: Learned, other: _Other | None, findings: list[str]) -> Call | None:
    """Return the call that validates on a table, whose items are others or all among the first table's."""
    if other is None:
        return None
    trained = learned.table.path.name
    if other.shared == 0:
        findings.append(f"split: {trained} trains, {other} validates")
        return Call("split_with", (other.items.call,))
    if other.shared == other.table.table.num_rows:
        findings.append(f"split: {other} names the rows of {trained} that validate")
        return Call("split_from_file", (str(other.table.path),))
    raise DataError(
        f"{other.shared:,} of the items of {other} are in {trained} too.",
        "a table for validation with other items, or with nothing but items of the first.",
        f"remove its rows from {trained}, or pass valid=0.2 to leave {other.name} out.",
    )


def _choose(
    role: str, given: Path | None, learned: Learned, data: Listing, options: FineTuneOptions, findings: list[str]
) -> _Other | None:
    """Return the table for a split: the one that is named, or that is called so and has the columns.

    Raises:
        DataError: Two are called so.
    """
    if given is not None:
        try:
            other = _read(given, role, learned, data, options)
        except DataError:  # a list of names without a header
            if role == "test":
                raise
            return None
        whole = set(learned.labels) <= set(other.table.table.column_names)
        return other if role == "test" or whole or other.shared == other.table.table.num_rows else None
    if getattr(options, role) is not None:
        return None
    names = [name for name in tables_for(data, role) if (data.root / name).resolve() != learned.table.path.resolve()]
    twins = [name for name in names if _unsplit(name) == _unsplit(_relative(learned.table.path, data))]
    found = []
    for name in twins or names:
        try:
            other = _read(data.root / name, role, learned, data, options)
        except DataError as error:
            findings.append(f"left out: {name}: {error.what}")
            continue
        if role == "test" or set(learned.labels) <= set(other.table.table.column_names):
            found.append(other)
        else:
            missing = [repr(label) for label in learned.labels if label not in other.table.table.column_names]
            findings.append(f"left out: {name}, a table for validation: it has no column {some(missing, 3)}")
    if len(found) > 1:
        what = "validation" if role == "valid" else "testing"
        raise DataError(
            f"{len(found)} tables of {data.root} are for {what}: {some(found, 4)}.", "one of them.",
            f"pass {' or '.join(f'{role}={other.name!r}' for other in found[:4])}.",
        )  # fmt: skip
    return found[0] if found else None


def _read(path: Path, role: str, learned: Learned, data: Listing, options: FineTuneOptions) -> _Other:
    table = read_table(path, replace(options, separator=None, encoding=None))
    items = learned.read(table, role)
    known = {key for key in learned.keys if key is not None}
    return _Other(_relative(path, data), table, items, sum(key in known for key in items.keys))


def _given_table(given: object, data: Listing) -> Path | None:
    """Return the table that an option names; None where it names something else."""
    if not isinstance(given, str | Path):
        return None
    path = existing_path(given, data.root)
    return path if path.suffix.lower() in TABLES and path.is_file() else None


def _relative(path: Path, data: Listing) -> str:
    whole, root = path.resolve(), data.root.resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(path)


def _unsplit(name: str) -> tuple[str, str]:
    """Return the folder and the name of a table without the words that name a split."""
    path = PurePosixPath(name.casefold())
    return _ROLE_WORDS.sub("", str(path.parent)), _ROLE_WORDS.sub("", path.stem)
