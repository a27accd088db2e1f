"""Where the images are: folders, tables and paths, and everything that may be wrong with them."""

import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import onecycle as oc
from conftest import draw
from onecycle.data.modality import Batch
from onecycle.data.target import Category
from onecycle.errors import DataError
from onecycle.vision import images as images_module
from onecycle.vision.images import Images

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


# From a folder.


def test_images_are_found_at_any_depth_in_a_stated_order(folder: Path) -> None:
    items = oc.ImageList.from_folder(folder)
    assert items.items.names() == ["a.jpg", "b.jpg", "deep/c.jpg"]
    assert oc.ImageList.from_folder(str(folder)).items.names() == items.items.names()
    assert items.skipped == ()


def test_content_tells_an_image_and_not_its_name(folder: Path) -> None:
    (folder / "a.jpg").rename(folder / "photo")
    draw(folder / "really.png", RED).rename(folder / "named.jpg")
    assert set(oc.ImageList.from_folder(folder).items.names()) == {"photo", "named.jpg", "b.jpg", "deep/c.jpg"}


def test_what_is_left_out_is_listed_with_its_reason(folder: Path) -> None:
    draw(folder / ".hidden.jpg", RED)
    draw(folder / ".git" / "x.jpg", RED)
    draw(folder / "__MACOSX" / "x.jpg", RED)
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("hello")
    (folder / "notes.txt").write_text("hello")
    (folder / "broken_link.jpg").symlink_to(folder / "nowhere.jpg")
    os.mkfifo(folder / "pipe.jpg")  # reading it would wait for ever
    draw(folder / "x.jpg", RED).rename(f"{folder}/latin\udce9.jpg")

    items = oc.ImageList.from_folder(folder)
    assert items.items.names() == ["a.jpg", "b.jpg", "deep/c.jpg"]
    assert {entry.path: entry.reason for entry in items.skipped} == {
        ".hidden.jpg": "hidden",
        ".git": "hidden",
        "__MACOSX": "hidden",
        "empty.jpg": "empty images",
        "text.jpg": "images broken at their start",
        "notes.txt": "other files",
        "broken_link.jpg": "unreadable",
        "pipe.jpg": "unreadable",
        r"'latin\udce9.jpg'": "names that are not UTF-8",
    }


def test_a_directory_named_jpg_is_a_directory(folder: Path) -> None:
    draw(folder / "x.jpg" / "inside.jpg", RED)
    assert "x.jpg/inside.jpg" in oc.ImageList.from_folder(folder).items.names()


def test_linked_folders_are_followed_and_loops_are_not(folder: Path, tmp_path: Path) -> None:
    draw(tmp_path / "elsewhere" / "d.jpg", RED)
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "deep" / "loop").symlink_to(folder)
    assert oc.ImageList.from_folder(folder).items.names() == ["a.jpg", "b.jpg", "deep/c.jpg", "link/d.jpg"]


