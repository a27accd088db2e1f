"""`onecycle train` as `torchrun` and `accelerate launch` start it: one run folder, one report, the numbers of one process."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SECONDS = 240
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
ACCELERATE = [
    sys.executable,
    "-m",
    "accelerate.commands.launch",
    "--num_processes",
    "2",
    "--cpu",
    "--main_process_port",
    "0",
]
OPTIONS = ["--backbone", "test_efficientnet", "--sizes", "32", "--epochs", "1", "--augment", "none", "--no-progress"]


def launched(launcher: list[str], *arguments: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [*(launcher or [sys.executable]), "-m", "onecycle", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )  # fmt: skip


def history(folder: Path) -> list[dict[str, float]]:
    with open(folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{name: float(row[name]) for name in ("train_loss", "valid_loss", "accuracy", "lr")} for row in rows]


@pytest.mark.parametrize("launcher", [TORCHRUN, ACCELERATE], ids=["torchrun", "accelerate"])
def test_one_run_folder_with_the_numbers_of_one_process(photos: Path, tmp_path: Path, launcher: list[str]) -> None:
    options = [*OPTIONS, "--no-cache-features", "--label-smoothing", "0.1"]
    two = launched(launcher, "train", photos, "--out", tmp_path / "two", "--batch-size", 4, *options, cwd=tmp_path)
    assert two.returncode == 0, two.stderr
    one = launched([], "train", photos, "--out", tmp_path / "one", "--batch-size", 8, *options, cwd=tmp_path)
    assert one.returncode == 0, one.stderr
    assert {path.name for path in (tmp_path / "two").iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}
    assert two.stdout.count("bunch = (") == 1, "printed once"
    assert two.stdout.count("Written to ") == 1
    found, whole = history(tmp_path / "two"), history(tmp_path / "one")
    assert len(found) == len(whole) > 0
    assert [row["lr"] for row in found] == [row["lr"] for row in whole]
