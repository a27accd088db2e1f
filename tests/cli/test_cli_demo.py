from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from onecycle.demo import make_biwi, make_camvid, make_patterns, make_planet

jobs = importlib.import_module("onecycle.demo.jobs")  # the package has a function of that name
SMALL = {
    "make_camvid": partial(make_camvid, train=4, valid=2, size=(45, 60)),
    "make_biwi": partial(make_biwi, people=2, frames=3, size=(45, 60)),
    "make_planet": partial(make_planet, train=40, test=2, pixels=48),
    "make_patterns": partial(make_patterns, each=6, pixels=48),
}


@pytest.fixture(autouse=True)
def _small_data(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, make in SMALL.items():
        monkeypatch.setattr(jobs, name, make)


@pytest.mark.usefixtures("_tiny_models")
@pytest.mark.slow
def test_tags_and_classes(shell: Any, tmp_path: Path) -> None:
    done = shell("demo", "--out", "show")
    assert done.code == 0, done.err
    for name, about in (("planet", "tags"), ("patterns", "a folder per class")):
        assert (tmp_path / "show" / name / "model.onecycle").is_file()
        assert f"--- {name}: {about} ---\n# images: " in done.out or f"--- {name}: {about} ---\n# task: " in done.out
    assert done.out.count("\nbunch = (\n") == 2


@pytest.mark.usefixtures("_tiny_unfrozen_models")
@pytest.mark.parametrize(("task", "name"), [("segment", "camvid"), ("points", "biwi")])
@pytest.mark.slow
def test_the_demo_of_a_task(task: str, name: str, shell: Any, tmp_path: Path) -> None:
    assert shell("demo", "--task", task, "--out", "show").code == 0
    assert (tmp_path / "show" / name / "model.onecycle").is_file()


def test_an_unknown_task(shell: Any) -> None:
    done = shell("demo", "--task", "sort")
    assert done.code == 2
    assert done.err == "--task sort.\nExpected one of: auto, segment, points, text.\nFix: pass --task auto.\n"


def test_reviews(tmp_path: Path) -> None:
    ((name, (about, pipeline)),) = jobs.jobs(tmp_path, "text").items()
    assert (name, about) == ("reviews", "positive or negative")
    assert len(list((tmp_path / "reviews" / "train" / "pos").iterdir())) == 400
    assert ".tokenize(max_length=128)" in str(pipeline)
