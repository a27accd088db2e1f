"""Items are rows of an Arrow table, whatever they came from."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import onecycle as oc
from onecycle.data.dataset import ItemDataset
from onecycle.data.items import ITEM, LABEL, Part, as_table, missing_column, read_csv
from onecycle.data.target import Category
from onecycle.errors import DataError
from onecycle.vision.images import Images

ROWS = {"image": ["red/red_0.jpg", "red/red_1.jpg", "blue/blue_0.jpg"], "tags": ["a b", "", None]}


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table, lambda rows: pl.DataFrame(rows).to_arrow()])
def test_any_arrow_exporter_gives_the_same_list(kind: Any, photos: Path) -> None:
    items = oc.ImageList.from_table(kind(ROWS), folder=photos)
    assert items.items.names() == ROWS["image"]
    assert items.items.column("tags").to_pylist() == ROWS["tags"]
    sides = items.split_by_index([1])
    assert (sides.train.names(), sides.valid.names()) == ([ROWS["image"][0], ROWS["image"][2]], [ROWS["image"][1]])


@pytest.mark.parametrize("rows", [[("a.jpg", "cat")], {"image": ["a.jpg"]}, None])
def test_what_is_no_table_is_refused(rows: Any) -> None:
    message = rf"Cannot read a table from {type(rows).__name__}.\nExpected .*pandas, polars, pyarrow.*\nFix: convert it"
    with pytest.raises(DataError, match=message):
        as_table(rows)


@pytest.mark.parametrize(
    "content",
    [
        b"image,tags\n007,a b\n008,\n",
        b"\xef\xbb\xbfimage,tags\n007,a b\n008,\n",
        b"image,tags\r\n007,a b\r\n008,\r\n",
        b'"image","tags"\n"007","a b"\n"008",""\n',
        b"image,tags\n007,a b\n008,",
    ],
    ids=["plain", "byte-order mark", "CRLF", "quoted", "no last newline"],
)
def test_a_csv_is_read_as_text(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    assert read_csv(tmp_path / "labels.csv").to_pydict() == {"image": ["007", "008"], "tags": ["a b", ""]}


def test_a_csv_may_hold_newlines_in_quotes_and_another_separator(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b'image;tags\n1;"a\nb"\n')
    assert read_csv(tmp_path / "labels.csv", separator=";").to_pydict() == {"image": ["1"], "tags": ["a\nb"]}


def test_newlines_in_quotes_survive_between_blocks(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,tags\n" + '1,"a\nb"\n' * 200_000)
    assert set(read_csv(tmp_path / "labels.csv")["tags"].to_pylist()) == {"a\nb"}


def test_numbers_late_in_a_csv_stay_text(tmp_path: Path) -> None:
    """Arrow guesses types from the first block, about a megabyte; ours may not depend on it."""
    (tmp_path / "labels.csv").write_text("image,label\n" + "0001,01\n" * 200_000 + "x,cat\n")
    assert read_csv(tmp_path / "labels.csv")["label"].to_pylist()[-2:] == ["01", "cat"]


@pytest.mark.parametrize(
    ("content", "cause"),
    [(b"", "Empty CSV file"), (b"a,b\n1,2,3\n", "Expected 2 columns, got 3"), (b"a\ncaf\xe9\n", "invalid UTF8")],
)
def test_a_csv_that_is_no_table_is_an_error(content: bytes, cause: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    message = (
        rf"labels.csv cannot be read as CSV: .*{cause}.*\nExpected UTF-8 text with a header line.*','.\nFix: .*separ"
    )
    with pytest.raises(DataError, match=message):
        read_csv(tmp_path / "labels.csv")


def test_a_missing_csv_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"No such file: .*labels.csv.\nExpected a CSV file with a header line.\nFix: ch"
    ):
        read_csv(tmp_path / "labels.csv")


def test_a_missing_column_lists_those_there_and_the_nearest() -> None:
    part = Part(pa.table({ITEM: ["1"], LABEL: ["x"], "tags": ["a"], "side": ["b"]}))
    with pytest.raises(DataError, match=r"no column 'tag'.\nExpected one of: tags, side.\nFix: .* Did you mean 'tags'"):
        part.column("tag")


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_missing_column_notices_the_wrong_separator(separator: str) -> None:
    error = missing_column("tags", [f"image{separator}tags"])
    assert error.fix == f"the fields look separated by {separator!r}: pass separator={separator!r}."


def test_onecycles_own_columns_are_not_the_users() -> None:
    with pytest.raises(DataError, match="no column '#label'"):
        Part(pa.table({ITEM: ["1"], LABEL: ["x"]})).column(LABEL)


def test_a_part_locates_files_below_its_root_and_leaves_other_inputs_alone() -> None:
    table = pa.table({ITEM: ["a/1.jpg"]})
    assert Part(table, Path("/data")).locate("a/1.jpg") == "/data/a/1.jpg"
    assert Part(table).locate("any text") == "any text"


def test_taking_rows_leaves_the_part_as_it_was() -> None:
    part = Part(pa.table({ITEM: ["1", "2", "3"]}))
    assert part.take([2, 0]).names() == ["3", "1"]
    assert part.names() == ["1", "2", "3"]


def test_a_list_prints_itself_with_what_was_left_out(tmp_path: Path, photos: Path) -> None:
    assert repr(oc.ImageList.from_folder(photos)) == f"ImageList: 30 items in {photos}"
    (tmp_path / "red_0.jpg").write_bytes((photos / "red/red_0.jpg").read_bytes())
    for name in (".hidden", "one.txt", "two.txt"):
        (tmp_path / name).touch()
    assert repr(oc.ImageList.from_folder(tmp_path)) == (
        f"ImageList: 1 items in {tmp_path} (left out: 1 hidden, 2 other files; see .skipped)"
    )


def test_a_million_rows_stay_in_arrow() -> None:
    """A Python object an item would be copied into every worker as it is read (pytorch#13246)."""
    count = 1_000_000
    numbers = pa.array(np.arange(count)).cast(pa.string())
    table = pa.table({ITEM: numbers, LABEL: pa.array(np.arange(count) % 2).cast(pa.string()), "side": numbers})
    dataset = ItemDataset(Part(table, Path("photos")), Images(), Category(("0", "1")), training=True)

    arrow = {name: value for name, value in vars(dataset).items() if isinstance(value, pa.ChunkedArray)}
    assert set(arrow) == {"_items", "_labels"}
    assert [value for value in vars(dataset).values() if isinstance(value, list | tuple | dict | np.ndarray)] == []
    before = pa.total_allocated_bytes()
    assert (dataset.name(count - 1), dataset.label(count - 1)) == ("999999", "1")
    assert pa.total_allocated_bytes() - before < 1_000, "reading one item copies no column"

    sent = pickle.dumps(dataset, protocol=5)
    assert len(sent) < 2 * table.nbytes
    assert pickle.loads(sent).name(count - 1) == "999999"
