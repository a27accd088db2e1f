"""All items of some shards as rows; the headers of a tar are read once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onecycle.data.rows import Rows
from onecycle.data.shards import index
from onecycle.data.shards.index import shard_rows
from onecycle.data.shards.tar import index_tar
from onecycle.data.skipped import Skipped
from onecycle.errors import DataError
from onecycle.vision.image_list import IMAGES
from shard_files import members_of, photo_files, write_parquet, write_parquets, write_tar

OPTIONS: dict[str, Any] = {
    "kind": IMAGES, "content": None, "labels": (), "classes": None, "buffer": 10,
    "on_bad_shard": "raise",
}  # fmt: skip


def rows_of(shards: Any, **options: Any) -> tuple[Rows, list[Skipped]]:
    return shard_rows(shards, **{**OPTIONS, **options})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[frozenset[str]]:
    """Notes every time that the headers of a tar are read."""
    done: list[frozenset[str]] = []

    def scan(file: Any, image: frozenset[str], labels: Any) -> Any:
        done.append(image)
        return index_tar(file, image, labels)

    monkeypatch.setattr(index, "index_tar", scan)
    return done


def test_rows_name_their_shard_and_are_read_from_it(shards: Path, photos: Path) -> None:
    rows, skipped = rows_of(shards, labels=("cls",))
    assert (len(rows), skipped, rows.root) == (30, [], shards)
    assert rows.names()[:2] == ["photos-000.tar/blue_0.jpg", "photos-000.tar/green_0.jpg"]
    assert rows.column("cls").to_pylist()[:2] == ["blue", "green"]
    assert rows.shards is not None
    read = [rows.shards.read(rows.place(row), name).data for row, name in enumerate(rows.names())]
    assert read == [path.read_bytes() for path in photo_files(photos)]


def test_parquet_files_hold_the_same(shards: Path, photos: Path, tmp_path: Path) -> None:
    rows, _ = rows_of(write_parquets(photos, tmp_path / "parquet"), labels=("label",))
    tars, _ = rows_of(shards, labels=("cls",))
    assert rows.names()[9] == "photos-00001-of-00004.parquet/1"
    assert rows.column("label").to_pylist() == tars.column("cls").to_pylist()
    assert rows.shards is not None
    assert tars.shards is not None
    for row in range(30):
        assert rows.shards.read(rows.place(row), "a").data == tars.shards.read(tars.place(row), "a").data


def test_headers_are_read_once_and_again_when_something_has_changed(
    photos: Path, tmp_path: Path, scans: list[frozenset[str]], cache: Path
) -> None:
    path = write_tar(tmp_path / "a.tar", [*members_of(photo_files(photos)[:3]), ("more.txt", b"")])
    first = rows_of(path, labels=("cls",))
    again = rows_of(path, labels=("cls",))
    assert len(scans) == 1
    assert first[0].table.equals(again[0].table)
    assert first[1] == again[1] == [Skipped("a.tar/more.txt", "other files")]
    rows_of(path, labels=())
    rows_of(path, content="jpg", labels=("cls",))
    assert len(scans) == 3
    write_tar(path, members_of(photo_files(photos)[:5]))
    assert len(rows_of(path, labels=("cls",))[0]) == 5
    for kept in (cache / "shards").iterdir():
        kept.write_bytes(kept.read_bytes()[: os.path.getsize(kept) // 2])
    assert len(rows_of(path, labels=("cls",))[0]) == 5
    assert len(scans) == 5


def test_a_cache_that_cannot_be_written_is_none(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "file"))
    assert len(rows_of(shards)[0]) == 30


def test_classes_name_numbers_in_tars(photos: Path, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.jpg", b""), ("a.cls", b"1"), ("b.jpg", b""), ("b.cls", b"0")])
    assert rows_of(path, labels=("cls",), classes=["cat", "dog"])[0].column("cls").to_pylist() == ["dog", "cat"]
    with pytest.raises(DataError, match=r"Column 'cls' holds 1\.(.|\n)*pass all classes= in the order"):
        rows_of(path, labels=("cls",), classes=["cat"])


def test_a_damaged_shard_is_told_or_what_is_before_the_damage_is_used(photos: Path, tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "a.tar", members_of(photo_files(photos)[:4]))
    cut = write_tar(tmp_path / "b.tar", members_of(photo_files(photos)[4:8]))
    cut.write_bytes(cut.read_bytes()[: os.path.getsize(cut) // 4])
    (tmp_path / "c.tar").write_text("<html>404</html>")
    with pytest.raises(DataError, match=r"The shard .*b\.tar is damaged: (.|\n)*on_bad_shard=\"skip\""):
        rows_of([whole, cut])
    rows, skipped = rows_of([whole, cut, tmp_path / "c.tar"], labels=("cls",), on_bad_shard="skip")
    assert 4 < len(rows) < 8
    assert [one for one in skipped if one.reason != "items without a label"] == [
        Skipped("b.tar", "the rest of damaged shards"), Skipped("c.tar", "the rest of damaged shards")
    ]  # fmt: skip


def test_a_damaged_parquet_file_is_told_or_left_out(tmp_path: Path) -> None:
    good = write_parquet(tmp_path / "b.parquet", [b"x"], [0], ["cat", "dog"])
    bad = tmp_path / "a.parquet"
    bad.write_bytes(good.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"The shard .*a\.parquet is damaged: Arrow"):
        rows_of(tmp_path, labels=("label",))
    rows, skipped = rows_of(tmp_path, labels=("label",), on_bad_shard="skip")
    assert (rows.names(), skipped) == (["b.parquet/0"], [Skipped("a.parquet", "the rest of damaged shards")])
    with pytest.raises(DataError, match=r"The shard .*a\.parquet is damaged"):
        rows_of(bad, on_bad_shard="skip")


def test_no_items_at_all_are_told(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.txt", b""), ("b.jpg", b"")])
    with pytest.raises(
        DataError, match=r"No items in 1 shards, .*: found other files, such as a\.tar/a\.txt"
    ) as caught:
        rows_of(path, content="webp")
    assert "check image= and label=" in caught.value.fix
    with pytest.raises(DataError, match="found items without a label, other files"):
        rows_of(path, labels=("cls",))


def test_columns_may_have_any_names(tmp_path: Path) -> None:
    pq.write_table(pa.table({"start": [b"1", b"2"], "name": ["x", "y"], "size": [3, 4]}), tmp_path / "a.parquet")
    rows, _ = rows_of(tmp_path, labels=("name", "size"))
    assert (rows.column("name").to_pylist(), rows.column("size").to_pylist()) == (["x", "y"], ["3", "4"])


def test_labels_of_different_types_are_told(tmp_path: Path) -> None:
    for name, labels in (("a", ["x"]), ("b", [1.5])):
        pq.write_table(pa.table({"image": [b"1"], "y": labels}), tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match=r"The 2 shards, .*, have labels of different types"):
        rows_of(tmp_path, labels=("y",))
