"""What a worker of a prediction in bulk does; `tests/distributed` runs it on a cluster."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.errors import DataError, ModelError
from onecycle.ship import bulk_prediction
from onecycle.ship.bulk_prediction import predict_on_cluster, predict_rows


@pytest.fixture(scope="module")
def bundle(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(photo_bunch(photos)).export(tmp_path_factory.mktemp("bulk") / "photos.onecycle")


@pytest.fixture(scope="module")
def items(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    broken = tmp_path_factory.mktemp("broken") / "broken.jpg"
    broken.write_bytes(b"nothing")
    return [str(broken), *map(str, sorted(photos.rglob("*.jpg"))[:4])]


@pytest.mark.parametrize("csv", [False, True])
def test_every_item_has_a_row(bundle: Path, items: list[str], csv: bool) -> None:
    model = oc.load_model(bundle)
    schema = bulk_prediction._schema(model, items, csv=csv)
    table = predict_rows(model, pa.table({"row": [7, 8, 9, 10, 11], "item": items}), schema)
    assert table.schema == schema
    assert table["row"].to_pylist() == [7, 8, 9, 10, 11]
    assert table["item"].to_pylist() == items
    expected = model.predict_many(items[1:])
    label = "label" if csv else "prediction"
    assert table[label].to_pylist() == [None, *(one.label for one in expected)]
    probabilities = table["p(red)"].to_pylist()
    assert probabilities[1:] == pytest.approx([one.probabilities["red"] for one in expected], abs=1e-6)
    errors = table["error"].to_pylist()
    assert "broken.jpg" in errors[0]
    assert errors[1:] == [None] * 4


def test_a_batch_of_broken_items_is_of_the_same_columns(bundle: Path, items: list[str]) -> None:
    model = oc.load_model(bundle)
    schema = bulk_prediction._schema(model, items, csv=False)
    table = predict_rows(model, pa.table({"row": [0], "item": items[:1]}), schema)
    assert table.schema == schema
    assert table["prediction"].null_count == 1


def test_inputs_of_another_kind_are_refused_before_a_cluster_is_started(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_prediction, "_import_ray", lambda: None)
    (tmp_path / "one.jpg").write_bytes(b"nothing")
    with pytest.raises(DataError, match="None of the first 1 of 1 inputs can be read"):
        predict_on_cluster(bundle, [tmp_path / "one.jpg"], tmp_path / "out")


def test_nothing_is_overwritten(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_prediction, "_import_ray", lambda: None)
    (tmp_path / "earlier.csv").touch()
    for out in (tmp_path, tmp_path / "earlier.csv"):
        with pytest.raises(DataError, match=r"exists\.\nExpected a file or folder that is new"):
            predict_on_cluster(bundle, ["a.jpg"], out)
    with pytest.raises(DataError, match=r"Predictions are not written as \.xlsx"):
        predict_on_cluster(bundle, ["a.jpg"], tmp_path / "new.xlsx")


def test_without_ray_one_line_says_what_to_install(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    imported = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name == "ray":
            raise ImportError("No module named 'ray'")
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.setattr(bulk_prediction.importlib, "import_module", lambda name: __import__(name))
    with pytest.raises(ModelError) as error:
        predict_on_cluster(bundle, ["a.jpg"], tmp_path / "out")
    assert str(error.value) == (
        "Ray Data is not installed: No module named 'ray'.\n"
        "Expected the extra `ray`.\n"
        "Fix: pip install 'onecycle[ray]'."
    )


def test_a_bundle_that_is_a_folder_travels_whole(tmp_path: Path, photos: Path, items: list[str]) -> None:
    folder = tiny(photo_bunch(photos)).export(tmp_path / "photos")
    assert folder.is_dir()
    schema = bulk_prediction._schema(oc.load_model(folder), items, csv=False)
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    worker = bulk_prediction._Worker(bulk_prediction._files_of(folder), schema)
    assert worker(pa.table({"row": [3], "item": items[1:2]}))["row"].to_pylist() == [3]


def test_masks_do_not_fit_into_csv(tmp_path: Path) -> None:
    from patches import make_camvid, mask_bunch, tiny_unet

    root = make_camvid(tmp_path / "camvid")
    model = oc.load_model(tiny_unet(mask_bunch(root)).export(tmp_path / "masks.onecycle"))
    images = sorted(map(str, (root / "images").iterdir()))[:2]
    with pytest.raises(DataError, match="Masks do not fit into a CSV file"):
        bulk_prediction._schema(model, images, csv=True)
    schema = bulk_prediction._schema(model, images, csv=False)
    table = predict_rows(model, pa.table({"row": [0, 1], "item": images}), schema)
    assert table["prediction"][1].as_py().startswith(b"\x89PNG")
