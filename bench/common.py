"""Runs two programs in turn on the same data, and compares what they report: A B A B ..., medians of ratios."""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parent


def held_back(names: list[str], fraction: float = 0.2, seed: int = 42) -> Path:
    """Write a seeded fraction of `names` to a file, a line each, so that both sides hold back the same items."""
    rng = random.Random(seed)
    chosen = sorted(rng.sample(sorted(names), round(len(names) * fraction)))
    path = Path(tempfile.mkdtemp()) / "valid.txt"
    path.write_text("\n".join(chosen) + "\n")
    return path


def run(script: str, *arguments: object) -> dict[str, Any]:
    """Run a script of this folder; return the JSON of its last line, and the wall time of the whole process."""
    start = time.perf_counter()
    command = [sys.executable, str(BENCH / script), *map(str, arguments)]
    environment = {**os.environ, "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {**report, "wall_seconds": time.perf_counter() - start}


def race(task: str, data: Path, valid: Path, repeats: int, peer: str = "fastai") -> dict[str, Any]:
    """Let a peer and onecycle train in turn; return every run and the medians of the ratios.

    Each side reports `curve`, rows of (seconds since its process began, metrics on the validation set), and `peak_mb`.
    The goal is reached when every metric is at least as good as the peer's last.
    """
    runs = []
    for seed in range(repeats):
        theirs = run(f"peers/{peer}_{task}.py", data, valid, seed)
        ours = run("ours.py", task, data, valid, seed)
        goal, sign = theirs["curve"][-1][1], 1 if ours.get("higher_is_better", True) else -1
        goals = theirs["curve"][-1][1:]
        reached = next(
            (row[0] for row in ours["curve"] if all(sign * m >= sign * g for m, g in zip(row[1:], goals, strict=True))),
            None,
        )
        runs.append({"seed": seed, peer: theirs, "onecycle": ours, "goal": goal, "reached_seconds": reached})
        print(
            f"seed {seed}: {peer} {goal:.4f} after {theirs['curve'][-1][0]:.1f} s, {theirs['peak_mb']:.0f} MB; "
            f"onecycle there after {reached and round(reached, 1)} s, ends with {ours['curve'][-1][1]:.4f} "
            f"after {ours['curve'][-1][0]:.1f} s, {ours['peak_mb']:.0f} MB",
            flush=True,
        )
    return {
        "task": task,
        "metric": runs[0]["onecycle"]["metric"],
        "time_ratio": statistics.median(
            (one["reached_seconds"] or float("inf")) / one[peer]["curve"][-1][0] for one in runs
        ),
        "peer": peer,
        "peer_seconds": statistics.median(one[peer]["curve"][-1][0] for one in runs),
        "onecycle_seconds": statistics.median(one["reached_seconds"] or float("inf") for one in runs),
        "peer_metric": statistics.median(one["goal"] for one in runs),
        "onecycle_metric": statistics.median(one["onecycle"]["curve"][-1][1] for one in runs),
        "memory_ratio": statistics.median(one["onecycle"]["peak_mb"] / one[peer]["peak_mb"] for one in runs),
        "runs": runs,
    }


def save(name: str, result: dict[str, Any]) -> None:
    """Write a result beside its date and machine."""
    folder = BENCH / "results"
    folder.mkdir(exist_ok=True)
    about = {"date": time.strftime("%Y-%m-%d"), "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU"}
    (folder / f"{name}.json").write_text(json.dumps({**about, **result}, indent=1) + "\n")


def peak_mb() -> float:
    """Return the most memory that this process held, in MB."""
    import resource

    factor = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / factor


def since_start() -> float:
    """Return the seconds since this process began, imports included."""
    import psutil

    return time.time() - psutil.Process().create_time()
