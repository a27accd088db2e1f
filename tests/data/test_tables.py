"""Tables of any library and CSV files as Arrow tables."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from onecycle.data.tables import as_table, missing_column, read_csv
from onecycle.errors import DataError


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
    [(b"", "Empty CSV file"), (b"a,b\n1,2,3\n", "Expected 2 columns, got 3")],
)
def test_a_csv_that_is_no_table_is_an_error(content: bytes, cause: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    message = (
        rf"labels.csv cannot be read as CSV: .*{cause}.*\nExpected UTF-8 text with a header line.*','.\nFix: .*separ"
    )
    with pytest.raises(DataError, match=message):
        read_csv(tmp_path / "labels.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_an_encoding_that_does_not_fit_is_an_error(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"a\ncaf\xe9\n")
    with pytest.raises(
        DataError, match=r"labels.csv cannot be read as CSV: [^$]*Fix: leave encoding= out to detect it, or"
    ):
        read_csv(tmp_path / "labels.csv", encoding=encoding)


@pytest.mark.parametrize(
    "content",
    [
        "image,label\n1,a\n".encode("utf-16")[:-1],
        "image,label\n1,a\n".encode("utf-16-le"),
        b"\n\n\n",
        b"image,label\n1,\xff\xfe\n",
        b'"image,label\n1,a\n',
        b"PAR1\x15\x04\x15\x10\x15\x14L\x15\x02\x15\0\x12\0\0\n1,2\n",
    ],
    ids=["UTF-16 cut", "UTF-16 without a mark", "blank lines", "invalid", "an open quote", "Parquet"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_damaged_table_is_read_or_refused_by_an_error_of_ours(content: bytes, encoding: str, tmp_path: Path) -> None:
    """Seen: Python's and Arrow's own errors came out for 34 and 43 of 500 mutated files."""
    (tmp_path / "labels.csv").write_bytes(content)
    with suppress(DataError):
        assert read_csv(tmp_path / "labels.csv", encoding=encoding).num_columns


def test_a_wrong_encoding_is_an_error_and_the_right_one_reads(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes("image\n1\n".encode("utf-16-le"))
    with pytest.raises(DataError, match=r"labels.csv cannot be read as CSV: .*[Ss]tream does not start with BOM"):
        read_csv(tmp_path / "labels.csv", encoding="utf-16")
    assert read_csv(tmp_path / "labels.csv", encoding="utf-16-le").to_pydict() == {"image": ["1"]}


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"image,label\n")
    assert (read_csv(tmp_path / "labels.csv").num_rows, read_csv(tmp_path / "labels.csv").num_columns) == (0, 2)


@pytest.mark.parametrize(
    ("names", "what", "fix"),
    [
        (
            "a,b,a",
            r"more than one column called 'a'\.\nExpected a different name for each column\.",
            "rename or remove",
        ),
        ("a,,", r"more than one column called ''\.", "rename or remove"),
        ("a,#item", r"a column called '#item'\.\nExpected other names", "rename it"),
    ],
)
def test_columns_that_cannot_be_told_apart_are_an_error(names: str, what: str, fix: str, tmp_path: Path) -> None:
    """Seen: pyarrow's KeyError, far from the file's name."""
    (tmp_path / "labels.csv").write_text(f"{names}\n{names}\n")
    with pytest.raises(DataError, match=rf"labels.csv has {what}[^$]*Fix: {fix}"):
        read_csv(tmp_path / "labels.csv")
    values = [pa.array(["1"])] * len(names.split(","))
    with pytest.raises(DataError, match=rf"The Table has {what}[^$]*Fix: {fix}"):
        as_table(pa.Table.from_arrays(values, names=names.split(",")))


def test_a_frame_of_mixed_types_is_an_error_and_the_fix_reads_it() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"image": ["a.jpg", 7]})
    message = r"The DataFrame cannot be read as a table: .*\nExpected .*one type.\nFix: .*astype\(str\)"
    with pytest.raises(DataError, match=message):
        as_table(frame)
    assert as_table(frame.astype(str))["image"].to_pylist() == ["a.jpg", "7"]


def test_a_million_columns_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    """Arrow takes 20 KB for each."""
    path = tmp_path / "labels.csv"
    for head in ("", "\n\n", '"quoted\nname",'):
        path.write_text(head + ",".join(map(str, range(10**6))) + "\n")
        with pytest.raises(
            DataError, match=r"has 1,000,00\d columns.\nExpected at most 50,000.*\nFix: check separator="
        ):
            read_csv(path)
    path.write_text("a;b\n" + "1;2,3,4\n" * 60_000)
    assert read_csv(path, separator=";").column_names == ["a", "b"]
    path.write_bytes(b"a,b\r" + b"1,2\r" * 60_000)
    assert read_csv(path).num_rows == 60_000


@pytest.mark.parametrize("separator", ["", ",,", "\n", '"', "→", 3])
def test_a_separator_is_one_character(separator: Any, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"^separator=.*\nExpected one character, such as ',' or ';'.\nFix: pass separ"):
        read_csv(tmp_path / "labels.csv", separator=separator)


def test_a_missing_csv_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"No such file: .*labels.csv.\nExpected a CSV file with a header line.\nFix: ch"
    ):
        read_csv(tmp_path / "labels.csv")


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_missing_column_notices_the_wrong_separator(separator: str) -> None:
    error = missing_column("tags", [f"image{separator}tags"])
    assert error.fix == f"the fields look separated by {separator!r}: pass separator={separator!r}."
