from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onecycle as oc


def test_good_data(shell: Any, photos: Path) -> None:
    done = shell("check", photos)
    assert done.code == 0, done.err
    assert "30 items read, 0 broken." in done.out
    assert "blue, green, red" in done.out


def test_corrections_are_applied_and_counted(shell: Any, photos: Path, tmp_path: Path) -> None:
    corrections = oc.Corrections.open(tmp_path / "corrections.parquet")
    corrections.append("red/red_0.jpg", "relabel", "blue")
    corrections.append(["red/red_1.jpg", "gone.jpg"], "remove")
    done = shell("check", photos, "--corrections", tmp_path / "corrections.parquet")
    assert done.code == 0, done.err
    assert (
        "Corrections: 1 relabelled, 1 removed, 0 kept. Not among the items: 1 of the corrections: gone.jpg." in done.out
    )
    assert "29 items read, 0 broken." in done.out


def test_broken_files_are_listed(shell: Any, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, data := tmp_path / "data")
    broken = data / "red" / "red_3.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    shutil.copy(data / "blue" / "blue_0.jpg", data / "blue" / "again.jpg")
    done = shell("check", data)
    assert done.code == 2
    assert "31 items read, 1 broken." in done.out
    assert "red/red_3.jpg" in done.out
    assert "1 group of exact duplicates" in done.out


@pytest.mark.filterwarnings("default")
def test_twelve_bits_in_sixteen_are_told_and_the_range_is_taken(shell: Any, tmp_path: Path) -> None:
    for number in range(8):
        path = tmp_path / "data" / ("dark", "light")[number % 2] / f"{number}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 3600 if number % 2 else 900, np.uint16)).save(path)
    done = shell("check", "data")
    assert "Note: The images use a sixteenth of their range" in done.err
    assert "Pass --range 0,4095 to say which" in done.err
    done = shell("check", "data", "--range", "0,4095")
    assert (done.code, done.err) == (0, "")


def test_labels_from_a_csv_file(shell: Any, tagged: Path) -> None:
    done = shell("check", tagged, "--labels", tagged / "labels.csv")
    assert done.code == 0, done.err
    assert "24 items read, 0 broken." in done.out


def test_texts(shell: Any, reviews: Path) -> None:
    done = shell("check", reviews, "--task", "text")
    assert done.code == 0, done.err
    assert "32 items read, 0 broken." in done.out


@pytest.mark.slow
def test_doubtful_labels_and_near_duplicates_are_listed_written_and_drawn(
    shell: Any, photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos, tmp_path / "data")
    for number in range(2):
        Image.open(photos / "red" / f"red_{number}.jpg").save(
            tmp_path / "data" / "red" / f"again_{number}.jpg", quality=60
        )
    shutil.copy(photos / "green" / "green_3.jpg", tmp_path / "data" / "blue" / "blue_x.jpg")
    done = shell("check", "data", "--doubtful", "--duplicates")
    assert done.code == 0, done.err
    assert "Doubtful labels: " in done.out
    assert "Near-duplicates: " in done.out
    assert "Written to runs/data-check/: doubtful_labels.csv, doubtful_labels.png, " in done.out
    with (tmp_path / "runs/data-check/near_duplicates.csv").open(newline="") as file:
        pairs = {frozenset((row["item"], row["other"])) for row in csv.DictReader(file)}
    assert frozenset(("blue/blue_x.jpg", "green/green_3.jpg")) in pairs
    assert shell("check", "data", "--doubtful").code == 0
    assert (tmp_path / "runs/data-check-2/doubtful_labels.csv").exists()  # nothing is overwritten


@pytest.mark.slow
def test_the_folder_of_a_run_is_looked_at_with_its_split_and_model(shell: Any, photos: Path, tmp_path: Path) -> None:
    trained = shell("train", photos, "--out", "run", "--epochs", "0", "--sizes", "32", "--valid", "0.3")
    assert trained.code == 0, trained.err
    done = shell("check", "run", "--doubtful", "--duplicates")
    assert done.code == 0, done.err
    assert "21 training, 9 validation" in done.out
    assert (tmp_path / "run/check/doubtful_labels.csv").exists()


def test_masks_have_no_doubtful_labels(shell: Any, camvid: Path) -> None:
    done = shell("check", camvid, "--doubtful")
    assert done.code == 2
    assert "doubtful_labels() of mask." in done.err
