"""Items are rows of an Arrow table, whatever they came from."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import onecycle as oc
from onecycle.errors import DataError
from onecycle.vision.image_list import SplitImages

ROWS = {"image": ["red/red_0.jpg", "red/red_1.jpg", "blue/blue_0.jpg"], "tags": ["a b", "", None]}


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table, lambda rows: pl.DataFrame(rows).to_arrow()])
def test_any_arrow_exporter_gives_the_same_list(kind: Any, photos: Path) -> None:
    items = oc.ImageList.from_table(kind(ROWS), folder=photos)
    assert items.items.names() == ROWS["image"]
    assert items.items.column("tags").to_pylist() == ROWS["tags"]
    split = items.split_by_index([1])
    assert (split.train.names(), split.valid.names()) == ([ROWS["image"][0], ROWS["image"][2]], [ROWS["image"][1]])


def test_a_list_prints_itself_with_what_was_left_out(tmp_path: Path, photos: Path) -> None:
    assert repr(oc.ImageList.from_folder(photos)) == f"ImageList: 30 items in {photos}"
    (tmp_path / "red_0.jpg").write_bytes((photos / "red/red_0.jpg").read_bytes())
    for name in (".hidden", "one.txt", "two.txt"):
        (tmp_path / name).touch()
    assert repr(oc.ImageList.from_folder(tmp_path)) == (
        f"ImageList: 1 item in {tmp_path} (left out: 1 hidden, 2 other files; see .skipped)"
    )


@pytest.fixture
def table(tmp_path: Path, photos: Path) -> oc.ImageList:
    """All photos, with columns of who took them and in which split they belong."""
    names = oc.ImageList.from_folder(photos).items.names()
    (tmp_path / "valid.txt").write_text("red_0.jpg")
    rows = pd.DataFrame({"image": names, "person": [n[-5] for n in names], "is_valid": [n[-5] in "12" for n in names]})
    return oc.ImageList.from_table(rows, folder=photos)


WAYS: dict[str, Callable[[oc.ImageList, Path], SplitImages]] = {
    "split_random": lambda items, folder: items.split_random(0.3),
    "stratify by folder": lambda items, folder: items.split_random(0.3, stratify="folder"),
    "stratify by column": lambda items, folder: items.split_random(0.3, stratify="person"),
    "split_by_folder": lambda items, folder: items.split_by_folder(valid="red"),
    "split_by_column": lambda items, folder: items.split_by_column(),
    "split_from_file": lambda items, folder: items.split_from_file(folder / "valid.txt"),
    "split_by_index": lambda items, folder: items.split_by_index([0, 29]),
    "split_by_group": lambda items, folder: items.split_by_group(lambda path: path.stem[-1]),
    "split_by": lambda items, folder: items.split_by(lambda path: path.stem[-1] == "3"),
    "split_by_group of a column": lambda items, folder: items.split_by_group("person"),
    "split_by_group of a pattern": lambda items, folder: items.split_by_group(pattern=r"_(\d)\.jpg$"),
}


@pytest.mark.parametrize("way", WAYS)
def test_lists_split_without_loss_or_change(way: str, table: oc.ImageList, tmp_path: Path) -> None:
    before = table.items.names()
    split = WAYS[way](table, tmp_path)
    assert sorted(split.train.names() + split.valid.names()) == sorted(before)
    assert table.items.names() == before


def test_lists_hold_back_what_the_column_or_the_file_says(table: oc.ImageList, tmp_path: Path) -> None:
    assert {name[-5] for name in table.split_by_column("is_valid").valid.names()} == {"1", "2"}
    assert table.split_from_file(tmp_path / "valid.txt").valid.names() == ["red/red_0.jpg"]
    people = table.split_by_group("person", valid=0.3)
    assert len(set(people.valid.column("person").to_pylist())) == 3
    assert len(table.split_random(0.3, stratify="folder").valid) == 9


def test_the_folder_above_can_be_stratified_by(photos: Path, tmp_path: Path) -> None:
    """Seen: classes two levels up were split by the folder that an item is in, of one item each."""
    for number, name in enumerate(["a"] * 12 + ["b"] * 4):
        (tmp_path / name / str(number)).mkdir(parents=True)
        shutil.copy(photos / "red/red_0.jpg", tmp_path / name / str(number) / "photo.jpg")
    items = oc.ImageList.from_folder(tmp_path)
    assert Counter(name[0] for name in items.split_random(0.25, stratify="folder", level=2).valid.names()) == {
        "a": 3,
        "b": 1,
    }
    with pytest.raises(oc.DataError, match=r"^level=0\.\nExpected 1 for the folder .*\nFix: pass level=1\."):
        items.split_random(0.25, stratify="folder", level=0)


def test_one_item_that_is_left_out_is_told_in_the_singular(photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "red/red_0.jpg", tmp_path / "red_0.jpg")
    (tmp_path / "one.txt").touch()
    found = oc.ImageList.from_folder(tmp_path)
    assert "(left out: 1 other file; see" in repr(found)
    assert found.left_out() == "left out: 1 other file: one.txt"


def test_a_pattern_keeps_a_group_in_one_split(table: oc.ImageList) -> None:
    people = table.split_by_group(pattern=r"_(\d)\.jpg$", valid=0.3)
    assert len({name[-5] for name in people.valid.names()}) == 3
    assert not {name[-5] for name in people.valid.names()} & {name[-5] for name in people.train.names()}
    by_column = table.split_by_group("person", valid=0.3)
    assert people.valid.names() == by_column.valid.names(), "as the column with the same groups"


def test_groups_come_from_one_place(table: oc.ImageList) -> None:
    message = r"split_by_group\(\) takes by= or pattern=.\nExpected one of them.\nFix: name a column, or a pattern."
    for options in ({}, {"by": "person", "pattern": r"_(\d)"}):
        with pytest.raises(DataError, match=message):
            table.split_by_group(**options)
    with pytest.raises(
        DataError, match=r"finds nothing in 10 of 30 names: blue/blue_0.jpg, .*\nExpected a match in ev"
    ):
        table.split_by_group(pattern="(red|green)")


def test_a_split_function_gets_whole_paths_and_may_name_a_test_set(photos: Path) -> None:
    seen: list[Path] = []

    def which(path: Path) -> str:
        seen.append(path)
        return {"1": "valid", "2": "test"}.get(path.stem[-1], "train")

    split = oc.ImageList.from_folder(photos).split_by(which)
    assert len(seen) == 30
    assert all(path.is_file() for path in seen)
    assert (len(split.train), len(split.valid), len(split.test)) == (24, 3, 3)
    assert {name[-5] for name in split.test.names()} == {"2"}
