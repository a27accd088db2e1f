"""The data block for a modality of the user's own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest
import torch

import onecycle as oc
from onecycle.errors import DataError, ModelError
from onecycle.registry import register


@dataclass(frozen=True)
class Series(oc.Modality):
    kind: ClassVar[str] = "series_in_json"

    def read(self, item: Any, *, training: bool) -> oc.Reading:
        return oc.Reading(torch.tensor(json.loads(Path(item).read_text())))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("series")
    for name in ("up", "down"):
        (root / name).mkdir()
        for number in range(6):
            values = [float(number + step) for step in range(4)]
            (root / name / f"{number}.json").write_text(json.dumps(values if name == "up" else values[::-1]))
    return root


def test_a_folder_of_files_becomes_batches(folder: Path) -> None:
    items = oc.GenericList.from_folder(folder, Series())
    bunch = items.split_random(0.25, seed=1, stratify="folder").label_from_folder().databunch(4, workers=0)
    batch = next(iter(bunch.train))
    assert bunch.classes == ("down", "up")
    assert batch.inputs.shape == (4, 4)
    rising = batch.inputs[:, -1] > batch.inputs[:, 0]
    assert torch.equal(rising.long(), batch.targets)


def test_a_table_names_the_files(folder: Path) -> None:
    table = pa.table({"file": ["up/0.json", "down/1.json", "up/2.json"], "y": [1.0, 2.0, 3.0]})
    items = oc.GenericList.from_table(table, Series(), column="file", folder=folder)
    labelled = items.split_by_index([0]).label_numbers("y")
    assert labelled.train.names() == ["down/1.json", "up/2.json"]
    with pytest.raises(DataError, match=r"There is no column 'path'\.\nExpected one of: file, y\."):
        oc.GenericList.from_table(table, Series(), column="path")


def test_a_folder_without_items_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No items in .*\.\nExpected at least one file\.\nFix: check the path\."):
        oc.GenericList.from_folder(tmp_path, Series())


def test_a_split_is_found_by_the_name_it_is_registered_under(folder: Path) -> None:
    @register("split", "last_file")
    def last_file(path: Path) -> bool:
        return path.stem == "5"

    items = oc.GenericList.from_folder(folder, Series())
    assert items.split_by("last_file").valid.names() == ["down/5.json", "up/5.json"]
    with pytest.raises(ModelError, match=r"Unknown split 'last'[\s\S]*Did you mean 'last_file'\?"):
        items.split_by("last")


def test_kind_is_the_name_of_the_class_unless_it_says_another() -> None:
    class Signals(oc.Modality):
        def read(self, item: Any, *, training: bool) -> oc.Reading:
            return oc.Reading(item)

    class Sign(oc.Target):
        def encode(self, label: Any) -> Any:
            return label

    assert (Signals.kind, Sign.kind, Series.kind, oc.Category.kind) == ("signals", "sign", "series_in_json", "category")
