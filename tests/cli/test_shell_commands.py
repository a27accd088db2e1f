"""The commands of docs/shell.md run as they are printed."""

from __future__ import annotations

import csv
import re
import shlex
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onecycle as oc
from learners import tiny
from onecycle.demo import make_camvid, make_patterns, make_planet, make_reviews

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs/shell.md"
COMMANDS = re.findall(r"^    (onecycle .*?)(?:  +#.*)?$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
UNTRAINED: dict[str, Any] = {"pretrained": False, "progress": False}


class Stop(oc.Callback):
    """Ends the run like Ctrl-C after the first epoch."""

    def on_epoch_end(self, state: Any, event: Any) -> None:
        raise KeyboardInterrupt


def command(start: str) -> list[str]:
    """The arguments of the command on the page that starts so, with its file names filled in as a shell does."""
    found = min((each for each in COMMANDS if each.startswith(f"onecycle {start}")), key=len)
    words = [sorted(glob(word)) if "/*" in word else [word] for word in shlex.split(found)[1:]]
    return [name for word in words for name in word]


@pytest.fixture
def tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    unet = oc.unet_learner
    monkeypatch.setattr(oc, "vision_learner", tiny, raising=False)
    monkeypatch.setattr(
        oc, "unet_learner", lambda bunch, **options: unet(bunch, "test_efficientnet", **UNTRAINED, **options),
        raising=False,
    )  # fmt: skip


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return make_patterns(tmp_path / "photos", each=6, pixels=32)


def test_the_page_shows_each_command() -> None:
    shown = {"train", "report", "check", "predict", "serve", "review", "learn", "export", "info", "doctor", "demo"}
    assert {each.split()[1] for each in COMMANDS} == shown


@pytest.mark.usefixtures("tiny_models", "photos")
def test_photos(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = shell(*command("train photos/"))
    assert first.code == 0, first.err
    assert shell(*command("report runs/photos")).code == 0
    assert shell(*command("check photos/")).code == 0
    assert "predicts category: checks, dots, rings, stripes" in shell(*command("info runs/photos")).out
    assert shell(*command("doctor")).code == 0
    assert shell(*command("export runs/photos")).code == 0
    assert Path("photos.onnx").stat().st_size > 0
    nothing = shell(*command("learn runs/photos"))
    assert nothing.code == 2
    assert "onecycle serve runs/photos" in nothing.err
    assert "24 predictions written to predictions.csv" in shell(*command("predict runs/photos")).out
    monkeypatch.setattr(
        oc,
        "vision_learner",
        lambda bunch, callbacks=(), **options: tiny(bunch, callbacks=[*callbacks, Stop()], **options),
    )
    stopped = shell(*command("train photos/ --sizes"))
    assert stopped.code == 130
    monkeypatch.setattr(oc, "vision_learner", tiny)
    resumed = shell(*command("train photos/ --resume"))
    assert resumed.code == 0, resumed.err
    assert "Written to runs/photos-2/" in resumed.out


@pytest.mark.usefixtures("tiny_models")
def test_planet(shell: Any, tmp_path: Path) -> None:
    make_planet(tmp_path / "planet", train=24, test=2, pixels=32)
    done = shell(*command("train planet/"))
    assert done.code == 0, done.err
    assert 'label_from_column("tags", delimiter=" ", classes="all")' in done.out


@pytest.mark.usefixtures("tiny_models")
def test_camvid(shell: Any, tmp_path: Path) -> None:
    make_camvid(tmp_path / "camvid", train=6, valid=2, size=(30, 40))
    done = shell(*command("train camvid/"), "--epochs", "1", "--sizes", "24")
    assert done.code == 0, done.err


@pytest.mark.usefixtures("tiny_models")
def test_faces(shell: Any, tmp_path: Path) -> None:
    root = tmp_path / "faces"
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    rows = [["", "0", "1", "2", "3"]]
    for number in range(12):
        name = f"{'abc'[number % 3]}_{number:02d}.jpg"
        Image.fromarray(rng.integers(0, 255, (24, 24, 3), np.uint8)).save(root / "images" / name)
        rows.append([name, *map(str, rng.integers(3, 20, 4))])
    with (root / "keypoints.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    done = shell(*command("train faces/"), "--epochs", "1", "--sizes", "24")
    assert done.code == 0, done.err


def test_reviews(shell: Any, tmp_path: Path) -> None:
    make_reviews(tmp_path / "aclImdb", train=16, test=8, unsup=2)
    done = shell(*command("train aclImdb/"), "--epochs", "1", "--sizes", "16")
    assert done.code == 0, done.err
    answer = shell(*command("predict runs/aclImdb"))
    assert re.match(r"What a film!\t(neg|pos)\t0\.", answer.out)
