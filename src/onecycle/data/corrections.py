"""What people decided about items: that a label is right, what it should be, or that the item should go."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import pyarrow as pa

from onecycle.data.preview import html_of_table
from onecycle.data.table_format import SEPARATORS, find_format
from onecycle.data.tables import as_table
from onecycle.disk import replacing, sync_folder
from onecycle.errors import DataError, counted, some, suggest
from onecycle.notebook import html_lines

Decision = Literal["keep", "relabel", "remove", "undo"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)
COLUMNS = ("item", "decision", "label", "time", "source")
SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])
PARQUET, CSV = ".parquet", ".csv"
_JOURNAL = "journal.sqlite"


class Judged(Protocol):
    """A journal, as `from_journal` needs it."""

    def corrections(self) -> pa.Table:
        """Return the last word on each input that was judged."""


class Corrections:
    """A table of decisions about items, one a row; of several about one item the last one counts.

    Its columns are texts: `item`, the path relative to the folder of the data, with "/", or what else the data calls
    the item; `decision`, "keep" for a label that was looked at and is right, "relabel", "remove", or "undo", which
    takes the decision before it back; `label`, the class, or the tags as a JSON list or as the data separates them;
    `time`, ISO 8601 in UTC; and `source`, who decided.

    Args:
        table: The decisions, of Arrow, pandas or polars; only `item` and `decision` are needed. None for none.
        path: The file that `append` keeps up to date; None keeps them in memory alone.

    Example:
        >>> corrections = oc.Corrections()
        >>> corrections.append("cats/1.jpg", "relabel", "dog")
        >>> corrections.append("cats/2.jpg", "keep")
        >>> corrections
        Corrections: 2 items: 1 kept, 1 relabelled
        >>> corrections.write("corrections.csv")
        >>> len(oc.Corrections.read("corrections.csv"))
        2
    """

    def __init__(self, table: Any = None, path: str | Path | None = None) -> None:
        self.table = SCHEMA.empty_table() if table is None else _checked(as_table(table), "The table")
        self.path = None if path is None else _known_kind(Path(path))
        self._lock = threading.Lock()

    @classmethod
    def read(cls, path: str | Path) -> Corrections:
        """Read a Parquet or CSV file, which `append` then keeps up to date.

        Raises:
            DataError: There is no such file, or it is no table of decisions.
        """
        return cls(_read(_known_kind(Path(path))), path)

    @classmethod
    def open(cls, path: str | Path) -> Corrections:
        """Read a file as `read` does; where there is none, `append` makes it."""
        return cls.read(path) if Path(path).exists() else cls(path=path)

    @classmethod
    def from_journal(cls, journal: Judged) -> Corrections:
        """Return what a journal knows the right label of; its items are the files of the kept inputs.

        Answers that are wrong without a word on what is right, or of which nobody could tell, are left out.
        """
        rows = [row for row in journal.corrections().to_pylist() if row["label"] is not None]
        decisions = [{"right": "keep", "wrong": "relabel"}[row["verdict"]] for row in rows]
        columns: list[list[str]] = [
            [row["path"] for row in rows], decisions, [label_text(row["label"]) for row in rows],
            [row["time"] for row in rows], ["serve"] * len(rows),
        ]  # fmt: skip
        return cls(pa.table([pa.array(column, pa.string()) for column in columns], SCHEMA))

    def write(self, path: str | Path) -> None:
        """Write all of them to a Parquet or CSV file, in one step: it is the old file or the new one, never half.

        Raises:
            DataError: The file's name ends in neither.
        """
        _write(self.table, _known_kind(Path(path)))

    def append(
        self,
        item: str | Sequence[str],
        decision: Decision,
        label: str | Sequence[str] = "",
        *,
        source: str = "review",
        time: datetime | None = None,
    ) -> None:
        """Add a decision; where there is a file, it is on the disk when this returns, whenever the process dies.

        Several threads and processes may add to one file.

        Args:
            item: The item, or several for the same decision.
            decision: "keep", "relabel", "remove" or "undo".
            label: For "relabel": the class, or a list of tags, `[]` for none.
            source: Who decided.
            time: When; None is now.
        Raises:
            DataError: There is no such item or decision, a label with another decision than "relabel", or that without.
        """
        items, text = _checked_items(item), _checked_text(label)
        _check_takes(decision, text)
        moment = (time or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="microseconds")
        rows = [dict(zip(COLUMNS, (name, decision, text, moment, source), strict=True)) for name in items]
        added = _checked(pa.Table.from_pylist(rows, SCHEMA), "What is to be added")
        with self._lock, self._alone():
            if self.path is not None and self.path.exists():
                self.table = _read(self.path)  # another process may have added to it
            self.table = pa.concat_tables([self.table, added])
            if self.path is not None:
                _write(self.table, self.path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from adding to the file while the context lasts."""
        if self.path is None:
            yield
            return
        from filelock import FileLock

        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            yield

    def standing(self) -> pa.Table:
        """Return the decision that counts for each item, in the order in which they were made."""
        made: dict[str, list[tuple[int, str]]] = {}
        pairs = zip(self.table["item"].to_pylist(), self.table["decision"].to_pylist(), strict=True)
        for row, (item, decision) in enumerate(pairs):
            of_item = made.setdefault(item, [])
            if decision == "undo":
                del of_item[-1:]
            else:
                of_item.append((row, decision))
        return self.table.take(pa.array(sorted(rows[-1][0] for rows in made.values() if rows), pa.int64()))

    def counts(self) -> dict[str, int]:
        """Return how many items are kept, relabelled and removed."""
        made = Counter(self.standing()["decision"].to_pylist())
        return {said: made[name] for name, said in SAID.items()}

    def __len__(self) -> int:
        return len(self.standing())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        """Return all decisions, also those that count no longer."""
        return self.table

    def __repr__(self) -> str:
        said = [f"{count:,} {name}" for name, count in self.counts().items() if count]
        return f"Corrections: {counted(len(self), 'item')}" + (f": {', '.join(said)}" if said else "")

    def _repr_html_(self) -> str:
        return html_lines(repr(self)) + html_of_table(self.standing(), "item")


