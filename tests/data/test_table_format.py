from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from onecycle.data.table_format import TableFormat, find_format, is_index
from onecycle.errors import DataError


def table(folder: Path, content: bytes) -> Path:
    (folder / "table.csv").write_bytes(content)
    return folder / "table.csv"


class TestFormat:
    @pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
    def test_the_separator_is_found(self, separator: str, tmp_path: Path) -> None:
        path = table(tmp_path, f"image{separator}tags\na.jpg{separator}x y\nb.jpg{separator}z\n".encode())
        assert find_format(path) == TableFormat(separator)

    @pytest.mark.parametrize(
        ("content", "separator"),
        [
            (b"image;x;y\na.jpg;1,5;2,5\nb.jpg;2,5;3,25\n", ";"),
            (b"image,tags\na.jpg,x;y;z\nb.jpg,x\n", ","),
            (b'url,text\nu,"one; two, three"\nv,"four; five"\n', ","),
            (b"image\na.jpg\nb.jpg\n", ","),
            (b"text\nwell, yes\nno\n", ","),
            (b"", ","),
        ],
        ids=["decimal commas", "tags by semicolons", "quoted", "one column", "one column of texts", "empty"],
    )
    def test_what_else_contains_a_separator_misleads_nobody(
        self, content: bytes, separator: str, tmp_path: Path
    ) -> None:
        assert find_format(table(tmp_path, content)).separator == separator

    def test_two_that_fit_as_well_are_refused_and_either_fix_reads(self, tmp_path: Path) -> None:
        path = table(tmp_path, b"a,b;c\n1,2;3\n4,5;6\n")
        message = r"What separates the fields .*\?[^$]*','[^$]*';'[^$]*Fix: pass separator=',' or separator=';'\."
        with pytest.raises(DataError, match=message):
            find_format(path)
        for separator in ",;":
            assert find_format(path, separator).read(path).num_columns == 2

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
    def test_the_encoding_is_found(self, encoding: str, tmp_path: Path) -> None:
        path = table(tmp_path, "image,label\n1.jpg,Hündin\n2.jpg,Kater\n".encode(encoding))
        found = find_format(path)
        assert found.read(path)["label"].to_pylist() == ["Hündin", "Kater"]

    def test_a_letter_outside_ascii_late_in_a_large_file(self, tmp_path: Path) -> None:
        path = table(tmp_path, b"image,label\n" + b"1.jpg,Kater\n" * 40_000 + b"2.jpg,H\xfcndin\n")
        assert find_format(path).read(path)["label"].to_pylist()[-1] == "Hündin"

    def test_no_header(self, tmp_path: Path) -> None:
        path = table(tmp_path, b"1.jpg,cat\n2.jpg,dog\n")
        found = find_format(path, header=False)
        assert found.options == {"header": False}
        assert found.read(path).to_pydict() == {"column_1": ["1.jpg", "2.jpg"], "column_2": ["cat", "dog"]}

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"No such file: .*none\.csv"):
            find_format(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("name", "values", "index"),
    [
        ("", ["0", "1", "2"], True),
        ("Unnamed: 0", ["5", "3", "9"], True),
        ("index", ["0", "1"], True),
        ("", ["a.jpg", "b.jpg"], False),
        ("id", ["0", "1"], False),
        ("", ["1", "1"], False),
    ],
)
def test_the_index_of_pandas(name: str, values: list[str], index: bool) -> None:
    assert is_index(name, pa.chunked_array([values])) is index
