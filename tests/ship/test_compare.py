"""Runs side by side: what differs, the scores, and the spread over seeds."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest

import onecycle as oc
from onecycle.errors import DataError


def write_run(path: Path, accuracy: float, *, finished: bool = True, **options: Any) -> Path:
    path.mkdir()
    stored = {"data": "/photos", "options": {"lr": "auto", **options}, "finished": finished,
              "scores": {"accuracy": accuracy}, "seconds": 12.5}  # fmt: skip
    (path / "run.json").write_text(json.dumps(stored))
    (path / "history.csv").write_text(f"epoch,stage,accuracy\n1,head,0.5\n2,all,{accuracy}\n")
    return path


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [
        write_run(tmp_path / "one", 0.8, seed=1),
        write_run(tmp_path / "two", 0.9, seed=2),
        write_run(tmp_path / "$x$", 0.7, seed=1, backbone="resnet18"),
    ]


def test_a_row_a_run_with_what_differs_alone(runs: list[Path]) -> None:
    table = oc.compare(*runs).table
    assert table.column_names == ["run", "backbone", "seed", "accuracy", "epochs", "seconds"]
    assert table["accuracy"].to_pylist() == [0.8, 0.9, 0.7]
    assert table["backbone"].to_pylist() == ["", "", "resnet18"]


def test_runs_that_differ_in_the_seed_alone_are_one_group(runs: list[Path]) -> None:
    found = oc.compare(*runs)
    rows = found.spread().table.to_pylist()
    assert [(row["settings"], row["runs"]) for row in rows] == [("backbone=None", 2), ("backbone=resnet18", 1)]
    assert rows[0]["accuracy"] == pytest.approx(0.85)
    assert rows[0]["accuracy_std"] == pytest.approx(stdev([0.8, 0.9]))
    assert rows[1]["accuracy_std"] is None
    assert "Over seeds" in repr(found)


def test_without_a_second_seed_chance_is_not_known(runs: list[Path]) -> None:
    assert "chance is not known" in oc.compare(runs[0], runs[2]).note


def test_the_picture_has_a_curve_a_run(runs: list[Path]) -> None:
    curves = oc.compare(*runs).plot().axes[0]
    assert [line.get_ydata().tolist() for line in curves.lines] == [[0.5, 0.8], [0.5, 0.9], [0.5, 0.7]]  # type: ignore[union-attr]


def test_one_run_is_refused_and_the_fix_works(runs: list[Path]) -> None:
    with pytest.raises(DataError, match=r"compare\(\) of 1 runs\.\nExpected two or more\.\nFix: pass their folders"):
        oc.compare(runs[0])
    assert len(oc.compare(runs[0], runs[1])) == 2


@pytest.mark.parametrize("content", [None, "{", "[]", '{"data": "a", "options": {}, "finished": false}'])
def test_a_folder_without_a_finished_run_is_refused(runs: list[Path], tmp_path: Path, content: str | None) -> None:
    (tmp_path / "none").mkdir()
    if content is not None:
        (tmp_path / "none" / "run.json").write_text(content)
    with pytest.raises(DataError, match=r"none has no finished run\.\nExpected the folder[\s\S]*Fix: check the path"):
        oc.compare(runs[0], tmp_path / "none")