SAID: dict[str, str] = {"keep": "kept", "relabel": "relabelled", "remove": "removed"}


def label_text(label: Any) -> str:
    """Return a label as the table holds it.

    Example:
        >>> label_text("cat"), label_text(["cat", "small"])
        ('cat', '["cat", "small"]')
    """
    return label if isinstance(label, str) else json.dumps(list(label), ensure_ascii=False)


def _checked_items(item: Any) -> list[str]:
    items = [item] if isinstance(item, str) else item
    if not isinstance(items, Sequence) or any(not isinstance(name, str) or not name.strip() for name in items):
        raise DataError(
            f"A decision about the item {item!r}.", "the name of an item, or a list of names.",
            'pass its path relative to the folder of the data, such as "cats/1.jpg".',
        )  # fmt: skip
    return list(items)


def _checked_text(label: Any) -> str:
    tags = [label] if isinstance(label, str) else label
    if not isinstance(tags, Sequence) or not all(isinstance(tag, str) for tag in tags):
        raise DataError(f"The label {label!r}.", "a class, or a list of tags, as texts.", f"pass {str(label)!r}.")
    return label_text(label)


def _check_takes(decision: str, text: str) -> None:
    """Refuse a label with a decision that takes none, and "relabel" without one."""
    if decision == "relabel" and not text.strip():
        raise DataError(
            'The decision "relabel" without a label.', "the class that is right, or a list of tags.",
            'pass label=..., [] where no tag applies, or decide "remove".',
        )  # fmt: skip
    if text and decision == "keep":
        raise DataError(
            f'A label, {text!r}, with the decision "keep", which says that the present one is right.',
            'a label where the decision is "relabel".', 'leave out the label, or decide "relabel".',
        )  # fmt: skip
    if text and decision in ("remove", "undo"):
        raise DataError(
            f"A label, {text!r}, with the decision {decision!r}.", 'a label where the decision is "relabel".',
            "leave out the label.",
        )  # fmt: skip


