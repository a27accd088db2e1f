"""Prediction in bulk with Ray Data, on a cluster of two workers on this machine."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyarrow import csv
from test_many_machines import block
from typer.testing import CliRunner

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.cli.app import app
from onecycle.ship.bulk_prediction import predict_on_cluster

if "CI" not in os.environ:  # where CI runs, it must be there
    pytest.importorskip("ray", reason="the extra `ray` is not installed: pip install 'onecycle[ray]'")

pytestmark = pytest.mark.filterwarnings("ignore")  # those of Ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def bundle(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(photo_bunch(photos)).export(tmp_path_factory.mktemp("bulk") / "photos.onecycle")


@pytest.fixture(scope="module")
def folder(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty photos in two folders, of which two are cut off."""
    root = tmp_path_factory.mktemp("unlabelled")
    for number, photo in enumerate(sorted(photos.rglob("*.jpg"))):
        path = root / "ab"[number % 2] / f"{number:02}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo.read_bytes()[: 200 if number in (4, 17) else None])
    return root


@pytest.mark.usefixtures("cluster")
def test_a_folder_of_parts_has_a_row_for_every_item(bundle: Path, folder: Path, tmp_path: Path) -> None:
    result = predict_on_cluster(bundle, [f"{folder}/*/*.jpg"], tmp_path / "out", batch_size=2, workers=2)
    assert (result.predicted, result.failed) == (28, 2)
    table = ds.dataset(tmp_path / "out").to_table().sort_by("row")
    items = sorted(map(str, folder.rglob("*.jpg")))
    assert table["row"].to_pylist() == list(range(30))
    assert table["item"].to_pylist() == items
    failed = [Path(item).name for item, why in zip(items, table["error"].to_pylist(), strict=True) if why]
    assert sorted(failed) == ["04.jpg", "17.jpg"]
    model = oc.load_model(bundle)
    readable = [item for item in items if Path(item).name not in failed]
    expected = [one.probabilities["red"] for one in model.predict_many(readable)]
    assert table["p(red)"].drop_null().to_pylist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("cluster")
def test_the_command_writes_one_file_in_order(bundle: Path, folder: Path, tmp_path: Path) -> None:
    command = shlex.split(block("bash ray", "--engine ray").splitlines()[1])
    for name in ("out.csv", "out.parquet"):
        out = tmp_path / name
        places = {"runs/photos/model.onecycle": bundle, "photos/**/*.jpg": folder, "predictions.parquet": out}
        arguments = [str(places.get(word, word)) for word in command[1:]]
        result = CliRunner().invoke(app, arguments)
        assert f"28 predictions written to {out}\n" in result.output
        assert result.output.count("is damaged") + result.output.count("is empty") + result.output.count("is not") == 2
        assert result.exit_code == 2, "as without an engine: some could not be read"
        table = csv.read_csv(out) if name.endswith("csv") else pq.read_table(out)
        names = [str(name).removesuffix(".jpg")[-2:].zfill(2) for name in table["image_name"].to_pylist()]
        assert names == [f"{number:02}" for number in [*range(0, 30, 2), *range(1, 30, 2)]]
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert "exists" in str(again.exception)
