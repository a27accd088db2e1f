"""Texts from folders, tables and lists: how they become items, and how these are split and labelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from onecycle.data.categories import MultiCategory
from onecycle.data.numbers import Numbers
from onecycle.data.rows import CONTENT, ITEM
from onecycle.errors import DataError
from onecycle.text.language_targets import MaskedToken, NextToken
from onecycle.text.text_list import TextList


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        for label, word in (("pos", "good"), ("neg", "bad")):
            for number in range(3):
                write(tmp_path / split / label / f"{number}_5.txt", f"A {word} film,<br />number {number}.")
    write(tmp_path / "train/unsup/0_0.txt", "Who knows?")
    return tmp_path


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def contents(items: TextList) -> list[str]:
    return list(items.items.table[CONTENT].to_pylist())


class TestFolders:
    def test_texts_are_read_and_cleaned(self, folder: Path) -> None:
        items = TextList.from_folder(folder)
        assert len(items) == 12
        assert items.items.names()[0] == "test/neg/0_5.txt"
        assert contents(items)[0] == "A bad film,\nnumber 0."
        assert repr(items).endswith("(left out: 1 in unsup/; see .skipped)")
        assert contents(TextList.from_folder(folder, clean=[]))[0] == "A bad film,<br />number 0."

    def test_texts_are_labelled_like_images(self, folder: Path) -> None:
        labelled = TextList.from_folder(folder).split_by_folder(valid="test").label_from_folder()
        assert repr(labelled).splitlines() == [
            "LabelledTexts: 6 training, 6 validation",
            "Category, 2 classes: neg, pos",
        ]

    def test_names_may_be_one_string(self, folder: Path) -> None:
        assert len(TextList.from_folder(folder, include="unsup", suffixes=".txt")) == 1

    def test_a_given_encoding_is_used(self, tmp_path: Path) -> None:
        write(tmp_path / "a.txt", "café".encode("cp1252"))
        assert contents(TextList.from_folder(tmp_path, encoding="cp1251")) == ["cafй"]
        with pytest.raises(DataError, match="Unknown encoding 'utf8000'"):
            TextList.from_folder(tmp_path, encoding="utf8000")

    def test_empty_texts_alone_are_an_error(self, tmp_path: Path) -> None:
        write(tmp_path / "void" / "a.txt", "")
        with pytest.raises(DataError, match=r"All texts in .*void are empty.\nExpected at least one text"):
            TextList.from_folder(tmp_path / "void")


class TestTables:
    @pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "arrow"])
    def test_the_column_with_the_longest_texts_is_taken(self, make: type) -> None:
        items = TextList.from_table(make({"id": ["a", "b"], "review": ["a long text", "another"], "stars": [1.5, 2.0]}))
        assert contents(items) == ["a long text", "another"]
        assert items.items.names() == ["row 0", "row 1"]
        assert items.items.column("stars").to_pylist() == [1.5, 2.0]

    def test_rows_without_text_are_left_out_and_listed(self) -> None:
        table = pa.table({"text": ["a b", None, "", "c d"], "label": ["x", "y", "x", "y"]})
        items = TextList.from_table(table)
        assert (items.items.names(), items.items.column("label").to_pylist()) == (["row 0", "row 3"], ["x", "y"])
        assert [(entry.path, entry.reason) for entry in items.skipped] == [
            ("row 1", "empty texts"),
            ("row 2", "empty texts"),
        ]

    def test_a_csv_in_any_encoding_with_a_document_of_5_mb(self, tmp_path: Path) -> None:
        write(tmp_path / "a.csv", f'text,label\n"café, {"word " * 1_000_000}",x\nb,y\n'.encode("cp1252"))
        items = TextList.from_csv(tmp_path / "a.csv")
        assert contents(items)[0].startswith("café, word")
        assert len(contents(items)[0]) == 5_000_005

    def test_rows_without_a_label_are_named(self, tmp_path: Path) -> None:
        write(
            tmp_path / "a.csv", "text,label\n" + "".join(f"some text {n},{'ab'[n % 2]}\n" for n in range(20)) + "c,\n"
        )
        with pytest.raises(DataError, match=r"1 of 21 rows has no label in column 'label': row 20"):
            TextList.from_csv(tmp_path / "a.csv").split_by_index([0, 1]).label_from_column("label")

    def test_tags_and_numbers_can_be_labels(self) -> None:
        table = {"text": ["a b c", "d e f", "g h i"], "tags": ["x y", "x", "y"], "age": [1.0, 2.0, 4.0]}
        split = TextList.from_table(pa.table(table)).split_by_index([2])
        assert isinstance(split.label_from_column("tags", delimiter=" ").target, MultiCategory)
        assert isinstance(split.label_numbers("age").target, Numbers)

    def test_tables_without_texts_are_errors(self) -> None:
        with pytest.raises(DataError, match=r"There is no column 'txet'.\n.*\nFix: .*Did you mean 'text'"):
            TextList.from_table(pa.table({"text": ["a"]}), column="txet")
        with pytest.raises(DataError, match=r"no column of texts, only n.\nExpected a column of texts"):
            TextList.from_table(pa.table({"n": [1]}))
        with pytest.raises(DataError, match=r"Column 'text' contains no texts"):
            TextList.from_table(pa.table({"text": ["", " "]}))
        for column in (None, "file"):
            with pytest.raises(
                DataError, match=r"Column 'file' holds names of files, such as 1.txt, b/2.md and 6 more, not"
            ):
                TextList.from_table(pa.table({"file": ["1.txt", "b/2.md"] * 4, "label": ["a", "b"] * 4}), column=column)


class TestLists:
    @pytest.mark.parametrize(
        ("texts", "labels", "what"),
        [([], None, r"texts=\[\]"), ("a", None, "texts='a'"), (["a", 1], None, r"texts= contains 1 \(int\)"),
         (["a"], ["x", "y"], "1 texts and 2 labels.\nExpected one label per text")],
    )  # fmt: skip
    def test_values_that_are_not_texts_are_errors(self, texts: list[str], labels: list[str] | None, what: str) -> None:
        with pytest.raises(DataError, match=what):
            TextList.from_texts(texts, labels)

    def test_the_label_of_a_language_model_is_the_text_itself(self) -> None:
        split = TextList.from_texts(["a", "b"]).split_by_index([1])
        assert type(split.label_for_language_model().target) is NextToken
        assert type(split.label_for_language_model(masked=True).target) is MaskedToken


def test_items_are_arrow_columns() -> None:
    """There is no Python object per document: a million of them are two columns."""
    table = pa.table({"text": pa.array(["a short text"] * 50_000)})
    items = TextList.from_table(table)
    assert items.items.table.column_names == [ITEM, CONTENT]
    assert items.items.table.nbytes < 50_000 * 40
    split = items.split_random(0.1)
    assert len(split.train) == 45_000
    assert np.unique(split.train.table[ITEM].to_numpy()).size == 45_000
