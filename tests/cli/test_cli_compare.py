from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_run(path: Path, accuracy: float, seed: int) -> None:
    path.mkdir()
    stored = {"data": "/photos", "options": {"seed": seed}, "finished": True, "scores": {"accuracy": accuracy}}
    (path / "run.json").write_text(json.dumps(stored))
    (path / "history.csv").write_text(f"epoch,accuracy\n1,{accuracy}\n")


def test_runs_are_shown_side_by_side(shell: Any, tmp_path: Path) -> None:
    write_run(tmp_path / "one", 0.75, 1)
    write_run(tmp_path / "two", 0.85, 2)
    done = shell("compare", "one", "two", "--out", "pictures/runs.png")
    assert done.code == 0, done.err
    assert "run  seed  accuracy  epochs  seconds\none     1      0.75" in done.out
    assert "Over seeds" in done.out
    assert (tmp_path / "pictures" / "runs.png").stat().st_size > 1000
    wrong = shell("compare", "one")
    assert "Fix: pass their folders: onecycle compare runs/photos runs/photos-2" in wrong.err
    assert shell("compare", "one", "nothing").code == 2
