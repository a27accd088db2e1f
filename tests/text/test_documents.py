"""Texts from folders, tables and lists: what is read, what is left out, how it is split and labelled."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from onecycle.data.items import CONTENT, ITEM
from onecycle.data.numbers import Numbers
from onecycle.data.target import MultiCategory
from onecycle.errors import DataError
from onecycle.text.documents import TextList

NASTY = ["x", "word", "שלום עולם, سلام", "👨‍👩‍👧 😀😀😀 👍🏽", "nu\0ll", "\x01\x02?", "tab\tand\r\nnew line", "z" * 500]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """aclImdb's layout, with all that comes with it."""
    for side in ("train", "test"):
        for label, word in (("pos", "good"), ("neg", "bad")):
            for number in range(3):
                write(tmp_path / side / label / f"{number}_5.txt", f"A {word} film,<br />number {number}.")
        write(tmp_path / side / f"urls_{label}.txt", "http://nowhere")
    write(tmp_path / "train/unsup/0_0.txt", "Who knows?")
    write(tmp_path / "README", "notes")
    write(tmp_path / "train/labeledBow.feat", "1 2 3")
    write(tmp_path / "train/pos/.hidden.txt", "hidden")
    return tmp_path


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def contents(items: TextList) -> list[str]:
    return list(items.items.table[CONTENT].to_pylist())


class TestFolders:
    def test_texts_are_read_and_cleaned_and_all_else_is_listed(self, folder: Path) -> None:
        items = TextList.from_folder(folder)
        assert len(items) == 12
        assert items.items.names()[0] == "test/neg/0_5.txt"
        assert contents(items)[0] == "A bad film,\nnumber 0."
        assert {entry.path: entry.reason for entry in items.skipped} == {
            "README": "notes about the data",
            "test/urls_neg.txt": "notes about the data",
            "train/urls_neg.txt": "notes about the data",
            "train/labeledBow.feat": "other files",
            "train/pos/.hidden.txt": "hidden",
            "train/unsup/0_0.txt": "in unsup/",
        }

    def test_it_is_labelled_as_images_are(self, folder: Path) -> None:
        labelled = TextList.from_folder(folder).split_by_folder(valid="test").label_from_folder()
        assert repr(labelled).splitlines() == [
            "LabelledTexts: 6 training, 6 validation",
            "Category, 2 classes: neg, pos",
        ]

    def test_include_names_folders_at_any_depth(self, folder: Path) -> None:
        assert len(TextList.from_folder(folder, include=["train"])) == 6
        assert len(TextList.from_folder(folder, include=["train", "unsup"])) == 7
        assert TextList.from_folder(folder, include=["unsup"]).items.names() == ["train/unsup/0_0.txt"]

    def test_mixed_encodings_are_read_each_in_its_own_and_told(self, tmp_path: Path) -> None:
        write(tmp_path / "a.txt", "café".encode("cp1252"))
        write(tmp_path / "b.txt", "café".encode())
        write(tmp_path / "c.txt", "café".encode("utf-16"))
        with pytest.warns(UserWarning, match=r"not UTF-8 were read 1 as cp1252; pass encoding= if that is wrong"):
            assert contents(TextList.from_folder(tmp_path)) == ["café"] * 3
        assert contents(TextList.from_folder(tmp_path, encoding="cp1251"))[0] == "cafй"

    def test_nasty_files_are_read_or_listed(self, tmp_path: Path) -> None:
        for number, text in enumerate(NASTY):
            write(tmp_path / f"{number}.txt", text)
        write(tmp_path / "empty.txt", "")
        write(tmp_path / "blank.txt", " \n<br />\0")
        write(tmp_path / "long.txt", "many words " * 450_000)  # 5 MB
        os.symlink(tmp_path / "nowhere", tmp_path / "link.txt")
        items = TextList.from_folder(tmp_path)
        assert len(items) == len(NASTY) + 1
        assert {(entry.path, entry.reason) for entry in items.skipped} == {
            ("empty.txt", "empty texts"),
            ("blank.txt", "empty texts"),
            ("link.txt", "unreadable"),
        }
        assert "left out: 2 empty texts, 1 unreadable; see .skipped" in repr(items)
        assert contents(items)[2] == NASTY[2]

    def test_numbered_names_without_a_suffix_are_texts(self, tmp_path: Path) -> None:
        write(tmp_path / "sci.space/10.1", "stars")
        write(tmp_path / "sci.space/60123", "moon")
        assert len(TextList.from_folder(tmp_path)) == 2

    def test_no_folder_no_texts_and_wrong_names_are_errors(self, folder: Path, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"No such folder: .*nowhere.\nExpected a folder with texts"):
            TextList.from_folder(tmp_path / "nowhere")
        with pytest.raises(DataError, match=r"README is a file"):
            TextList.from_folder(folder / "README")
        with pytest.raises(DataError, match=r"include= names folders .*: trian.\n.*\nFix: .*Did you mean 'train'"):
            TextList.from_folder(folder, include=["trian"])
        with pytest.raises(
            DataError, match=r"No texts in .*: found .*\nExpected at least one file with the suffix .xml"
        ):
            TextList.from_folder(folder, suffixes=[".xml"])
        write(tmp_path / "void" / "a.txt", "")
        with pytest.raises(DataError, match=r"All texts in .*void are empty"):
            TextList.from_folder(tmp_path / "void")


