"""Runs side by side: what differs, the scores, and the spread over seeds."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from statistics import stdev
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

import onecycle as oc
from onecycle.errors import DataError
from onecycle.ship.report.training import differences


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
    assert [tuple(row.values())[:3] for row in rows] == [("backbone=None", 2, 2), ("backbone=resnet18", 1, 1)]
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
    with pytest.raises(DataError, match=r"compare\(\) of 1 run\.\nExpected two or more\.\nFix: pass their folders"):
        oc.compare(runs[0])
    with pytest.raises(DataError, match=r"compare\(\) of 1 run\."):
        oc.compare(runs[:1])
    assert len(oc.compare(runs[0], runs[1])) == 2


def test_a_list_of_runs_is_those_runs(runs: list[Path]) -> None:
    expected = oc.compare(*runs).table
    for given in (runs, tuple(map(str, runs)), (path for path in runs)):
        assert oc.compare(given).table == expected


@pytest.mark.parametrize("content", [None, "{", "[]", '{"data": "a"}'])
def test_a_folder_without_a_run_is_refused_and_the_fix_works(
    runs: list[Path], tmp_path: Path, content: str | None
) -> None:
    (tmp_path / "none").mkdir()
    if content is not None:
        (tmp_path / "none" / "run.json").write_text(content)
    with pytest.raises(
        DataError, match=r"none has no run\.\nExpected a folder that onecycle train wrote.*\nFix: pass the"
    ):
        oc.compare(runs[0], tmp_path / "none")
    with pytest.raises(DataError, match=r"There is no folder .*other\.\n"):
        oc.compare(runs[0], tmp_path / "other")
    (tmp_path / "none" / "run.json").unlink(missing_ok=True)
    with pytest.raises(DataError) as caught:
        oc.compare(runs[0], tmp_path)
    named = re.search(r"Fix: pass (\S+) (\S+) (\S+)\.$", str(caught.value))
    assert named is not None
    assert len(oc.compare(*named.groups())) == 3


def test_a_run_that_is_not_finished_is_refused_with_the_command_that_goes_on(runs: list[Path], tmp_path: Path) -> None:
    half = write_run(tmp_path / "half done", 0.5, finished=False)
    with pytest.raises(
        DataError, match=r"is not finished\.\n.*\nFix: go on with it, or leave it out: onecycle"
    ) as caught:
        oc.compare(runs[0], half)
    assert shlex.split(str(caught.value))[-5:] == ["train", "/photos", "--out", str(half), "--resume"]
    assert len(oc.compare(runs[0], runs[1])) == 2


def test_a_run_that_is_given_twice_is_refused_and_the_fix_works(runs: list[Path]) -> None:
    with pytest.raises(
        DataError, match=r"A run is given twice: .*\nExpected different runs\.\nFix: name the folder of"
    ):
        oc.compare(runs[0], runs[1], runs[0] / ".." / "one")
    assert len(oc.compare(runs[0], runs[1])) == 2


def test_a_repeated_seed_is_no_second_seed(runs: list[Path], tmp_path: Path) -> None:
    again = write_run(tmp_path / "again", 0.6, seed=1)
    assert "chance is not known" in oc.compare(runs[0], again).note
    row = oc.compare(runs[0], again, runs[1]).spread().table.to_pylist()[0]
    assert (row["runs"], row["seeds"]) == (3, 2)
    assert row["accuracy_std"] == pytest.approx(stdev([0.7, 0.9]))


def test_options_that_change_no_weight_are_no_other_settings(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", 0.8, seed=1, no_progress=False, loggers=None)
    two = write_run(tmp_path / "two", 0.9, seed=2, no_progress=True, loggers="mlflow", checkpoint_activations=True)
    found = oc.compare(one, two)
    assert found.table.column_names == ["run", "seed", "accuracy", "epochs", "seconds"]
    assert list(found.groups) == ["the same"]
    assert differences({"no_progress": True, "lr": 1}, {"no_progress": False, "lr": 1}) is None


class TestSplits:
    def write(self, folder: Path, held_back: list[str], **options: Any) -> Path:
        path = write_run(folder, 0.8, **options)
        items = {"item": ["a", "b", "c"], "split": ["valid" if name in held_back else "train" for name in "abc"]}
        parquet.write_table(pa.table(items), path / "items.parquet")
        return path

    def test_another_seed_with_other_items_is_told_and_the_fix_works(self, tmp_path: Path) -> None:
        runs = [self.write(tmp_path / str(seed), [name], seed=seed) for seed, name in enumerate("ab")]
        note = oc.compare(*runs).note
        assert note.startswith(
            "Another seed also held back other items, so that the spread is of the split too; --valid"
        )
        fixed = [self.write(tmp_path / f"v{seed}", ["a"], seed=seed, valid="valid.txt") for seed in range(2)]
        assert oc.compare(*fixed).note == ""

    def test_runs_that_kept_no_items_may_have_another_split(self, runs: list[Path]) -> None:
        assert "Another seed also holds back other items where the split is random" in oc.compare(*runs[:2]).note

    def test_other_settings_with_other_items_are_told(self, tmp_path: Path) -> None:
        runs = [self.write(tmp_path / str(n), ["a"], seed=n, valid="v.txt") for n in range(2)]
        runs.append(self.write(tmp_path / "more", ["a", "b"], seed=1, valid="w.txt"))
        assert "validated on different items" in oc.compare(*runs).note
