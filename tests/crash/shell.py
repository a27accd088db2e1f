"""Shell cases: `onecycle train DATA --out RUN` is killed, and `onecycle train DATA --out RUN --resume` goes on."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from onecycle.bundle import read_bundle
from processes import Ended, Kill, watch

QUICK = ("--no-progress", "--checkpoint-minutes", "0.01")
# The data's folder, and options.
COMMANDS: dict[str, tuple[str, ...]] = {
    "shell, photos": ("photos", "--sizes", "24,32", "--epochs", "1,1", "--batch-size", "8", "--head-steps", "20"),
    "shell, tags": ("planet", "--sizes", "32", "--epochs", "2", "--batch-size", "8", "--augment", "satellite"),
    "shell, masks": (
        "camvid",
        "--task",
        "segment",
        "--sizes",
        "48x64",
        "--epochs",
        "2",
        "--batch-size",
        "4",
        "--ema",
        "0.8",
    ),
    "shell, points": ("biwi", "--task", "points", "--sizes", "64", "--epochs", "2", "--batch-size", "4"),
    "shell, texts": ("reviews", "--task", "text", "--sizes", "32", "--epochs", "1", "--batch-size", "8"),
}
ONCE_STARTED = "started"  # a file that is there once the run has written down its options


def train(command: tuple[str, ...], data: Path, folder: Path, kill: Kill | None) -> Ended:
    """Start the command, or go on with it, in `folder`, with the run in `folder/run`."""
    run = folder / "run"
    if _finished(run / "run.json"):
        return Ended(0)  # the signal came after the end
    again = (folder / "log.txt").exists()
    # Killed before it could write down its options, a run must be told them again.
    options = () if (folder / ONCE_STARTED).exists() else command[1:]
    full = ["train", str(data / command[0]), *options, *QUICK, "--out", str(run), *(["--resume"] if again else [])]
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "onecycle", *full], stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder,
            process_group=0, env={**os.environ, "ONECYCLE_CACHE": str(folder / "cache")},
        )  # fmt: skip
    with _pipe_from(process.pid, folder) as pipe:
        ended = watch(process.pid, pipe, kill)
    process.returncode = ended.code
    return ended


@contextlib.contextmanager
def _pipe_from(process: int, folder: Path) -> Iterator[int]:
    """Yield a pipe on which is said what the process writes."""
    reading, writing = os.pipe()
    observer = threading.Thread(target=_observe, args=(process, folder, writing))
    observer.start()
    try:
        yield reading
    finally:
        observer.join()
        os.close(reading)


def _observe(process: int, folder: Path, pipe: int) -> None:
    """Say when options, checkpoints and the model are written, until the process has ended."""
    files = {
        folder / "run" / "run.json": b"o",
        folder / "run" / "last.ckpt": b"k",
        folder / "run" / "model.onecycle": b"x",
    }
    seen = {path: _written(path) for path in files}
    with os.fdopen(pipe, "wb", buffering=0) as said:
        said.write(b"b")
        while _runs(process):
            for path, mark in files.items():
                if (now := _written(path)) != seen[path]:
                    seen[path] = now
                    if now:
                        said.write(mark)
            if (folder / "run" / "run.json").exists():
                (folder / ONCE_STARTED).touch()
            time.sleep(0.003)


def _finished(path: Path) -> bool:
    return path.exists() and bool(json.loads(path.read_text())["finished"])


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _runs(process: int) -> bool:
    try:
        return os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None
    except ChildProcessError:
        return False


def differences(run: Path, straight: Path) -> list[str]:
    """Return what differs between the models of two runs and their histories."""
    models = [read_bundle(folder / "run" / "model.onecycle", "model")[0] for folder in (run, straight)]
    own, expected = models
    found: list[str] = []
    if own.keys() != expected.keys():
        return [*found, "names of tensors"]
    changed = [name for name in expected if not own[name].equal(expected[name])]
    found += [f"{len(changed)} of {len(expected)} tensors, such as {changed[0]}"] if changed else []
    histories = [_history(folder / "run" / "history.csv") for folder in (run, straight)]
    return [*found, *(["history"] if histories[0] != histories[1] else [])]


def _history(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
