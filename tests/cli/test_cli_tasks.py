"""Every other kind of labels from training to predictions, in the layouts in which data is published."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onecycle as oc


@pytest.mark.usefixtures("_tiny_unfrozen_models")
@pytest.mark.parametrize("layout", ["camvid", "segnet"])
@pytest.mark.slow
def test_masks(layout: str, request: pytest.FixtureRequest, shell: Any, tmp_path: Path) -> None:
    data = request.getfixturevalue(layout)
    arguments = ["--task", "segment", "--epochs", "1,1", "--sizes", "24x32,32x40", "--lr", "0.003"]
    done = shell("train", data, *arguments, "--out", "out")
    assert done.code == 0, done.err
    model = oc.load_model("out/model.onecycle")
    assert model.target.kind == "mask"
    assert (tmp_path / "out" / "worst_mistakes.png").is_file()
    image = next((data / ("images" if layout == "camvid" else "val")).iterdir())
    for extra in ([], ["--tiles", "--scale", "0.9"]):
        assert (
            shell("predict", "out", image, "--out", "masks", "--overwrite", *extra).out == "1 mask written to masks/\n"
        )
        mask = Image.open(tmp_path / "masks" / f"{image.stem}.png")
        assert mask.size == (60, 45)
        assert set(np.unique(np.asarray(mask))) <= set(model.target.values)  # type: ignore[attr-defined]
    missing = shell("predict", "out/model.onecycle", image, tmp_path / "none.png")
    assert missing.code == 2
    assert missing.out.startswith(f"{image}\t")
    assert "%" in missing.out
    assert "No such file" in missing.err
    for _ in range(2):  # nothing is left that a second try would find in its way
        nothing = shell("predict", "out/model.onecycle", tmp_path / "none.png", "--out", "nothing")
        assert (nothing.code, nothing.out) == (2, "")
        assert nothing.err.startswith("No such file")
        assert not (tmp_path / "nothing").exists()
    assert "predicts mask: Sky, " in shell("info", "out/model.onecycle").out


@pytest.mark.usefixtures("_tiny_unfrozen_models")
@pytest.mark.slow
def test_a_run_of_two_sizes_is_reported_and_goes_on_at_the_last_one(photos: Path, shell: Any, tmp_path: Path) -> None:
    done = shell("train", photos, "--sizes", "24,40", "--epochs", "1,1", "--lr", "0.003", "--out", "out")
    assert done.code == 0, done.err
    told = next(line for line in done.out.splitlines() if line.startswith("On "))
    reported = shell("report", "out")
    assert told in reported.out, reported.err
    assert "40 pixels" in (tmp_path / "out/report/report.html").read_text()
    first, again = (oc.load_model(name) for name in ("out/model.onecycle", "out/report/model.onecycle"))
    assert again.modality.to_config() == first.modality.to_config()
    assert again.target.to_config() == first.target.to_config(), "with its temperatures"


@pytest.mark.usefixtures("_tiny_unfrozen_models")
def test_points(dots: Path, shell: Any, tmp_path: Path) -> None:
    done = shell(
        "train", dots, "--task", "points", "--labels", dots / "points.csv", "--group", "([a-z])_", "--epochs", 1,
        "--sizes", "24", "--lr", "0.003", "--batch-size", "auto", "--out", "out",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert shell("predict", "out/model.onecycle", dots, "--out", "points.csv").code == 0
    with (tmp_path / "points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image_name", "left_x", "left_y", "right_x", "right_y"]
    assert len(rows) == 12


@pytest.mark.usefixtures("_tiny_unfrozen_models")
def test_numbers(dots: Path, shell: Any, tmp_path: Path) -> None:
    done = shell(
        "train", dots, "--task", "numbers", "--labels", dots / "points.csv", "--column", "left_x,right_y",
        "--epochs", 1, "--sizes", "24", "--lr", "0.003", "--out", "out",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert shell("predict", "out/model.onecycle", dots / "a_0.png", "--out", "numbers.csv").code == 0
    assert (tmp_path / "numbers.csv").read_text().startswith("image_name,left_x,right_y\na_0.png,")


@pytest.mark.slow
def test_texts(reviews: Path, shell: Any, tmp_path: Path) -> None:
    arguments = ["train", reviews, "--task", "sentiment", "--epochs", "1", "--sizes", "48", "--precision", "fp32"]
    done = shell(*arguments, "--out", "run")
    assert done.code == 0, done.err
    assert "before epoch 1: lr=slice(1.6e-05, 0.002)" in done.out
    assert "On 8 validation items: valid_loss" in done.out
    for name in (
        "model.onecycle",
        "history.csv",
        "training_batch.png",
        "example_predictions.png",
        "worst_mistakes.png",
    ):
        assert (tmp_path / "run" / name).stat().st_size > 0
    files = sorted(reviews.glob("test/pos/*.txt"))
    printed = shell("predict", "run/model.onecycle", "What a film! 8.5/10", files[0], reviews / "test" / "neg").out
    rows = [line.split("\t") for line in printed.splitlines()]
    assert [row[0] for row in rows[:2]] == ["What a film! 8.5/10", str(files[0])]
    assert len(rows) == 2 + 4
    assert all(row[1] in ("neg", "pos") and 0.5 <= float(row[2]) <= 1 for row in rows)
    long = "A review of many letters, 8.5/10. " * 20
    wrong = shell("predict", "run/model.onecycle", long, " ", "--out", "predictions.csv")
    assert wrong.code == 2
    with (tmp_path / "predictions.csv").open(newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == [long, " "]
    assert "1 prediction written to predictions.csv" in wrong.out
    assert "The text ' ' is empty" in wrong.err
    assert "reads texts, max length 48, " in shell("info", "run/model.onecycle").out
    model = oc.load_model("run/model.onecycle")
    assert oc.attribute(model, "The story is wonderful.").words == ("The", "story", "is", "wonderful.")