def _known_kind(path: Path) -> Path:
    expected = "a file whose name ends in .parquet or .csv."
    if path.is_dir() and (path / _JOURNAL).exists():
        raise DataError(
            f"{path} is the folder of a journal.", expected, f"pass oc.Journal({str(path)!r}).",
            shell_fix=f"pass --journal {path}.",
        )  # fmt: skip
    if path.is_dir():
        raise DataError(
            f"{path} is a folder.", expected, f"pass the file of corrections, such as {path / 'corrections.parquet'}."
        )
    if path.suffix.lower() not in (PARQUET, CSV):
        other = f"call it {path.with_suffix(PARQUET).name}."
        if path.exists():  # another name makes no other file of it
            other = f"save it as {path.with_suffix(CSV).name} with the program that wrote it."
        raise DataError(f"Corrections in {path}.", expected, other)
    return path


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise DataError(
            f"No such file: {path}.", "a table of corrections, as onecycle review or Corrections.write() write it.",
            "check the path.",
        )  # fmt: skip
    if path.suffix.lower() == CSV:
        return _checked(_read_csv(path), str(path))
    from pyarrow import parquet  # takes a while to import

    try:
        return _checked(parquet.read_table(path, partitioning=None), str(path))
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} cannot be read: {error}.", "a table of corrections in Parquet.", "write it again, or pass a copy."
        ) from error


def _read_csv(path: Path) -> pa.Table:
    """Read a CSV file whose header says what separates its fields: between the names of the columns."""
    try:
        with path.open("rb") as file:
            header = file.readline().decode(errors="replace").lstrip("\ufeff")
        if not header.strip() and not path.read_bytes().strip():
            raise DataError(
                f"{path} is empty.", "a table with a header line: item,decision,label.",
                "write the corrections again, or delete the file.",
            )  # fmt: skip
        known = {one: len(set(COLUMNS) & {name.strip('" \r\n') for name in header.split(one)}) for one in SEPARATORS}
        return find_format(path, max(known, key=known.__getitem__)).read(path)
    except DataError as error:
        if "separator" not in error.fix:
            raise
        raise DataError(
            error.what, "a table with a header line: item,decision,label.", "open it in an editor, and write it again."
        ) from error


def _checked(table: pa.Table, what: str) -> pa.Table:
    """Return decisions with all columns, as texts.

    Raises:
        DataError: A column is missing, or a decision unknown.
    """
    if lacking := [name for name in COLUMNS[:2] if name not in table.column_names]:
        raise DataError(
            f"{what} has no column {some(map(repr, lacking))}; it has {some(table.column_names, 12) or 'none'}.",
            f"the columns {', '.join(COLUMNS)}, of which item and decision are needed.", "rename the columns.",
        )  # fmt: skip
    empty = pa.array([""] * len(table), pa.string())
    columns = [table[name].cast(pa.string()).fill_null("") if name in table.column_names else empty for name in COLUMNS]
    unknown = sorted(set(columns[1].to_pylist()) - set(DECISIONS))
    if unknown:
        raise DataError(
            f"{what} has the decision {some(map(repr, unknown))}.", f"one of: {', '.join(DECISIONS)}.",
            f"write one of these.{suggest(unknown[0], DECISIONS)}",
        )  # fmt: skip
    return pa.table(columns, SCHEMA)


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        if path.suffix.lower() == CSV:
            import pyarrow.csv as csv

            csv.write_csv(table, part)
        else:
            from pyarrow import parquet

            parquet.write_table(table, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
    sync_folder(path.parent)
