"""Where are the texts, and how are they split?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from onecycle.data.items import CONTENT, ITEM, ItemList, Part, as_table, missing_column, read_csv
from onecycle.data.label import Labeller, SplitList
from onecycle.data.target import Target
from onecycle.errors import DataError
from onecycle.text.cleaning import NAMES, check_rules
from onecycle.text.encoding import check_encoding, encoding_of
from onecycle.text.files import SUFFIXES, Reading, find_texts, read_files, read_rows
from onecycle.text.labelled import LabelledTexts as LabelledTexts
from onecycle.text.labelled import values
from onecycle.text.language import MaskedToken, NextToken
from onecycle.text.texts import Texts


@dataclass(frozen=True, repr=False)
class SplitTexts(SplitList[LabelledTexts]):
    """Texts, split."""

    modality: Texts

    def _labelled(
        self, train: Part, valid: Part, test: Part | None, target: Target, labeller: Labeller
    ) -> LabelledTexts:
        return LabelledTexts(train, valid, test, target, self.modality, labeller)

    def label_for_language_model(self, masked: bool = False) -> LabelledTexts:
        """Label texts with their own tokens, so that a model learns the language; no other label is needed.

        Args:
            masked: Hide some tokens, to be found from those around them, as encoders learn; else each next token is to
                be found from those before it, as models that write learn.
        """
        target = MaskedToken() if masked else NextToken()
        return self._labelled(self.train, self.valid, self.test, target, lambda part: [None] * len(part))


@dataclass(frozen=True, repr=False)
class TextList(ItemList[SplitTexts]):
    """Texts, found, read and cleaned."""

    modality: Texts

    def _split(self, train: Part, valid: Part, test: Part | None) -> SplitTexts:
        return SplitTexts(train, valid, test, self.modality)

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        *,
        include: Sequence[str] | None = None,
        encoding: str | None = None,
        suffixes: Sequence[str] = SUFFIXES,
        clean: Iterable[str] = NAMES,
    ) -> TextList:
        """Read all text files below a folder, such as aclImdb.

        Empty and hidden files, and notes such as README, are left out and listed in `skipped`; so are texts in a folder
        called "unsup", which have no labels, unless `include` names it.

        Args:
            folder: The folder.
            include: Names of folders; only what lies in one of them, at any depth, is read. None reads everything.
            encoding: How bytes are to be read; None finds it out for each file, see `encoding_of`.
            suffixes: Of text files, in small letters; "" is for files without one.
            clean: Names of the rules that clean each text, see `cleaning.RULES`.
        Raises:
            DataError: There is no such folder, or no text in it.
        """
        check_encoding(encoding)
        root, rules = Path(folder), check_rules(clean)
        names, skipped = find_texts(root, _listed(include), _listed(suffixes) or ())
        reading = read_files(root, names, encoding, rules)
        _check_some(reading, f"All texts in {root} are empty.")
        table = pa.table({ITEM: pa.array(reading.names, pa.string()), CONTENT: reading.texts})
        return cls(Part(table, root), Texts(rules=rules), (*skipped, *reading.skipped))

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        column: str | None = None,
        separator: str = ",",
        encoding: str | None = None,
        clean: Iterable[str] = NAMES,
    ) -> TextList:
        """Take the texts of a CSV's column; the other columns stay at hand for splitting and labelling.

        Args:
            path: The CSV, with a header line.
            column: Which column holds the texts; None takes the one whose texts are the longest on average.
            separator: What separates the CSV's fields.
            encoding: How its bytes are to be read; None finds it out.
            clean: Names of the rules that clean each text.
        """
        check_encoding(encoding)
        if encoding is None and Path(path).is_file():
            encoding = encoding_of(Path(path).read_bytes())
        rows = read_csv(path, separator=separator, encoding=encoding or "utf-8")
        return cls.from_table(rows, column=column, clean=clean)

    @classmethod
    def from_table(cls, table: Any, *, column: str | None = None, clean: Iterable[str] = NAMES) -> TextList:
        """Take the texts of a table's column: pandas, polars, Arrow, anything that exports the Arrow C stream.

        Rows without a text are left out and listed in `skipped`, as "row 17", counted from 0.

        Args:
            table: The table.
            column: Which column holds the texts; None takes the one whose texts are the longest on average.
            clean: Names of the rules that clean each text.
        Raises:
            DataError: There is no such column, or no text in it.
        """
        rows, rules = as_table(table), check_rules(clean)
        name = _longest_column(rows) if column is None else column
        if name not in rows.column_names:
            raise missing_column(name, rows.column_names)
        texts = rows[name].cast(pa.large_string())
        reading = read_rows(values(texts), rules, len(texts))
        _check_some(reading, f"Column {name!r} holds no texts.")
        kept = pa.array([int(found[4:]) for found in reading.names], pa.int64())
        rows = rows.drop_columns([name]).take(kept) if rows.num_columns > 1 else pa.table({})
        others = {one: rows[one] for one in rows.column_names}
        items = pa.table({**others, ITEM: pa.array(reading.names, pa.string()), CONTENT: reading.texts})
        return cls(Part(items), Texts(rules=rules), tuple(reading.skipped))

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], labels: Iterable[Any] | None = None, *, clean: Iterable[str] = NAMES
    ) -> TextList:
        """Take these texts.

        Args:
            texts: The texts.
            labels: A label each, for `label_from_column("label")`.
            clean: Names of the rules that clean each text.
        """
        held = [] if isinstance(texts, str) else list(texts)
        odd = next((one for one in held if not isinstance(one, str)), None)
        if not held or odd is not None:
            what = f"texts={texts!r}." if odd is None else f"texts= holds {odd!r} ({type(odd).__name__})."
            raise DataError(what, "a list of at least one text.", "pass [text], or use from_folder().")
        columns: dict[str, Any] = {"text": pa.array(held, pa.large_string())}
        if labels is not None:
            columns["label"] = given = list(labels)
            if len(given) != len(held):
                raise DataError(
                    f"{len(held):,} texts and {len(given):,} labels.", "one label a text.", "pass as many of each."
                )
        return cls.from_table(pa.table(columns), column="text", clean=clean)


def _listed(names: str | Sequence[str] | None) -> Sequence[str] | None:
    return (names,) if isinstance(names, str) else names


def _check_some(reading: Reading, what: str) -> None:
    if not reading.names:
        raise DataError(what, "at least one text with something in it.", "check the files, or how they are cleaned.")


def _longest_column(rows: pa.Table) -> str:
    """Return the column whose texts are the longest on average."""
    means = {
        field.name: pc.mean(pc.utf8_length(rows[field.name])).as_py() or 0.0
        for field in rows.schema
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    }
    if not means:
        raise DataError(
            f"The table has no column of texts, only {', '.join(rows.column_names) or 'none at all'}.",
            "a column of texts.",
            "pass column=.",
        )
    longest: str = max(means, key=lambda name: means[name])
    return longest
