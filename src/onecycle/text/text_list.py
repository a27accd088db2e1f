"""Where are the texts, and how are they split?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from onecycle.calls import explains_calls
from onecycle.data.character_encoding import check_encoding
from onecycle.data.corrections import Corrections
from onecycle.data.items import ItemList
from onecycle.data.label import SplitList
from onecycle.data.labellers import Labeller
from onecycle.data.remote import as_local
from onecycle.data.rows import CONTENT, ITEM, Rows
from onecycle.data.table_format import find_format
from onecycle.data.tables import as_table, missing_column
from onecycle.data.target import Target
from onecycle.errors import DataError
from onecycle.text.cleaning import RULE_NAMES, check_rules
from onecycle.text.labelled_texts import LabelledTexts, iterate_values
from onecycle.text.language_targets import MaskedToken, NextToken
from onecycle.text.text_columns import choose_text_column, refuse_file_names, text_columns
from onecycle.text.text_files import TEXT_SUFFIXES, CleanedTexts, clean_rows, find_texts, read_text_files
from onecycle.text.texts import Texts


@explains_calls
@dataclass(frozen=True, repr=False)
class SplitTexts(SplitList[LabelledTexts]):
    """Texts, split.

    Example:
        >>> TextList.from_texts(["good", "very good", "bad"]).split_by_index([1])
        SplitTexts: 2 training, 1 validation
    """

    modality: Texts

    def _labelled(
        self, train: Rows, valid: Rows, test: Rows | None, target: Target, labeller: Labeller
    ) -> LabelledTexts:
        return LabelledTexts(train, valid, test, target, self.modality, labeller)

    def label_for_language_model(self, masked: bool = False) -> LabelledTexts:
        """Label texts with their own tokens, to train a language model; no other label is needed.

        Args:
            masked: Mask some tokens, to be predicted from the tokens around them, as encoders are trained; otherwise
                each token is predicted from those before it, as generating models are trained.
        """
        target = MaskedToken() if masked else NextToken()
        return self._labelled(self.train, self.valid, self.test, target, lambda rows: [None] * len(rows))


@explains_calls
@dataclass(frozen=True, repr=False)
class TextList(ItemList[SplitTexts]):
    """Texts: found, read and cleaned.

    Example:
        >>> texts = TextList.from_texts(["A good film.", "A bad film."], ["pos", "neg"])
        >>> texts.items.table.column_names
        ['label', '#item', '#content']
    """

    modality: Texts

    def _split(self, train: Rows, valid: Rows, test: Rows | None) -> SplitTexts:
        return SplitTexts(train, valid, test, self.modality)

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        *,
        include: Sequence[str] | None = None,
        encoding: str | None = None,
        suffixes: Sequence[str] = TEXT_SUFFIXES,
        clean: Iterable[str] = RULE_NAMES,
        corrections: Corrections | str | Path | None = None,
    ) -> TextList:
        """Read all text files below a folder, such as aclImdb.

        Empty and hidden files, and notes such as README, are left out and listed in `skipped`; so are texts in folders
        called "unsup", which have no labels, unless `include` names them.

        Args:
            folder: The folder.
            include: Names of folders; only files in one of them, at any depth, are read. None reads everything.
            encoding: Character encoding of the files; None detects that of each, see `detect_encoding`.
            suffixes: Suffixes of text files in lower case; "" stands for files without one.
            clean: Names of the rules that clean each text, see `cleaning.RULES`.
            corrections: What people decided about the texts, see `corrected`, which lists from elsewhere have too.
        Raises:
            DataError: The folder does not exist, or contains no text.
        """
        check_encoding(encoding)
        root, rules = as_local(folder), check_rules(clean)
        names, skipped = find_texts(root, _as_sequence(include), _as_sequence(suffixes) or ())
        cleaned = read_text_files(root, names, encoding, rules)
        _check_not_empty(cleaned, f"All texts in {root} are empty.")
        table = pa.table({ITEM: pa.array(cleaned.names, pa.string()), CONTENT: cleaned.texts})
        found = cls(Rows(table, root), Texts(rules=rules), (*skipped, *cleaned.skipped))
        return found if corrections is None else found.corrected(corrections)

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        column: str | None = None,
        separator: str | None = None,
        encoding: str | None = None,
        header: bool = True,
        clean: Iterable[str] = RULE_NAMES,
    ) -> TextList:
        """Read texts from a column of a CSV file; the other columns can be used for splitting and labelling.

        Args:
            path: The CSV file.
            column: The column of texts; None takes the column with the most words in a row, and prints which where
                there are several.
            separator: Separator of the file's fields; None finds it.
            encoding: Character encoding of the file; None detects it.
            header: Whether the first line names the columns; without it they are "column_1", "column_2", ...
            clean: Names of the rules that clean each text.
        """
        path = as_local(path)
        rows = find_format(path, separator, encoding, header=header).read(path)
        return cls.from_table(rows, column=column, clean=clean)

    @classmethod
    def from_table(cls, table: Any, *, column: str | None = None, clean: Iterable[str] = RULE_NAMES) -> TextList:
        """Take texts from a column of a table: pandas, polars, Arrow, or any other that exports the Arrow C stream.

        Rows without a text are left out and listed in `skipped`, as "row 17", counted from 0.

        Args:
            table: The table.
            column: The column of texts; None takes the column with the most words in a row.
            clean: Names of the rules that clean each text.
        Raises:
            DataError: There is no such column, or no text in it.
        """
        rows, rules = as_table(table), check_rules(clean)
        name = _choose_column(rows) if column is None else column
        if name not in rows.column_names:
            raise missing_column(name, rows.column_names)
        texts = rows[name].cast(pa.large_string())
        refuse_file_names(name, texts)
        cleaned = clean_rows(iterate_values(texts), rules, len(texts))
        _check_not_empty(cleaned, f"Column {name!r} contains no texts.")
        with_text = pa.array([int(row.removeprefix("row ")) for row in cleaned.names], pa.int64())
        rows = rows.drop_columns([name]).take(with_text) if rows.num_columns > 1 else pa.table({})
        others = {other: rows[other] for other in rows.column_names}
        items = pa.table({**others, ITEM: pa.array(cleaned.names, pa.string()), CONTENT: cleaned.texts})
        return cls(Rows(items), Texts(rules=rules), tuple(cleaned.skipped))

    @classmethod
    def from_parquet(
        cls, path: str | Path | Sequence[str | Path], *, column: str | None = None, clean: Iterable[str] = RULE_NAMES
    ) -> TextList:
        """Read texts from a column of Parquet files; the other columns can be used for splitting and labelling.

        Where the files are called after splits, as `train-00000-of-00002.parquet` and `test-*` are, a column "split"
        holds "train", "valid" or "test".

        Args:
            path: A file, a folder, a pattern such as `train-*.parquet`, or several.
            column: As for `from_csv`.
            clean: Names of the rules that clean each text.
        """
        from onecycle.data.parquet_files import read_parquet  # Parquet takes a while to import

        return cls.from_table(read_parquet(path).table, column=column, clean=clean)

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], labels: Iterable[Any] | None = None, *, clean: Iterable[str] = RULE_NAMES
    ) -> TextList:
        """Take texts from a list.

        Args:
            texts: The texts.
            labels: A label for each, for `label_from_column("label")`.
            clean: Names of the rules that clean each text.
        Raises:
            DataError: There is no text, or a value that is not a text, or there are not as many labels as texts.
        """
        listed = [] if isinstance(texts, str) else list(texts)
        wrong = next((value for value in listed if not isinstance(value, str)), None)
        if not listed or wrong is not None:
            what = f"texts={texts!r}." if wrong is None else f"texts= contains {wrong!r} ({type(wrong).__name__})."
            raise DataError(what, "a list of at least one text.", "pass [text], or use from_folder().")
        columns: dict[str, Any] = {"text": pa.array(listed, pa.large_string())}
        if labels is not None:
            columns["label"] = labels = list(labels)
            if len(labels) != len(listed):
                raise DataError(
                    f"{len(listed):,} texts and {len(labels):,} labels.", "one label per text.", "pass as many of each."
                )
        return cls.from_table(pa.table(columns), column="text", clean=clean)


def _as_sequence(names: str | Sequence[str] | None) -> Sequence[str] | None:
    return (names,) if isinstance(names, str) else names


def _check_not_empty(cleaned: CleanedTexts, what: str) -> None:
    if not cleaned.names:
        raise DataError(
            what, "at least one text that is not empty.", "check the texts, or the rules that clean= names."
        )


def _choose_column(rows: pa.Table) -> str:
    chosen = choose_text_column(rows)
    if sum(one.score > 0 for one in text_columns(rows)) > 1:
        print(f"Texts: column {chosen}.")
    return chosen.name
