"""Images inside tables and Parquet files: what the whole data block makes of them is what it makes of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import onecycle as oc
from learners import tiny
from onecycle.data import shared_file
from onecycle.data.bunch import DataBunch
from onecycle.data.loader import DataLoader
from onecycle.errors import DataError
from shard_files import photo_files

NAMES = ["blue", "green", "red"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "cache"))


def table_of(files: list[Path], **columns: Any) -> pa.Table:
    """A table as the hub stores it: an image, the number of its class, and tags as numbers."""
    labels = [NAMES.index(file.parent.name) for file in files]
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": NAMES},
        "tags": {"_type": "List", "feature": {"_type": "ClassLabel", "names": ["even", "odd", "blue"]}},
    }
    table = pa.table(
        {
            "image": [{"bytes": file.read_bytes(), "path": file.name} for file in files],
            "label": pa.array(labels, pa.int64()),
            "tags": [[number % 2, 2] if label == 0 else [number % 2] for number, label in enumerate(labels)],
            "number": pa.array([float(number) for number in range(len(files))]),
            **columns,
        }
    )
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


@pytest.fixture
def files(photos: Path) -> list[Path]:
    return photo_files(photos)


@pytest.fixture
def table(files: list[Path]) -> pa.Table:
    return table_of(files)


def bunch_of(images: oc.ImageList, **options: Any) -> DataBunch:
    split = images.split_by_index(range(24, 30)).label_from_column("label")
    return split.transform(32, augment=oc.augment.none()).databunch(8, **{"cache": None, **options})


def as_dataset(table: pa.Table) -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset(table)


def as_parquet(table: pa.Table, tmp_path: Path) -> oc.ImageList:
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=7)
    return oc.ImageList.from_parquet(tmp_path / "a.parquet")


BACKWARDS = [*range(30)][::-1]
MAKERS: dict[str, Any] = {
    "arrow": lambda table, _: oc.ImageList.from_table(table),
    "polars": lambda table, _: oc.ImageList.from_table(pl.from_arrow(named(table))),
    "pandas": lambda table, _: oc.ImageList.from_table(pd.DataFrame(named(table).to_pylist())),
    "datasets": lambda table, _: oc.ImageList.from_table(as_dataset(table)),
    "selected": lambda table, _: oc.ImageList.from_table(as_dataset(table.take(BACKWARDS)).select(BACKWARDS)),
    "binary": lambda table, _: oc.ImageList.from_table(bytes_alone(table)),
    "parquet": as_parquet,
}


def named(table: pa.Table) -> pa.Table:
    """With names for labels, as a frame without metadata has them."""
    return table.set_column(1, "label", pa.array([NAMES[label] for label in table["label"].to_pylist()]))


def bytes_alone(table: pa.Table) -> pa.Table:
    data = pa.array([image["bytes"] for image in table["image"].to_pylist()])
    return named(table).set_column(0, "image", data)


@pytest.mark.parametrize("maker", MAKERS)
def test_pixels_and_labels_are_those_of_the_files(
    maker: str, files: list[Path], table: pa.Table, tmp_path: Path
) -> None:
    images = MAKERS[maker](table, tmp_path)
    plain = oc.ImageList.from_paths(files).split_by_index(range(24, 30))
    folders = plain.label_from_function(lambda path: path.parent.name).transform(32, augment="none").databunch(8)
    bunch = bunch_of(images)
    assert bunch.classes == folders.classes == ("blue", "green", "red")
    for split in ("train", "valid"):
        ours, theirs = (one.read(one.loader(split).dataset, range(6)) for one in (bunch, folders))
        assert torch.equal(ours.inputs, theirs.inputs)
        assert torch.equal(ours.targets, theirs.targets)
    names = [f"row {row}" for row in range(30)] if maker == "binary" else [file.name for file in files]
    assert list(images) == names


def test_all_items_are_shuffled_and_read_by_workers(table: pa.Table, tmp_path: Path) -> None:
    images = as_parquet(table, tmp_path)
    bunch = bunch_of(images, workers=2)
    batches = list(bunch.train.epoch(0))
    rows = torch.cat([batch.index for batch in batches]).tolist()
    assert sorted(rows) == list(range(24))
    assert rows == bunch_of(oc.ImageList.from_table(table)).train.order(0).rows(torch.arange(24)).tolist()
    for one, other in zip(batches, bunch_of(images, workers=0).train.epoch(0), strict=True):
        assert torch.equal(one.inputs, other.inputs)
    bunch.train._processes.close()


@pytest.mark.parametrize("maker", ["arrow", "parquet"])
@pytest.mark.slow
def test_spawned_workers_map_the_images(
    maker: str, table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_file, "LEAST_SHARED", 1)  # as with many images
    bunch = bunch_of(MAKERS[maker](table, tmp_path), workers=0)
    spawned = DataLoader(bunch.train.dataset, batch_size=8, shuffle=True, workers=1, multiprocessing_context="spawn")
    for one, other in zip(spawned.epoch(0), bunch.train.epoch(0), strict=True):
        assert torch.equal(one.inputs, other.inputs)
    spawned._processes.close()


def test_tags_numbers_and_points_are_columns(table: pa.Table) -> None:
    images = oc.ImageList.from_table(table)
    split = images.split_by_index([0, 1])
    assert split.label_from_column("tags").target.classes == ("blue", "even", "odd")
    assert split.label_numbers("number").train[0] == ("green_0.jpg".replace("green", "red"), [2.0])
    points = table.select(["image"]).append_column("x", table["number"]).append_column("y", table["number"])
    columns = oc.ImageList.from_table(points).split_by_index([0, 1])
    assert columns.label_points("all").train[1][1] == [[3.0, 3.0]]
    far = points.set_column(1, "x", pa.array([500.0] * 30))
    with pytest.warns(UserWarning, match=r"30 points are outside their image, in 30 items: red_0\.jpg"):
        oc.ImageList.from_table(far).split_by_index([0, 1]).label_points(["x", "y"])
    with pytest.raises(DataError, match=r"label_points\(\) needs files, and these images are in a table"):
        split.label_points(lambda path: [(0, 0)])
    with pytest.raises(DataError, match=r"label_masks\(\) needs files, and these images are in a table"):
        split.label_masks("{stem}.png", classes=["a", "b"])


def test_lists_of_texts_are_tags(files: list[Path]) -> None:
    table = table_of(files).set_column(2, "tags", pa.array([["a", "b"], ["a"], []] * 10))
    labelled = oc.ImageList.from_table(table).split_by_index([0, 1]).label_from_column("tags")
    assert labelled.target.classes == ("a", "b")
    assert [label for _, label in (labelled.valid[0], labelled.train[0])] == [["a", "b"], []]


def test_training_predicting_and_exporting(table: pa.Table, tmp_path: Path) -> None:
    images = as_parquet(table, tmp_path)
    test = oc.ImageList.from_table(table.slice(20))
    labelled = images.split_random(0.2, stratify="label").label_from_column("label").add_test(test, labelled=True)
    bunch = labelled.transform(None).databunch(8)
    learner = tiny(bunch.resize(32))
    learner.fine_tune(1, 1e-3, frozen_epochs=1)
    assert set(learner.validate("test")) == {"test_loss", "accuracy"}
    learner.export(tmp_path / "a.onecycle")
    loaded = oc.load_model(tmp_path / "a.onecycle")
    predicted = loaded.predict_all(test)
    assert predicted.table["item"].to_pylist() == list(test)
    assert predicted.table["prediction"].to_pylist() == learner.predict_all("test").table["prediction"].to_pylist()
    predicted.to_csv(tmp_path / "a.csv")
    assert "green_9" in (tmp_path / "a.csv").read_text()


def test_a_disk_cache_is_of_the_table_as_it_is(table: pa.Table) -> None:
    def first(part: pa.Table) -> torch.Tensor:
        columns = part.set_column(0, "image", pa.array([image["bytes"] for image in part["image"].to_pylist()]))
        images = oc.ImageList.from_table(columns).split_by_index([0])
        bunch = images.label_from_column("label", classes="all").transform(32).databunch(4, cache="disk")
        inputs: torch.Tensor = next(iter(bunch.valid)).inputs
        return inputs

    assert not torch.equal(first(table.slice(0, 6)), first(table.slice(1, 6)))


def test_a_broken_image_is_told_by_its_path_and_row(files: list[Path], tmp_path: Path) -> None:
    images = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    images[0] = {"bytes": b"no image at all", "path": "b/bad.jpg"}
    images[4] = {"bytes": b"", "path": "empty.jpg"}
    table = table_of(files).set_column(0, "image", pa.array(images))
    whole = oc.ImageList.from_table(table)
    with pytest.raises(DataError, match=r"^b/bad\.jpg \(row 0\) is not an image of a known format\.\nExpected a JPEG"):
        bunch_of(whole, workers=0)
    found = whole.verify()
    assert len(found) == 28
    assert found.left_out() == "\n".join([
        "left out: 1 b/bad.jpg (row 0) is not an image of a known format.: b/bad.jpg",
        "left out: 1 empty.jpg (row 4) is empty (0 bytes).: empty.jpg",
    ])  # fmt: skip
    with pytest.raises(DataError, match=r"These items are not files\.\nExpected items found in a folder"):
        whole.verify(delete=True)
    pq.write_table(bytes_alone(table), tmp_path / "x.parquet", row_group_size=5)
    with pytest.raises(DataError, match=r"^row 0 is not an image"):
        bunch_of(oc.ImageList.from_parquet(tmp_path / "x.parquet"), workers=0)


def test_rows_without_an_image_are_refused_or_left_out(files: list[Path], tmp_path: Path) -> None:
    images = [{"bytes": file.read_bytes(), "path": file.name} for file in files]
    images[3], images[5] = {"bytes": None, "path": "gone.jpg"}, None  # type: ignore[call-overload]
    table = table_of(files).set_column(0, "image", pa.array(images))
    with pytest.raises(DataError, match=r"2 of 30 rows have no image: gone\.jpg, row 5\.\nExpected the bytes") as error:
        oc.ImageList.from_table(table)
    assert "pass missing='drop'" in error.value.fix
    kept = oc.ImageList.from_table(table, missing="drop")
    assert (len(kept), kept.left_out()) == (28, "left out: 2 rows without an image: gone.jpg, row 5")
    assert (kept[2], kept[3]) == ("red_0.jpg", "green_1.jpg")
    assert kept.items.input(3).data == files[4].read_bytes()
    pq.write_table(table, tmp_path / "a.parquet")
    assert len(oc.ImageList.from_parquet(tmp_path / "a.parquet", missing="drop")) == 28
    with pytest.raises(DataError, match="missing='no'"):
        oc.ImageList.from_parquet(tmp_path / "a.parquet", missing="no")


@pytest.mark.parametrize("kind", ["table", "parquet"])
def test_paths_without_bytes_are_files(kind: str, photos: Path, files: list[Path], tmp_path: Path) -> None:
    """As `load_dataset("imagefolder")` gives them, before they are uploaded."""
    type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    names = [file.relative_to(photos).as_posix() for file in files]
    table = table_of(files).set_column(0, "image", pa.array([{"bytes": None, "path": name} for name in names], type))
    if kind == "table":
        images = oc.ImageList.from_table(table, folder=photos)
    else:
        pq.write_table(table, tmp_path / "a.parquet")
        images = oc.ImageList.from_parquet(tmp_path / "a.parquet", folder=photos)
    assert images.paths[0] == photos / "blue/blue_0.jpg"
    assert bunch_of(images).classes == ("blue", "green", "red")


def test_a_column_of_bytes_that_is_no_image_names_none(photos: Path, files: list[Path]) -> None:
    names = [file.relative_to(photos).as_posix() for file in files]
    table = pa.table({"image": names, "checksum": [b"\1\2"] * 30, "label": ["a", "b"] * 15})
    assert oc.ImageList.from_table(table, folder=photos).paths[1] == photos / names[1]
    assert oc.ImageList.from_table(table_of(files), column="image")[0] == "blue_0.jpg"


def test_what_does_not_fit_is_told(table: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"suffix='\.jpg', and the images are inside the table\.") as error:
        oc.ImageList.from_table(table, suffix=".jpg")
    assert "leave them out" in error.value.fix
    two = table.append_column("mask", table["image"])
    with pytest.raises(DataError, match=r"The table has 2 columns that can hold items: image, mask(.|\n)*pass column="):
        oc.ImageList.from_table(two.replace_schema_metadata(None))
    assert len(oc.ImageList.from_table(two, column="mask")) == 30
    with pytest.raises(DataError, match=r"There is no column 'imag'(.|\n)*Did you mean 'image'"):
        oc.ImageList.from_table(table, column="imag")
    with pytest.raises(DataError, match=r"cannot be put together"):
        oc.ImageList.from_table(table) + oc.ImageList.from_table(table)
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.tar is a tar\.\nExpected Parquet files\.\nFix: use from_shards"):
        oc.ImageList.from_parquet(tmp_path / "a.tar")


def test_files_called_after_splits_say_them(table: pa.Table, tmp_path: Path) -> None:
    parts = {"train-00000-of-00002": (0, 12), "train-00001-of-00002": (12, 12), "validation-00000-of-00001": (24, 3)}
    for name, (start, count) in {**parts, "test-00000-of-00001": (27, 3)}.items():
        pq.write_table(table.slice(start, count), tmp_path / f"{name}.parquet", row_group_size=4)
    images = oc.ImageList.from_parquet(tmp_path)
    labelled = images.split_by_column("split", valid="valid", test="test").label_from_column("label")
    assert repr(labelled).startswith("LabelledImages: 24 training, 3 validation, 3 test items (labelled)")
    assert (images[0], images[3], images[29]) == ("blue_9.jpg", "blue_0.jpg", "red_8.jpg")
    shards = images.split_by_shards("validation-*")
    assert len(shards.valid) == 3
    assert "split" not in oc.ImageList.from_parquet(f"{tmp_path}/train-*.parquet").items.table.column_names


def test_a_dataset_with_splits(table: pa.Table) -> None:
    datasets = pytest.importorskip("datasets")
    parts = {"train": table.slice(0, 20), "validation": table.slice(20, 5), "test": table.slice(25)}
    both = datasets.DatasetDict({name: datasets.Dataset(part) for name, part in parts.items()})
    split = oc.ImageList.from_table(both).split_by_column("split", valid="valid", test="test")
    assert repr(split.label_from_column("label")).startswith("LabelledImages: 20 training, 5 validation, 5 test items")
    frames = {name: pl.from_arrow(named(part)) for name, part in parts.items()}
    assert oc.ImageList.from_table(frames).split_by_column("split", valid="valid").valid.table.num_rows == 5
    with pytest.raises(DataError, match="The tables train, validation, test have a column called 'split'") as error:
        oc.ImageList.from_table({name: part.append_column("split", part["label"]) for name, part in parts.items()})
    assert "rename it, or pass one of them, such as dataset['train']" in error.value.fix
    with pytest.raises(DataError, match="Cannot read a table from dict"):
        oc.ImageList.from_table({"image": ["a.jpg"]})


def test_names_that_recur_are_told_apart_by_file_and_row(table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table.slice(0, 20), tmp_path / "a.parquet")
    pq.write_table(table.slice(10), tmp_path / "b.parquet")
    images = oc.ImageList.from_parquet([tmp_path / "a.parquet", tmp_path / "b.parquet"])
    assert (images[0], images[20]) == ("a.parquet/row 0", "b.parquet/row 0")
    same = pa.array([{"bytes": image["bytes"], "path": "x.jpg"} for image in table["image"].to_pylist()])
    assert oc.ImageList.from_table(table.set_column(0, "image", same))[3] == "row 3"


def test_an_image_that_would_fill_the_memory_is_refused(table: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    images = oc.ImageList.from_table(table)
    monkeypatch.setenv("ONECYCLE_DECODE_LIMIT", "1000")
    with pytest.raises(DataError, match=r"\.jpg \(row \d+\) takes .* 48x40 pixels(.|\n)*ONECYCLE_DECODE_LIMIT"):
        bunch_of(images, workers=0)


def test_a_notebook_shows_names_and_columns_and_no_places(table: pa.Table) -> None:
    shown = oc.ImageList.from_table(table)._repr_html_()
    assert "<th>item</th><th>label</th><th>tags</th><th>number</th>" in shown
    assert "shard" not in shown