class TestTables:
    @pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "arrow"])
    def test_the_longest_column_holds_the_texts(self, make: type) -> None:
        items = TextList.from_table(make({"id": ["a", "b"], "review": ["a long text", "another"], "stars": [1.5, 2.0]}))
        assert contents(items) == ["a long text", "another"]
        assert items.items.names() == ["row 0", "row 1"]
        assert items.items.column("stars").to_pylist() == [1.5, 2.0]

    def test_rows_without_text_are_left_out_and_named(self) -> None:
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

    def test_missing_labels_name_their_rows(self, tmp_path: Path) -> None:
        write(
            tmp_path / "a.csv", "text,label\n" + "".join(f"some text {n},{'ab'[n % 2]}\n" for n in range(20)) + "c,\n"
        )
        with pytest.raises(DataError, match=r"1 rows have no label in column 'label': row 20"):
            TextList.from_csv(tmp_path / "a.csv").split_by_index([0, 1]).label_from_column("label")

    def test_a_class_that_only_validation_has_is_named(self) -> None:
        items = TextList.from_texts(list("abcd"), ["x", "y", "x", "z"])
        with pytest.raises(DataError, match=r"validation side has labels that training never sees: z \(1\).*row 3"):
            items.split_by_index([3]).label_from_column("label")

    def test_tags_and_numbers_are_labels_too(self) -> None:
        table = {"text": ["a b c", "d e f", "g h i"], "tags": ["x y", "x", "y"], "age": [1.0, 2.0, 4.0]}
        split = TextList.from_table(pa.table(table)).split_by_index([2])
        assert isinstance(split.label_from_column("tags", delimiter=" ").target, MultiCategory)
        assert isinstance(split.label_numbers("age").target, Numbers)

    def test_wrong_tables_are_errors(self) -> None:
        with pytest.raises(DataError, match=r"There is no column 'txet'.\n.*\nFix: .*Did you mean 'text'"):
            TextList.from_table(pa.table({"text": ["a"]}), column="txet")
        with pytest.raises(DataError, match=r"no column of texts, only n.\nExpected a column of texts"):
            TextList.from_table(pa.table({"n": [1]}))
        with pytest.raises(DataError, match=r"Column 'text' holds no texts"):
            TextList.from_table(pa.table({"text": ["", " "]}))

    @pytest.mark.parametrize(
        ("texts", "labels", "what"),
        [([], None, r"texts=\[\]"), ("a", None, "texts='a'"), (["a", 1], None, r"texts= holds 1 \(int\)"),
         (["a"], ["x", "y"], "1 texts and 2 labels")],
    )  # fmt: skip
    def test_texts_must_be_texts(self, texts: list[str], labels: list[str] | None, what: str) -> None:
        with pytest.raises(DataError, match=what):
            TextList.from_texts(texts, labels)


def test_items_are_arrow_and_nothing_else() -> None:
    """No Python object a document: a million of them are two columns."""
    table = pa.table({"text": pa.array(["a short text"] * 50_000)})
    items = TextList.from_table(table)
    assert items.items.table.column_names == [ITEM, CONTENT]
    assert items.items.table.nbytes < 50_000 * 40
    split = items.split_random(0.1)
    assert len(split.train) == 45_000
    assert np.unique(split.train.table[ITEM].to_numpy()).size == 45_000
