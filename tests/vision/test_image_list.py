"""Lists of images from paths, CSV files and tables."""

import tracemalloc
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import onecycle as oc
from noisy_photos import draw
from onecycle.errors import DataError

RED = (200, 0, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three photos: a.jpg, b.jpg and deep/c.jpg."""
    for number, name in enumerate(("a.jpg", "b.jpg", "deep/c.jpg")):
        draw(tmp_path / "photos" / name, RED, seed=number)
    return tmp_path / "photos"


def write_csv(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_bytes(text.encode())
    return path


def test_paths_are_used_unchanged(folder: Path) -> None:
    items = oc.ImageList.from_paths([folder / "b.jpg", str(folder / "a.jpg")])
    assert [items.items.locate(name) for name in items.items.names()] == [str(folder / "b.jpg"), str(folder / "a.jpg")]


@pytest.mark.parametrize("paths", [[], "a.jpg"])
def test_no_paths_or_a_single_text_are_refused(paths: Any) -> None:
    with pytest.raises(DataError, match=r"paths=.*\nExpected a list of at least one path.\nFix: pass \[path\]"):
        oc.ImageList.from_paths(paths)


def test_a_csv_names_images_and_keeps_its_columns(folder: Path) -> None:
    path = write_csv(folder, "side,image,tags\n0,a,x y\n1,deep/c,\n")
    items = oc.ImageList.from_csv(path, column="image", suffix=".jpg")
    assert items.items.names() == ["a.jpg", "deep/c.jpg"]
    assert items.items.root == folder, "the CSV's own folder"
    assert items.items.column("tags").to_pylist() == ["x y", ""]


def test_the_first_column_names_the_images_by_default(folder: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path, "image,label\na.jpg,1\nb.jpg,2\n")
    assert oc.ImageList.from_csv(path, folder=folder).items.names() == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("text", ["\ufeffimage,tags\na.jpg,x y\n", "image,tags\r\na.jpg,x y\r\n"], ids=["mark", "CRLF"])
def test_byte_order_marks_and_crlf_are_handled(text: str, folder: Path) -> None:
    items = oc.ImageList.from_csv(write_csv(folder, text), column="image")
    assert (items.items.names(), items.items.column("tags").to_pylist()) == (["a.jpg"], ["x y"])


def test_an_empty_cell_has_no_tags(folder: Path) -> None:
    path = write_csv(folder, "image,tags\na.jpg,x y\nb.jpg,\ndeep/c.jpg,y x\n")
    labelled = oc.ImageList.from_csv(path).split_by_index([2]).label_from_column("tags", delimiter=" ")
    assert labelled.train.table["#label"].to_pylist() == [["x", "y"], []]


def test_missing_images_are_refused_and_listed(folder: Path) -> None:
    path = write_csv(folder, "image\na.jpg\nlost.jpg\nother/lost.jpg\n")
    message = r"2 of 3 images are not in .*: lost.jpg, other/lost.jpg.\nExpected a file for every row.*\nFix: .*='drop'"
    with pytest.raises(DataError, match=message):
        oc.ImageList.from_csv(path)


def test_missing_images_can_be_dropped_and_are_listed(folder: Path) -> None:
    items = oc.ImageList.from_csv(write_csv(folder, "image\na.jpg\nlost.jpg\n"), missing="drop")
    assert items.items.names() == ["a.jpg"]
    assert [(entry.path, entry.reason) for entry in items.skipped] == [("lost.jpg", "rows without an image")]
    with pytest.raises(DataError, match="1 of 1 image is not in"):
        oc.ImageList.from_csv(write_csv(folder, "image\nlost.jpg\n"), missing="drop")


def test_rows_can_name_folders_in_any_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onecycle.data.tables.SLICE", 2)
    path = write_csv(folder, "image\ndeep/c\nb\ndeep/lost\na\ngone/c\n./b\n")
    items = oc.ImageList.from_csv(path, suffix=".jpg", missing="drop")
    assert items.items.names() == ["deep/c.jpg", "b.jpg", "a.jpg", "./b.jpg"]
    assert [entry.path for entry in items.skipped] == ["deep/lost.jpg", "gone/c.jpg"]


def test_many_rows_need_little_memory(folder: Path) -> None:
    for number in range(100):
        (folder / f"{number:02}").symlink_to("deep")
        draw(folder / "deep" / f"{number:02}.jpg", RED)
    names = pa.array([f"{row % 100:02}/{row // 100:02}.jpg" for row in range(10_000)])
    tracemalloc.start()
    items = oc.ImageList.from_table(pa.table({"image": names}), folder=folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(items) == 10_000
    # A Python text takes 58 bytes; only row numbers and flags remain.
    assert peak / len(items) < 40


def test_a_forgotten_suffix_is_suggested(folder: Path) -> None:
    with pytest.raises(DataError, match=r"2 of 2 images are not .*: a, b.\n.*\nFix: pass suffix='.jpg'"):
        oc.ImageList.from_csv(write_csv(folder, "image\na\nb\n"))


@pytest.mark.parametrize("missing", ["ignore", True])
def test_missing_is_raise_or_drop(missing: Any, folder: Path) -> None:
    with pytest.raises(DataError, match=rf"missing={missing!r}.\nExpected \"raise\" or \"drop\".\nFix: pass one"):
        oc.ImageList.from_csv(write_csv(folder, "image\na.jpg\n"), missing=missing)


def test_identical_rows_are_dropped_and_listed(folder: Path) -> None:
    items = oc.ImageList.from_csv(write_csv(folder, "image,label\na.jpg,x\nb.jpg,y\na.jpg,x\n"))
    assert items.items.names() == ["a.jpg", "b.jpg"]
    assert [(entry.path, entry.reason) for entry in items.skipped] == [("a.jpg", "repeated rows")]


def test_conflicting_rows_are_refused(folder: Path) -> None:
    path = write_csv(folder, "image,label\na.jpg,x\nb.jpg,y\na.jpg,z\n")
    message = (
        r"1 image is named twice, with different values: a.jpg.\nExpected one row for each image.\nFix: decide which"
    )
    with pytest.raises(DataError, match=message):
        oc.ImageList.from_csv(path)


def test_a_missing_image_column_is_refused(folder: Path) -> None:
    path = write_csv(folder, "image,label\na.jpg,x\n")
    with pytest.raises(DataError, match=r"no column 'images'.\nExpected one of: image, label.\nFix: .*mean 'image'"):
        oc.ImageList.from_csv(path, column="images")


def test_a_wrong_separator_is_noticed(folder: Path) -> None:
    path = write_csv(folder, "image;label\na.jpg;x\n")
    with pytest.raises(DataError, match=r"no column 'image'.\n.*\nFix: the fields look separated by ';': pass separat"):
        oc.ImageList.from_csv(path, column="image", separator=",")
    assert oc.ImageList.from_csv(path).items.names() == ["a.jpg"]


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"The table has no rows.\nExpected one row for each image.\nFix: check the file"
    ):
        oc.ImageList.from_table(pa.table({"image": pa.array([], pa.string())}))


def test_a_csv_with_only_a_header_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="The table has no rows"):
        oc.ImageList.from_csv(write_csv(folder, "image,label\n"))


def test_the_users_table_is_not_changed(folder: Path) -> None:
    rows = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "label": [1, 2]})
    before = rows.copy()
    oc.ImageList.from_table(rows, folder=folder).split_by_index([0])
    pd.testing.assert_frame_equal(rows, before)
