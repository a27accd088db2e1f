"""Items by index, read by the modality and labelled by the target."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import onecycle as oc
from onecycle.data.categories import Category
from onecycle.data.dataset import Dataset
from onecycle.data.loader import DataLoader
from onecycle.data.rows import ITEM, LABEL, Rows
from onecycle.vision.images import Images

TARGET = Category(("blue", "green", "red"))


def dataset_of(names: list[str], root: Path, *, labelled: bool = True) -> Dataset:
    """Photos at 8x8 pixels, labelled by their folder."""
    columns = {ITEM: names} | ({LABEL: [name.split("/")[0] for name in names]} if labelled else {})
    return Dataset(Rows(pa.table(columns), root), Images((8, 8)), TARGET, training=False)


@pytest.fixture
def dataset(photos: Path) -> Dataset:
    return dataset_of([f"{name}/{name}_{number}.jpg" for number in range(4) for name in TARGET.classes], photos)


def test_a_dataset_is_items_and_a_length(dataset: Dataset) -> None:
    assert isinstance(dataset, Dataset)
    assert len(dataset) == 12
    sample = dataset[1]
    assert (sample.input.shape, sample.input.dtype) == ((8, 8, 3), np.uint8)
    assert (sample.target.item(), sample.index) == (1, 1)
    assert (dataset.name(1), dataset.label(1), list(dataset.labels() or ())[:2]) == (
        "green/green_0.jpg",
        "green",
        ["blue", "green"],
    )


def test_items_without_labels_have_no_targets(photos: Path) -> None:
    dataset = dataset_of(["red/red_0.jpg", "red/red_1.jpg"], photos, labelled=False)
    assert (dataset.label(0), dataset.labels(), dataset[0].target) == (None, None, None)
    assert next(iter(DataLoader(dataset, batch_size=2))).targets is None


def test_only_a_data_error_makes_a_bad_item(dataset: Dataset) -> None:
    """A mistake in our own code must not pass for a broken file."""

    class Faulty(Images):
        def sample(self, *args: Any, **options: Any) -> Any:
            raise ZeroDivisionError

    dataset.modality = Faulty(**dataclasses.asdict(Images((8, 8))))
    with pytest.raises(ZeroDivisionError):
        dataset.fetch(0)


def test_the_public_name_is_this_dataset() -> None:
    assert oc.Dataset is Dataset


def test_a_million_rows_stay_in_arrow() -> None:
    """A Python object an item would be copied into every worker as it is read (pytorch#13246)."""
    count = 1_000_000
    numbers = pa.array(np.arange(count)).cast(pa.string())
    table = pa.table({ITEM: numbers, LABEL: pa.array(np.arange(count) % 2).cast(pa.string()), "kind": numbers})
    dataset = Dataset(Rows(table, Path("photos")), Images(), Category(("0", "1")), training=True)

    arrow = {name: value for name, value in vars(dataset).items() if isinstance(value, pa.ChunkedArray)}
    assert set(arrow) == {"_items", "_labels"}
    assert [value for value in vars(dataset).values() if isinstance(value, list | tuple | dict | np.ndarray)] == []
    before = pa.total_allocated_bytes()
    assert (dataset.name(count - 1), dataset.label(count - 1)) == ("999999", "1")
    assert pa.total_allocated_bytes() - before < 1_000, "reading one item copies no column"

    sent = pickle.dumps(dataset, protocol=5)
    assert len(sent) < 2 * table.nbytes
    assert pickle.loads(sent).name(count - 1) == "999999"
