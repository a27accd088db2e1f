"""Parquet files are counted from their metadata, and read by groups of rows."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onecycle.data.class_labels import features, named_labels
from onecycle.data.shards import parquet
from onecycle.data.shards.parquet import ParquetShards, content_column, index_parquet
from onecycle.data.shards.source import NAME, Place
from onecycle.errors import DataError
from onecycle.vision.image_list import IMAGES
from shard_files import image_features, write_parquet

NAMES = ["cat", "dog"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten items in groups of four."""
    images = [b"%d" % number for number in range(10)]
    return write_parquet(tmp_path / "a.parquet", images, [0, 1, 1, 0, 1, 0, 0, 1, 1, 0], NAMES)


def test_rows_are_counted_and_labels_named_as_the_schema_says(path: Path) -> None:
    with open(path, "rb") as file:
        index = index_parquet(file, ["label"], None)
    assert index.table[NAME].to_pylist() == [str(number) for number in range(10)]
    assert index.table["label"].to_pylist()[:3] == ["cat", "dog", "dog"]
    assert (index.skipped, index.damage) == ([], None)


def test_any_row_is_read_and_few_groups_are_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = ParquetShards((str(path),), 1, column="image")
    for row in (9, 0, 5, 4, 9):
        contents = shards.read(Place(0, row, 1), f"a.parquet/{row}")
        assert (contents.name, contents.data) == (f"a.parquet/{row}", b"%d" % row)
    read: list[int] = []
    real = ParquetShards._read_group
    monkeypatch.setattr(ParquetShards, "_read_group", lambda self, *key: read.append(key[1]) or real(self, *key))
    again = pickle.loads(pickle.dumps(shards))
    assert again == shards
    assert not again._groups.columns
    for row in range(10):
        again.read(Place(0, row, 1), "name")
    assert read == [0, 1, 2]


def test_groups_that_were_used_longest_ago_go_first(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", [b"x"] * 40, [0] * 40, NAMES)
    shards = ParquetShards((str(path),), 1, column="image")
    for row in (0, 4, 8, 12, 0, 16, 20):
        shards.read(Place(0, row, 1), "name")
    assert [group for _, group in shards._groups.columns] == [3, 0, 4, 5]
    assert sum(map(len, shards._groups.columns.values())) <= 2 * 1 + 4 * 4


def test_bytes_need_not_be_in_a_struct(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"png": pa.array([b"1", b"2"], pa.large_binary()), "y": ["a", "b"]}), tmp_path / "a.parquet"
    )
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert content_column(schema, "a", IMAGES, None) == "png"
    shards = ParquetShards((str(tmp_path / "a.parquet"),), 1, column="png")
    assert shards.read(Place(0, 1, 1), "name").data == b"2"


def test_a_row_without_bytes_is_told(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", [b"x", None], [0, 1], NAMES)
    with pytest.raises(DataError, match=r"a\.parquet/1 has no bytes in column 'image'\.\nExpected the bytes of a file"):
        ParquetShards((str(path),), 1, column="image").read(Place(0, 1, 1), "a.parquet/1")


def test_a_group_that_does_not_fit_into_memory_is_refused_and_smaller_ones_are_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(count: int) -> None:
        monkeypatch.setattr(parquet.psutil, "virtual_memory", lambda: SimpleNamespace(available=count))

    with monkeypatch.context() as context:
        monkeypatch = context
        with open(path, "rb") as file:
            group = pq.ParquetFile(file).metadata.row_group(0)
        needed = group.column(0).total_uncompressed_size
        free(4 * needed - 1)
        with pytest.raises(DataError, match=r"A group of 4 rows in .*a\.parquet takes 0 MB\.(.|\n)*row_group_size=100"):
            ParquetShards((str(path),), 1, column="image").read(Place(0, 3, 1), "name")
        pq.write_table(pq.read_table(path), path, row_group_size=1)
        assert ParquetShards((str(path),), 1, column="image").read(Place(0, 3, 1), "name").data == b"3"


def test_the_column_of_images_is_found_or_asked_for() -> None:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    two = pa.schema([("image", image), ("thumbnail", pa.binary()), ("label", pa.int64())])
    assert content_column(two.with_metadata(image_features(NAMES)), "a", IMAGES, None) == "image"
    assert content_column(two, "a", IMAGES, "thumbnail") == "thumbnail"
    with pytest.raises(DataError, match=r"a has 2 columns that can hold items: image, thumbnail\.(.|\n)*pass image="):
        content_column(two, "a", IMAGES, None)
    with pytest.raises(DataError, match=r"a has 0 columns that can hold items\."):
        content_column(pa.schema([("label", pa.int64())]), "a", IMAGES, None)
    with pytest.raises(DataError, match=r"Column 'label' of a is int64\.(.|\n)*one of: image, thumbnail"):
        content_column(two, "a", IMAGES, "label")
    with pytest.raises(DataError, match=r"There is no column 'imag'(.|\n)*Did you mean 'image'"):
        content_column(two, "a", IMAGES, "imag")


@pytest.mark.parametrize(
    "metadata",
    [{}, {"huggingface": "no json"}, {"huggingface": "[]"}, {"huggingface": json.dumps({"info": {"features": [1]}})}],
)
def test_metadata_that_say_nothing_are_no_error(metadata: dict[str, str]) -> None:
    assert features(pa.schema([("a", pa.int64())]).with_metadata(metadata)) == {}


def column(values: list[Any], kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values[:1], kind), pa.array(values[1:], kind)])


def test_labels_are_texts_names_or_numbers() -> None:
    assert named_labels(column([3, 10], pa.int8()), "y", None).to_pylist() == ["3", "10"]
    assert named_labels(column(["a", None], pa.large_string()), "y", None).to_pylist() == ["a", None]
    assert named_labels(column([1, 0, -1, None], pa.int64()), "y", NAMES).to_pylist() == ["dog", "cat", None, None]
    assert named_labels(column(["1", "dog"], pa.string()), "y", NAMES).to_pylist() == ["dog", "dog"]
    assert named_labels(column([1.5, 2.0], pa.float32()), "y", None).to_pylist() == [1.5, 2.0]
    with pytest.raises(DataError, match=r"Column 'y' holds 2\.\nExpected numbers from 0 to 1, of the classes cat, dog"):
        named_labels(column([1, 2], pa.int64()), "y", NAMES)
    with pytest.raises(DataError, match=r"Column 'y' is list<item: int64>\.\nExpected texts or numbers"):
        named_labels(column([[1], [2]], pa.list_(pa.int64())), "y", None)


def test_rows_without_a_label_are_left_out_and_a_column_must_be_there(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", [b"x", b"y"], [-1, 1], NAMES)
    with open(path, "rb") as file:
        index = index_parquet(file, ["label"], None)
        assert (index.table[NAME].to_pylist(), index.skipped) == (["1"], [("0", "items without a label")])
        with pytest.raises(DataError, match=r"There is no column 'lable'(.|\n)*Did you mean 'label'"):
            index_parquet(file, ["lable"], None)
