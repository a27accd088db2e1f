"""How a text file is a table: its encoding, and what separates its fields, found in the file itself."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from onecycle.data.candidates import Candidate, choose
from onecycle.data.character_encoding import check_encoding, detect_encoding
from onecycle.data.tables import check_separator, read_csv
from onecycle.errors import DataError

SEPARATORS = (",", ";", "\t", "|")
SAMPLE_BYTES, SAMPLE_ROWS = 2**18, 200
# What pandas writes above the column of its index.
INDEX_NAMES = ("", "unnamed: 0", "unnamed: 0.1", "index", "level_0")


@dataclass(frozen=True)
class TableFormat:
    """How a file of text is read as a table.

    Attributes:
        separator: What separates its fields.
        encoding: Its character encoding.
        header: Whether its first line names the columns.
    """

    separator: str = ","
    encoding: str = "utf-8"
    header: bool = True

    @property
    def options(self) -> dict[str, Any]:
        """Return what differs from the usual, as options of `from_csv`."""
        return {name: getattr(self, name) for name, usual in _USUAL.items() if getattr(self, name) != usual}

    def read(self, path: str | Path) -> pa.Table:
        """Read the file, with every value as text."""
        return read_csv(path, separator=self.separator, encoding=self.encoding, header=self.header)

    def __str__(self) -> str:
        header = "" if self.header else ", without a header"
        return f"fields separated by {self.separator!r}, {self.encoding}{header}"


_USUAL = {"separator": ",", "encoding": "utf-8", "header": True}


def find_format(
    path: str | Path, separator: str | None = None, encoding: str | None = None, *, header: bool = True
) -> TableFormat:
    """Return how a file is read: as asked for, and where nothing is asked for, as its content says.

    Raises:
        DataError: There is no such file, or two separators fit about as well.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"No such file: {path}.", "a CSV file with a header line.", "check the path.")
    check_encoding(encoding)
    separator = "\t" if separator == r"\t" else separator  # as one types it in a shell
    if separator is not None:
        check_separator(separator)
    encoding = encoding or _find_encoding(path)
    return TableFormat(separator or _find_separator(path, encoding), encoding, header)


def _find_encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(SAMPLE_BYTES)
        whole = head if len(head) < SAMPLE_BYTES else head.rpartition(b"\n")[0] or head
        found = detect_encoding(whole).removesuffix("-sig")
        if found != "utf-8":
            return found
        decoder = codecs.getincrementaldecoder("utf-8")()
        file.seek(0)
        try:  # Latin-1 may begin late in a file
            while block := file.read(2**22):
                decoder.decode(block)
        except UnicodeDecodeError:
            file.seek(0)
            return detect_encoding(file.read()).removesuffix("-sig")
    return found


def _find_separator(path: Path, encoding: str) -> str:
    """Return the separator that cuts the first rows into equally many fields, more than one; else the comma."""
    with path.open("rb") as file:
        text = file.read(SAMPLE_BYTES).decode(encoding, errors="replace").lstrip("\ufeff")
    candidates = [_candidate(text, separator) for separator in SEPARATORS]
    if not any(one.score for one in candidates):
        return ","
    question = f"What separates the fields of {path}?"
    return choose(question, candidates, expected="one separator in every row.", option="separator").name


def _candidate(text: str, separator: str) -> Candidate:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row][:SAMPLE_ROWS]
    except csv.Error:
        rows = []
    fields = len(rows[0]) if rows else 0
    if len(rows) > 1 and len(text) >= SAMPLE_BYTES // 2 and len(rows) < SAMPLE_ROWS:
        rows.pop()  # cut off by the end of the sample
    same = Counter(len(row) for row in rows)[fields] if fields > 1 else 0
    return Candidate(separator, same / max(len(rows), 1), f"{same:,} of {len(rows):,} rows have {fields} fields")


def is_index(name: str, values: pa.ChunkedArray) -> bool:
    """Return whether a column is the index that pandas writes: its name says nothing, and it counts the rows."""
    if name.strip().lower() not in INDEX_NAMES:
        return False
    numbers = [str(value) for value in values.to_pylist()]
    whole = all(number.removesuffix(".0").isdecimal() for number in numbers)
    return whole and len(set(numbers)) == len(numbers)


def no_header(name: str) -> DataError:
    """Return the error for a table whose first line is no header, since it has a value called `name`."""
    return DataError(
        f"The table seems to have no header: its first line has {name!r}, as other lines have.",
        "a first line that names the columns.",
        "pass header=False: the columns are then called 'column_1', 'column_2', ...",
    )
