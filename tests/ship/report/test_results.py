from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import pytest
from PIL import Image

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.cli.training import write_results
from onecycle.ship.report.results import write_report


def test_a_report_has_model_history_and_pictures(photos: Path, tmp_path: Path) -> None:
    learner = tiny(photo_bunch(photos))
    learner.fit_one_cycle(1, "auto")
    written = write_report(learner, tmp_path / "runs" / "one")
    assert {name: path.name for name, path in written.items()} == {
        "model": "model.onecycle",
        "history": "history.csv",
        "history picture": "history_picture.png",
        "training batch": "training_batch.png",
        "example predictions": "example_predictions.png",
        "worst mistakes": "worst_mistakes.png",
        "learning rate 1": "learning_rate_1.png",
        "report": "report.html",
    }
    assert sorted(written.values()) == sorted((tmp_path / "runs" / "one").iterdir())
    for path in written.values():
        if path.suffix == ".png":
            with Image.open(path) as image:
                image.load()
    with written["history"].open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 1
    assert oc.load_model(written["model"]).classes == learner.data.classes


def test_without_jinja2_everything_else_is_written(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == "jinja2" else find(name))
    learner = tiny(photo_bunch(photos))
    learner.fit(1, 1e-3)
    scores = write_results(learner, tmp_path)
    assert scores == learner.validate()
    assert not (tmp_path / "report.html").exists()
    assert oc.load_model(tmp_path / "model.onecycle").classes == learner.data.classes
    told = capsys.readouterr().out.splitlines()
    assert 'No report.html, since jinja2 is not installed: pip install "onecycle[report]"' in told


def test_writing_it_again_replaces_it(photos: Path, tmp_path: Path) -> None:
    learner = tiny(photo_bunch(photos))
    learner.fit(1, 1e-3)
    for _ in range(2):
        write_report(learner, tmp_path)
    assert len(list(tmp_path.iterdir())) == 7
