"""Finding image files in folders."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import onecycle as oc
from noisy_photos import draw
from onecycle.data.rows import ITEM
from onecycle.errors import DataError
from onecycle.vision import image_files
from onecycle.vision.image_files import drop_repeated_rows, find_existing, find_images, item_names
from onecycle.vision.image_index import missing_files

RED = (200, 0, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three photos: a.jpg, b.jpg and deep/c.jpg."""
    for number, name in enumerate(("a.jpg", "b.jpg", "deep/c.jpg")):
        draw(tmp_path / "photos" / name, RED, seed=number)
    return tmp_path / "photos"


def test_images_are_found_at_any_depth_in_sorted_order(folder: Path) -> None:
    items = oc.ImageList.from_folder(folder)
    assert items.items.names() == ["a.jpg", "b.jpg", "deep/c.jpg"]
    assert oc.ImageList.from_folder(str(folder)).items.names() == items.items.names()
    assert items.skipped == ()


def test_images_are_recognised_by_content(folder: Path) -> None:
    (folder / "a.jpg").rename(folder / "photo")
    draw(folder / "really.png", RED).rename(folder / "named.jpg")
    assert set(oc.ImageList.from_folder(folder).items.names()) == {"photo", "named.jpg", "b.jpg", "deep/c.jpg"}


def test_skipped_files_are_listed_with_a_reason(folder: Path) -> None:
    draw(folder / ".hidden.jpg", RED)
    draw(folder / ".git" / "x.jpg", RED)
    draw(folder / "__MACOSX" / "x.jpg", RED)
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("hello")
    (folder / "notes.txt").write_text("hello")
    (folder / "broken_link.jpg").symlink_to(folder / "nowhere.jpg")
    os.mkfifo(folder / "pipe.jpg")  # reading it would block
    draw(folder / "x.jpg", RED).rename(f"{folder}/latin\udce9.jpg")

    items = oc.ImageList.from_folder(folder)
    assert items.items.names() == ["a.jpg", "b.jpg", "deep/c.jpg"]
    assert {entry.path: entry.reason for entry in items.skipped} == {
        ".hidden.jpg": "hidden",
        ".git": "hidden",
        "__MACOSX": "hidden",
        "empty.jpg": "empty images",
        "text.jpg": "images with a damaged header",
        "notes.txt": "other files",
        "broken_link.jpg": "unreadable",
        "pipe.jpg": "unreadable",
        r"'latin\udce9.jpg'": "names that are not UTF-8",
    }


def test_a_folder_named_jpg_is_searched(folder: Path) -> None:
    draw(folder / "x.jpg" / "inside.jpg", RED)
    assert "x.jpg/inside.jpg" in oc.ImageList.from_folder(folder).items.names()


def test_linked_folders_are_followed_and_loops_are_not(folder: Path, tmp_path: Path) -> None:
    draw(tmp_path / "elsewhere" / "d.jpg", RED)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "deep" / "loop").symlink_to(folder)
    assert oc.ImageList.from_folder(folder).items.names() == ["a.jpg", "b.jpg", "deep/c.jpg", "link/d.jpg"]


def test_unreadable_files_and_folders_are_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated, since tests may run as root, who can read any file."""

    def locked(path: Any, *args: Any, **options: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    scandir = os.scandir
    monkeypatch.setattr(
        image_files.os, "scandir", lambda path: (locked if Path(path).name == "deep" else scandir)(path)
    )
    monkeypatch.setattr(
        image_files, "open", lambda path, mode: (locked if "b.jpg" in path else open)(path, mode), raising=False
    )
    items = oc.ImageList.from_folder(folder)
    assert items.items.names() == ["a.jpg"]
    assert {entry.path: entry.reason for entry in items.skipped} == {"b.jpg": "unreadable", "deep": "unreadable"}


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    message = r"No images in .*: the folder is empty.\nExpected at least one JPEG, PNG.*\nFix: check the path"
    with pytest.raises(DataError, match=message):
        oc.ImageList.from_folder(tmp_path)


def test_a_folder_of_text_files_is_refused_with_what_was_found(tmp_path: Path) -> None:
    for name in ("a.txt", "b.csv", "README"):
        (tmp_path / name).write_text("hello")
    with pytest.raises(DataError, match=r"No images in .*: found .csv, .txt, no suffix.\nExpected at least one"):
        oc.ImageList.from_folder(tmp_path)


def test_a_missing_folder_and_a_file_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"No such folder: .*nowhere.\nExpected a folder with images.*\nFix: check"):
        oc.ImageList.from_folder(folder / "nowhere")
    with pytest.raises(DataError, match=r"a.jpg is a file.\nExpected a folder with images"):
        oc.ImageList.from_folder(folder / "a.jpg")


def test_include_limits_the_search_and_names_folders_that_exist(folder: Path) -> None:
    draw(folder / "other" / "d.jpg", RED)
    assert find_images(folder, ["deep", "other", "deep"])[0] == ["deep/c.jpg", "other/d.jpg"]
    message = (
        r"include= names folders that are not in .*: dep.\nExpected one of: deep, other.\nFix: .* Did you mean 'deep'"
    )
    with pytest.raises(DataError, match=message):
        find_images(folder, ["dep"])


def test_existing_files_are_found_in_any_order_of_folders(folder: Path) -> None:
    names = pa.chunked_array([["deep/c.jpg", "a.jpg"], ["deep/x.jpg", "gone/a.jpg", "b.jpg"]])
    assert find_existing(folder, names).tolist() == [True, True, False, False, True]


def test_item_names_are_texts_with_the_suffix() -> None:
    numbers = pa.chunked_array([[1, 2]])
    assert item_names(numbers, ".jpg").to_pylist() == ["1.jpg", "2.jpg"]
    texts = pa.chunked_array([["a", "b"]])
    assert item_names(texts, "") is texts


def test_repeated_rows_are_dropped_and_conflicts_refused() -> None:
    rows = pa.table({"image": ["a", "b", "a"], "label": [1, 2, 1], ITEM: ["a", "b", "a"]})
    unique, skipped = drop_repeated_rows(rows, "image")
    assert unique["image"].to_pylist() == ["a", "b"]
    assert [(entry.path, entry.reason) for entry in skipped] == [("a", "repeated rows")]
    conflict = rows.set_column(1, "label", pa.array([1, 2, 3]))
    with pytest.raises(
        DataError, match=r"1 image is named twice, with different values: a.\n.*\nFix: decide which row"
    ):
        drop_repeated_rows(conflict, "image")


def test_the_error_for_missing_files_suggests_a_suffix(folder: Path) -> None:
    assert str(missing_files(folder, ["a"], 3, "image", "")).splitlines() == [
        f"1 of 3 images is not in {folder}: a.",
        "Expected a file for every row, named by column 'image'.",
        "Fix: pass suffix='.jpg'.",
    ]
    fix = "check folder= and suffix=, or pass missing='drop' to leave those rows out."
    assert missing_files(folder, ["x"], 3, "image", "").fix == fix


@pytest.mark.parametrize("name", ["a" * 9000, f"{'a' * 9000}/x.png", "\0", "\0/x.png"])
def test_names_that_no_file_can_have_are_missing(name: str, photos: Path) -> None:
    """Seen: OSError, "File name too long"."""
    names = pa.chunked_array([["red/red_0.jpg", name]])
    assert find_existing(photos, names).tolist() == [True, False]
    error = missing_files(photos, [name], 2, "image", "")
    assert error.fix.startswith("check folder= and suffix=")