def test_unreadable_files_and_folders_are_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated, since tests may run as root, whom no mode of a file hinders."""

    def locked(path: Any, *args: Any, **options: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    scandir = os.scandir
    monkeypatch.setattr(
        images_module.os, "scandir", lambda path: (locked if Path(path).name == "deep" else scandir)(path)
    )
    monkeypatch.setattr(
        images_module, "open", lambda path, mode: (locked if "b.jpg" in path else open)(path, mode), raising=False
    )
    items = oc.ImageList.from_folder(folder)
    assert items.items.names() == ["a.jpg"]
    assert {entry.path: entry.reason for entry in items.skipped} == {"b.jpg": "unreadable", "deep": "unreadable"}


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    message = r"No images in .*: the folder is empty.\nExpected at least one JPEG, PNG.*\nFix: check the path"
    with pytest.raises(DataError, match=message):
        oc.ImageList.from_folder(tmp_path)


def test_a_folder_of_text_files_is_an_error_that_says_what_was_found(tmp_path: Path) -> None:
    for name in ("a.txt", "b.csv", "README"):
        (tmp_path / name).write_text("hello")
    with pytest.raises(DataError, match=r"No images in .*: found .csv, .txt, no suffix.\nExpected at least one"):
        oc.ImageList.from_folder(tmp_path)


def test_a_missing_folder_and_a_file_are_errors(folder: Path) -> None:
    with pytest.raises(DataError, match=r"No such folder: .*nowhere.\nExpected a folder with images.*\nFix: check"):
        oc.ImageList.from_folder(folder / "nowhere")
    with pytest.raises(DataError, match=r"a.jpg is a file.\nExpected a folder with images"):
        oc.ImageList.from_folder(folder / "a.jpg")


# From paths.


def test_paths_are_taken_as_they_are(folder: Path) -> None:
    items = oc.ImageList.from_paths([folder / "b.jpg", str(folder / "a.jpg")])
    assert [items.items.locate(name) for name in items.items.names()] == [str(folder / "b.jpg"), str(folder / "a.jpg")]


@pytest.mark.parametrize("paths", [[], "a.jpg"])
def test_no_paths_or_a_single_text_are_an_error(paths: Any) -> None:
    with pytest.raises(DataError, match=r"paths=.*\nExpected a list of at least one path.\nFix: pass \[path\]"):
        oc.ImageList.from_paths(paths)


# From a CSV or a table.


def test_a_csv_names_images_and_keeps_its_columns(folder: Path) -> None:
    path = write_csv(folder, "side,image,tags\n0,a,x y\n1,deep/c,\n")
    items = oc.ImageList.from_csv(path, column="image", suffix=".jpg")
    assert items.items.names() == ["a.jpg", "deep/c.jpg"]
    assert items.items.root == folder, "the CSV's own folder"
    assert items.items.column("tags").to_pylist() == ["x y", ""]


def test_the_first_column_names_the_images_unless_told(folder: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path, "image,label\na.jpg,1\nb.jpg,2\n")
    assert oc.ImageList.from_csv(path, folder=folder).items.names() == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("text", ["\ufeffimage,tags\na.jpg,x y\n", "image,tags\r\na.jpg,x y\r\n"], ids=["mark", "CRLF"])
def test_byte_order_marks_and_crlf_do_not_hinder(text: str, folder: Path) -> None:
    items = oc.ImageList.from_csv(write_csv(folder, text), column="image")
    assert (items.items.names(), items.items.column("tags").to_pylist()) == (["a.jpg"], ["x y"])


def test_empty_tags_are_no_tags(folder: Path) -> None:
    path = write_csv(folder, "image,tags\na.jpg,x y\nb.jpg,\ndeep/c.jpg,y x\n")
    labelled = oc.ImageList.from_csv(path).split_by_index([2]).label_from_column("tags", delimiter=" ")
    assert labelled.train.table["#label"].to_pylist() == [["x", "y"], []]


def test_missing_images_are_an_error_that_lists_them(folder: Path) -> None:
    path = write_csv(folder, "image\na.jpg\nlost.jpg\nother/lost.jpg\n")
    message = r"2 of 3 images are not in .*: lost.jpg, other/lost.jpg.\nExpected a file for every row.*\nFix: .*='drop'"
    with pytest.raises(DataError, match=message):
        oc.ImageList.from_csv(path)


def test_missing_images_may_be_dropped_and_are_listed(folder: Path) -> None:
    items = oc.ImageList.from_csv(write_csv(folder, "image\na.jpg\nlost.jpg\n"), missing="drop")
    assert items.items.names() == ["a.jpg"]
    assert [(entry.path, entry.reason) for entry in items.skipped] == [("lost.jpg", "missing")]
    with pytest.raises(DataError, match="1 of 1 images are not in"):
        oc.ImageList.from_csv(write_csv(folder, "image\nlost.jpg\n"), missing="drop")


def test_rows_are_looked_up_whatever_the_order_of_their_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onecycle.data.items.SLICE", 2)
    path = write_csv(folder, "image\ndeep/c\nb\ndeep/lost\na\ngone/c\n./b\n")
    items = oc.ImageList.from_csv(path, suffix=".jpg", missing="drop")
    assert items.items.names() == ["deep/c.jpg", "b.jpg", "a.jpg", "./b.jpg"]
    assert [entry.path for entry in items.skipped] == ["deep/lost.jpg", "gone/c.jpg"]


def test_many_rows_are_few_python_objects(folder: Path) -> None:
    for number in range(100):
        (folder / f"{number:02}").symlink_to("deep")
        draw(folder / "deep" / f"{number:02}.jpg", RED)
    names = pa.array([f"{row % 100:02}/{row // 100:02}.jpg" for row in range(10_000)])
    tracemalloc.start()
    items = oc.ImageList.from_table(pa.table({"image": names}), folder=folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(items) == 10_000
    # A text alone takes 58 bytes; what is left are row numbers and flags.
    assert peak / len(items) < 40


def test_a_forgotten_suffix_is_noticed(folder: Path) -> None:
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


def test_conflicting_rows_are_an_error(folder: Path) -> None:
    path = write_csv(folder, "image,label\na.jpg,x\nb.jpg,y\na.jpg,z\n")
    message = r"1 images are named twice, with different values: a.jpg.\nExpected one row an image.\nFix: decide which"
    with pytest.raises(DataError, match=message):
        oc.ImageList.from_csv(path)


def test_a_missing_image_column_is_an_error(folder: Path) -> None:
    path = write_csv(folder, "image,label\na.jpg,x\n")
    with pytest.raises(DataError, match=r"no column 'images'.\nExpected one of: image, label.\nFix: .*mean 'image'"):
        oc.ImageList.from_csv(path, column="images")


def test_the_wrong_separator_is_noticed(folder: Path) -> None:
    path = write_csv(folder, "image;label\na.jpg;x\n")
    with pytest.raises(DataError, match=r"no column 'image'.\n.*\nFix: the fields look separated by ';': pass separat"):
        oc.ImageList.from_csv(path, column="image")
    assert oc.ImageList.from_csv(path, separator=";").items.names() == ["a.jpg"]


def test_a_table_without_rows_is_an_error() -> None:
    with pytest.raises(DataError, match=r"The table has no rows.\nExpected a row an image.\nFix: check the file"):
        oc.ImageList.from_table(pa.table({"image": pa.array([], pa.string())}))


def test_a_csv_with_a_header_alone_is_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match="The table has no rows"):
        oc.ImageList.from_csv(write_csv(folder, "image,label\n"))


def test_a_table_leaves_the_users_table_alone(folder: Path) -> None:
    rows = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "label": [1, 2]})
    before = rows.copy()
    oc.ImageList.from_table(rows, folder=folder).split_by_index([0])
    pd.testing.assert_frame_equal(rows, before)


# Transforming.


def labelled(photos: Path) -> Any:
    return oc.ImageList.from_folder(photos).split_random(0.2, stratify="folder").label_from_folder()


def test_transform_says_size_method_and_augmentation(photos: Path) -> None:
    before = labelled(photos)
    after = before.transform((48, 64), resize="pad", augment=oc.augment.none())
    assert after.modality == Images((48, 64), "pad", oc.augment.none())
    assert before.modality == Images(), "the list itself stays as it was"
    assert before.transform(32).modality == Images((32, 32), "crop", oc.augment.default())


@pytest.mark.parametrize("size", [0, -1, (8, 0)])
def test_a_size_is_at_least_a_pixel(size: Any, photos: Path) -> None:
    with pytest.raises(
        DataError, match=r"size=.*\nExpected pixels, one number or \(height, width\).\nFix: pass size=128"
    ):
        labelled(photos).transform(size)


def test_an_unknown_way_to_resize_is_an_error_with_the_nearest(photos: Path) -> None:
    message = (
        r"resize='sqush'.\nExpected \"crop\", \"squish\" or \"pad\".\nFix: pass one of them. Did you mean 'squish'"
    )
    with pytest.raises(DataError, match=message):
        labelled(photos).transform(32, resize="sqush")


# Reading, stacking, preparing, showing.


def batch_of(modality: Images, photos: Path, *, training: bool) -> Batch:
    target = Category(("a", "b"))
    paths = [str(photos / "red" / f"red_{number}.jpg") for number in range(3)]
    samples = [modality.sample(path, "b", target, row, training=training) for row, path in enumerate(paths)]
    return Batch(modality.stack([s.input for s in samples]), torch.stack([s.target for s in samples]), torch.arange(3))


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_is_uint8_until_the_device_and_channels_last_after(training: bool, photos: Path) -> None:
    modality = Images((20, 31), augment=oc.augment.default())
    batch = batch_of(modality, photos, training=training)
    assert batch.inputs.dtype == torch.uint8
    assert batch.inputs.shape == (3, *modality.item_shape(training=training))
    generator = torch.Generator().manual_seed(0) if training else None
    prepared = modality.prepare(batch, Category(("a", "b")), generator)
    assert prepared.inputs.shape == (3, 3, 20, 31)
    assert prepared.inputs.is_contiguous(memory_format=torch.channels_last)
    assert prepared.inputs.dtype == (torch.float32 if training else torch.uint8)
    assert torch.equal(prepared.targets, batch.targets)


def test_prediction_sees_the_pixels_as_read(photos: Path) -> None:
    modality = Images((20, 31), augment=oc.augment.default())
    batch = batch_of(modality, photos, training=False)
    prepared = modality.prepare(batch, Category(("a", "b")), None)
    assert torch.equal(prepared.inputs.permute(0, 2, 3, 1), batch.inputs)


def test_training_reads_a_margin_for_turning_and_prediction_none() -> None:
    modality = Images((100, 200), augment=oc.augment.default())
    assert modality.item_shape(training=True) == (115, 230, 3)
    assert modality.item_shape(training=False) == (100, 200, 3)
    assert Images((100, 200)).item_shape(training=True) == (100, 200, 3)


def test_an_item_without_a_label_has_no_target(photos: Path) -> None:
    sample = Images((8, 8)).sample(np.zeros((9, 9, 3), np.uint8), None, Category(("a", "b")), 7, training=False)
    assert (sample.target, sample.index) == (None, 7)


def test_resizing_keeps_method_and_augmentation() -> None:
    modality = Images((8, 8), "pad", oc.augment.satellite())
    assert modality.resize(16) == Images((16, 16), "pad", oc.augment.satellite())
    assert modality.resize((16, 24)).size == (16, 24)
    assert modality.size == (8, 8)


def test_a_bundle_gets_size_and_method_but_no_augmentation() -> None:
    config = Images((8, 12), "pad", oc.augment.default()).to_config()
    assert config == {"kind": "images", "size": [8, 12], "method": "pad"}
    assert Images.from_config(config) == Images((8, 12), "pad")


def test_images_can_be_sent_to_a_worker() -> None:
    modality = Images((8, 12), "pad", oc.augment.default())
    assert pickle.loads(pickle.dumps(modality)) == modality


def test_show_draws_the_pixels() -> None:
    axes = matplotlib.figure.Figure().subplots()
    Images().show(axes, torch.tensor([300.0, 100.4, -5.0]).view(3, 1, 1).expand(3, 4, 5))
    shown = axes.images[0].get_array()
    assert shown.shape == (4, 5, 3)
    assert shown[0, 0].tolist() == [255, 100, 0]


def test_describe_tells_the_steps() -> None:
    read, training, model = Images((10, 20), "pad", oc.augment.satellite()).describe()
    assert read.startswith("decode at the smallest scale that covers 12x23 pixels")
    assert read.endswith("pad")
    assert training.startswith("augment: Dihedral (1), Zoom 1.1 1 (0.75)")
    assert model == "10x20 pixels"
