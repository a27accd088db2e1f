"""Masks, points and numbers through the recipes and the command line, in the layouts in which data is published."""

from __future__ import annotations

import csv
import importlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onecycle as oc
from learners import tiny
from onecycle.cli import main
from onecycle.demo import make_biwi, make_camvid
from onecycle.errors import DataError
from onecycle.recipes import sentence_for

jobs = importlib.import_module("onecycle.demo.jobs")  # the package has a function of that name
TINY: dict[str, Any] = {"pretrained": False, "progress": False}


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_camvid(tmp_path_factory.mktemp("streets") / "camvid", train=6, valid=2, size=(45, 60))


@pytest.fixture(scope="module")
def segnet(camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same streets in the other published layout: train/ beside trainannot/."""
    root = tmp_path_factory.mktemp("segnet")
    held = set((camvid / "valid.txt").read_text().split())
    for side in ("train", "val"):
        (root / side).mkdir()
        (root / f"{side}annot").mkdir()
    for image in sorted((camvid / "images").iterdir()):
        side = "val" if image.name in held else "train"
        (root / side / image.name).write_bytes(image.read_bytes())
        mask = camvid / "labels" / f"{image.stem}_P.png"
        (root / f"{side}annot" / image.name).write_bytes(mask.read_bytes())
    (root / "codes.txt").write_text((camvid / "codes.txt").read_text())
    return root


@pytest.fixture(scope="module")
def biwi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_biwi(tmp_path_factory.mktemp("heads") / "biwi", people=3, frames=4, size=(45, 60))


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images of three people, and a CSV of two points in each."""
    root = tmp_path_factory.mktemp("dots")
    rows = [["file", "left_x", "left_y", "right_x", "right_y"]]
    rng = np.random.default_rng(0)
    for number in range(12):
        name = f"{'abc'[number % 3]}_{number}.png"
        Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)).save(root / name)
        rows.append([name, *map(str, rng.integers(3, 27, 4))])
    with (root / "points.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


@pytest.fixture
def _tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    make = oc.unet_learner
    monkeypatch.setattr(oc, "vision_learner", partial(tiny, frozen=False), raising=False)
    monkeypatch.setattr(
        oc, "unet_learner", lambda bunch, **options: make(bunch, "test_efficientnet", **TINY, **options), raising=False
    )


def shell(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def test_fast_ais_layout_is_found(camvid: Path) -> None:
    sentence = str(sentence_for(camvid, masks="labels/{stem}_P.png"))
    assert sentence.splitlines() == [
        "bunch = (",
        f'    oc.ImageList.from_folder("{camvid}/images")',
        f'    .split_from_file("{camvid}/valid.txt")',
        f'    .label_masks("{camvid}/labels/{{stem}}_P.png", classes="{camvid}/codes.txt", ignore="Void")',
        "    .transform(size=(180, 240), augment=oc.augment.default())",
        "    .databunch(batch_size=8, seed=42)",
        ")",
        'learner = oc.unet_learner(bunch, metrics=["mean_iou"], callbacks=[oc.KeepBest("mean_iou")])',
        'learner.fine_tune(7, lr="auto")',
    ]
    assert f'label_masks("{camvid}/labels", ' in str(sentence_for(camvid, task="segment"))


def test_the_layout_with_a_folder_a_side_is_found(segnet: Path) -> None:
    sentence = str(sentence_for(segnet, task="segment", precision="bf16", accumulate=2, sizes=[(24, 32), (48, 64)]))
    assert f'from_folder("{segnet}", include=["train", "val"])' in sentence
    assert 'split_by_folder(train="train", valid="val")' in sentence
    assert f'label_masks("{segnet}/{{folder}}annot/{{stem}}.png", ' in sentence
    assert "accumulate=2).to_bf16()" in sentence
    assert "sizes=[(24, 32), (48, 64)])" in sentence


def test_biwi_is_known_by_its_calibration_and_people_are_kept_apart(biwi: Path) -> None:
    sentence = str(sentence_for(biwi, task="points"))
    assert "split_by_folder(valid=[" in sentence
    assert "label_points(oc.biwi.head_centre)" in sentence


@pytest.mark.usefixtures("_tiny_models")
@pytest.mark.parametrize("layout", ["camvid", "segnet"])
def test_masks_from_training_to_answers(
    layout: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    data = request.getfixturevalue(layout)
    arguments = ["--task", "segment", "--epochs", "1,1", "--sizes", "24x32,32x40", "--lr", "0.003"]
    assert shell("train", data, *arguments, "--out", "out") == 0, capsys.readouterr().err
    model = oc.load_model("out/model.onecycle")
    assert model.target.kind == "mask"
    assert (tmp_path / "out" / "worst_mistakes.png").is_file()
    image = next((data / ("images" if layout == "camvid" else "val")).iterdir())
    for extra in ([], ["--tiles", "--scale", "0.9"]):
        assert shell("predict", "out/model.onecycle", image, "--out", "answers", *extra) == 0
        answer = Image.open(tmp_path / "answers" / f"{image.stem}.png")
        assert answer.size == (60, 45)
        assert set(np.unique(np.asarray(answer))) <= set(model.target.values)  # type: ignore[attr-defined]
    capsys.readouterr()
    assert shell("predict", "out/model.onecycle", image, tmp_path / "none.png") == 2
    said = capsys.readouterr()
    assert said.out.startswith(f"{image}\t")
    assert "%" in said.out
    assert "No such file" in said.err
    assert shell("info", "out/model.onecycle") == 0
    assert "predicts mask: Sky, " in capsys.readouterr().out


@pytest.mark.usefixtures("_tiny_models")
def test_points_from_training_to_answers(dots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = shell(
        "train", dots, "--task", "points", "--labels", dots / "points.csv", "--group", "([a-z])_", "--epochs", 1,
        "--sizes", "24", "--lr", "0.003", "--batch-size", "auto", "--out", "out",
    )  # fmt: skip
    assert done == 0
    assert shell("predict", "out/model.onecycle", dots, "--out", "answers.csv") == 0
    with (tmp_path / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image_name", "left_x", "left_y", "right_x", "right_y"]
    assert len(rows) == 12


@pytest.mark.usefixtures("_tiny_models")
def test_numbers_from_training_to_answers(dots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = shell(
        "train", dots, "--task", "numbers", "--labels", dots / "points.csv", "--column", "left_x,right_y",
        "--epochs", 1, "--sizes", "24", "--lr", "0.003", "--out", "out",
    )  # fmt: skip
    assert done == 0
    assert shell("predict", "out/model.onecycle", dots / "a_0.png", "--out", "answers.csv") == 0
    assert (tmp_path / "answers.csv").read_text().startswith("image_name,left_x,right_y\na_0,")


@pytest.mark.usefixtures("_tiny_models")
@pytest.mark.parametrize(("task", "name"), [("segment", "camvid"), ("points", "biwi")])
def test_the_demo_of_a_task(task: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs, "make_camvid", partial(make_camvid, train=4, valid=2, size=(45, 60)))
    monkeypatch.setattr(jobs, "make_biwi", partial(make_biwi, people=2, frames=3, size=(45, 60)))
    assert shell("demo", "--task", task, "--out", "show") == 0
    assert (tmp_path / "show" / name / "model.onecycle").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "segment"}, r"No such file: .*codes.txt.\nExpected a text file with the classes' names.*\nFix: pass"),
        ({"task": "points"}, r"Where are the points of .*\nExpected a CSV of coordinates, or BIWI.*\nFix: pass labels"),
        ({"task": "numbers"}, r"Numbers were asked for without labels=.\nExpected a CSV of numbers.\nFix: pass labels"),
        ({"task": "segmnt"}, r"task='segmnt'.\nExpected auto, classify, .*\nFix: check it. Did you mean 'segment'"),
    ],
)
def test_what_is_lacking_is_told(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=message):
        sentence_for(tmp_path, **options)


def test_masks_that_cannot_be_found_are_asked_for(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "codes.txt").write_text("a\nb\n")
    with pytest.raises(
        DataError, match=r"Where are the masks of .*\nExpected a folder such as labels.*\nFix: .*--masks"
    ):
        sentence_for(tmp_path, task="segment")


@pytest.mark.parametrize("text", ["64x", "axb", "1x2x3", "64;128"])
def test_sizes_that_are_none_are_told(text: str, camvid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell("train", camvid, "--sizes", text) == 2
    assert f"--sizes {text}.\nExpected pixels, or height x width" in capsys.readouterr().err
