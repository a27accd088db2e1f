"""`onecycle train` as `torchrun` and `accelerate launch` start it: one run folder, one report."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SECONDS = 240
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ACCELERATE = [
    sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
    "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
]  # fmt: skip
OPTIONS = ["--sizes", "32", "--augment", "none"]


def started(launcher: list[str], *arguments: Any, cwd: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [*(launcher or [sys.executable]), "-m", "onecycle", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip


def finished(launcher: list[str], *arguments: Any, cwd: Path) -> tuple[int, str, str]:
    process = started(launcher, *arguments, cwd=cwd)
    try:
        stdout, stderr = process.communicate(timeout=SECONDS)
    finally:
        end(process)
    return process.returncode, stdout, stderr


def end(process: subprocess.Popen[str]) -> None:
    """End a launcher that still runs, and with it what it started."""
    if process.poll() is None:
        process.terminate()
        process.communicate()


def history(folder: Path) -> list[dict[str, str]]:
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_one_run_folder_with_what_one_process_gives(photos: Path, tmp_path: Path) -> None:
    folders = {}
    for name, launcher, size in (("two", TORCHRUN, 4), ("one", [], 8)):
        folders[name] = tmp_path / name
        code, stdout, stderr = finished(
            launcher, "train", photos, "--out", folders[name], "--batch-size", size, "--epochs", 0, *OPTIONS,
            "--no-cache-features", cwd=tmp_path,
        )  # fmt: skip
        assert code == 0, stderr
        assert stdout.count("bunch = (") == stdout.count("Written to ") == 1, "printed once"
        assert stderr.count("epoch 1") == 1
    two, one = (sorted(path.name for path in folder.iterdir()) for folder in folders.values())
    assert two == one
    for found, whole in zip(history(folders["two"]), history(folders["one"]), strict=True):
        assert (found["stage"], found["lr"], found["epoch"]) == (whole["stage"], whole["lr"], whole["epoch"])
        # Each process draws the dropout of its own items: near one another, and not equal.
        assert float(found["valid_loss"]) == pytest.approx(float(whole["valid_loss"]), rel=0.2)


def test_an_error_is_told_once_and_ends_the_job(photos: Path, tmp_path: Path) -> None:
    for number in range(10):
        data = (photos / "red" / f"red_{number}.jpg").read_bytes()
        (tmp_path / "photos" / "red").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / "blue").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / "blue" / f"{number}.jpg").write_bytes((photos / f"blue/blue_{number}.jpg").read_bytes())
        (tmp_path / "photos" / "red" / f"{number}.jpg").write_bytes(data[:300] if number % 2 else data)
    code, _, stderr = finished(ACCELERATE, "train", tmp_path / "photos", "--batch-size", 2, *OPTIONS, cwd=tmp_path)
    assert code != 0
    assert stderr.count("Fix: ") == 1


def test_sigterm_saves_and_resume_goes_on(photos: Path, tmp_path: Path) -> None:
    arguments = ["train", photos, "--out", tmp_path / "run", "--batch-size", 4, "--epochs", 1]
    process = started(TORCHRUN, *arguments, *OPTIONS, cwd=tmp_path)
    try:
        until = time.monotonic() + SECONDS
        while not (tmp_path / "run" / "last.ckpt").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=SECONDS)
    finally:
        end(process)
    assert stderr.count("To go on: onecycle train") == 1
    code, stdout, stderr = finished(TORCHRUN, *arguments, "--resume", cwd=tmp_path)
    assert code == 0, stderr
    assert "Written to" in stdout
    assert [row["epoch"] for row in history(tmp_path / "run")] == ["1", "2"]


def test_a_script_that_ends_at_once_after_its_last_exchange_is_not_aborted(tmp_path: Path) -> None:
    """Without the pause at its end, every second is."""
    script = tmp_path / "script.py"
    script.write_text(
        "from accelerate import Accelerator\n"
        "from onecycle.processes import Processes\n"
        "processes = Processes.of(Accelerator())\n"
        "for number in range(5):\n    processes.gather(number)\n"
    )
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    for _ in range(3):
        done = subprocess.run(
            [*TORCHRUN, script], env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
