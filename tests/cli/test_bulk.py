"""`onecycle predict --engine ray`: inputs and outputs are those without it. The cluster is this process here."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onecycle.ship import bulk_prediction
from onecycle.ship.bulk_prediction import BulkResult, predict_rows


@pytest.fixture
def _cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    def predict_here(bundle: Path, model: Any, items: Sequence[str], out: Path) -> BulkResult:
        schema = bulk_prediction._schema(model, items, csv=False)
        table = predict_rows(model, pa.table({"row": range(len(items)), "item": list(items)}), schema)
        pq.write_table(table, out)
        return BulkResult(out, table["error"].null_count, len(table) - table["error"].null_count)

    monkeypatch.setattr(bulk_prediction, "predict_items", predict_here)


@pytest.mark.usefixtures("_cluster")
@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet"])
def test_files_are_those_without_ray(shell: Any, bundle: Path, tagged: Path, tmp_path: Path, suffix: str) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_text("no image")
    given = [tagged, broken]
    alone = shell("predict", bundle, *given, "--out", f"alone{suffix}")
    many = shell("predict", bundle, *given, "--out", f"many{suffix}", "--engine", "ray")
    assert (alone.code, many.code) == (2, 2)
    if suffix == ".parquet":
        assert pq.read_table("alone.parquet").equals(pq.read_table("many.parquet"))
    else:
        assert Path(f"alone{suffix}").read_text() == Path(f"many{suffix}").read_text()
    assert "broken.jpg is not an image" in many.err
    refused = shell("predict", bundle, *given, "--out", f"many{suffix}", "--engine", "ray")
    assert f"many{suffix} exists." in refused.err
    assert shell("predict", bundle, *given, "--out", f"many{suffix}", "--engine", "ray", "--overwrite").code == 2


@pytest.mark.usefixtures("_cluster")
def test_a_table_of_items_and_a_glob(shell: Any, bundle: Path, tagged: Path) -> None:
    done = shell("predict", bundle, tagged / "labels.csv", "--out", "rows.csv", "--engine", "ray")
    assert done.code == 0, done.err
    with Path("rows.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 24
    done = shell("predict", bundle, tagged / "**" / "*.png", "--out", "glob.csv", "--engine", "ray")
    assert "24 predictions written to glob.csv" in done.out


@pytest.mark.usefixtures("_cluster")
def test_a_mistyped_suffix_and_tiles_are_refused(shell: Any, bundle: Path, tagged: Path) -> None:
    done = shell("predict", bundle, tagged, "--out", "rows.csv", "--engine", "ray", "--tiles")
    assert "--tiles with --engine ray.\nExpected one of them.\nFix: leave --engine out" in done.err
    done = shell("predict", bundle, tagged, "--engine", "ray")
    assert "--engine ray needs --out." in done.err
    done = shell("predict", bundle, tagged, "--out", "folder", "--engine", "ray")
    assert "24 predictions and 0 errors written to folder/" in done.out
