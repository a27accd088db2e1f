from __future__ import annotations

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
    assert "1 groups of exact duplicates" in done.out


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
