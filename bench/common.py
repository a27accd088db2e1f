"""Runs two programs in turn on the same data, and compares what they report: A B A B ..., medians of ratios."""

from __future__ import annotations

import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parent
RESULTS = BENCH / "results"
TUNED_FASTAI = "channels_last, batch-norm statistics of the body fixed"


def held_back(names: list[str], seed: int, fraction: float = 0.2) -> Path:
    """Write a seeded fraction of `names` to a file, a line each, so that both sides hold back the same items."""
    chosen = sorted(random.Random(seed).sample(sorted(names), round(len(names) * fraction)))
    return written(chosen)


def written(names: list[str]) -> Path:
    """Write names to a file of their own, a line each."""
    path = Path(tempfile.mkdtemp()) / "valid.txt"
    path.write_text("\n".join(names) + "\n")
    return path


def run(script: str, *arguments: object, threads: int | None = None) -> dict[str, Any]:
    """Run a script of this folder; return the JSON of its last line, and the time of the whole process and its workers.

    `cpu_seconds`, on the processor, tell of work where other programs share the machine; `wall_seconds` do not.

    Args:
        script: Its name.
        arguments: Its arguments.
        threads: How many it may compute with; None leaves it to torch.
    """
    start, spent = time.perf_counter(), children_cpu_seconds()
    command = [sys.executable, str(BENCH / script), *map(str, arguments)]
    environment = {**os.environ, "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    report: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return {"cpu_seconds": children_cpu_seconds() - spent, **report, "wall_seconds": time.perf_counter() - start}


def children_cpu_seconds() -> float:
    """Return the time that finished child processes of this one had on the processor."""
    times = os.times()
    return times.children_user + times.children_system


def race(task: str, setting: Callable[[int], tuple[Path, Path]], repeats: int, peer: str = "fastai") -> dict[str, Any]:
    """Let a peer and onecycle train in turn, save every run with the medians and a plot, and return the medians.

    Each side reports `curve`, rows of (seconds since its process began, metrics on the validation set), and `peak_mb`.
    The goal is reached when every metric is at least as good as the peer's last.

    Args:
        task: Names the scripts and the result.
        setting: Returns a seed's data folder, and the file that names its validation items. Each seed has a split of
            its own, none of them the one on which our recipes were chosen.
        repeats: Seeds 1, 2, ...
        peer: Whom to race.
    """
    runs = [one_race(task, *setting(seed), seed, peer) for seed in range(1, repeats + 1)]
    result = {
        "task": task,
        "metric": runs[0]["onecycle"]["metric"],
        "time_ratio": statistics.median(one["time_ratio"] for one in runs),
        "peer": peer,
        "peer_seconds": statistics.median(one[peer]["curve"][-1][0] for one in runs),
        "onecycle_seconds": statistics.median(one["reached_seconds"] for one in runs),
        "peer_metric": statistics.median(one[peer]["curve"][-1][1] for one in runs),
        "onecycle_metric": statistics.median(one["onecycle"]["curve"][-1][1] for one in runs),
        "memory_ratio": statistics.median(one["onecycle"]["peak_mb"] / one[peer]["peak_mb"] for one in runs),
        "runs": runs,
    }
    save(task, result)
    draw(result)
    return result


def one_race(task: str, data: Path, valid: Path, seed: int, peer: str, *tuned: str) -> dict[str, Any]:
    """Run both sides once, in turn the one and the other first; the peer also gets the words of `tuned`."""
    sides = {
        peer: (f"peers/{peer}_{task}.py", data, valid, seed, *tuned),
        "onecycle": ("ours.py", task, data, valid, seed),
    }
    found = {side: run(*sides[side]) for side in (list(sides) if seed % 2 else list(sides)[::-1])}
    theirs, ours = found[peer], found["onecycle"]
    goals = theirs["curve"][-1][1:]
    reached = time_to(goals, ours)
    ratio = reached / theirs["curve"][-1][0]
    print(
        f"seed {seed}: {peer} {goals[0]:.4f} after {theirs['curve'][-1][0]:.1f} s, {theirs['peak_mb']:.0f} MB; "
        f"onecycle there after {reached:.1f} s ({ratio:.3f}), ends with {ours['curve'][-1][1]:.4f} "
        f"after {ours['curve'][-1][0]:.1f} s, {ours['peak_mb']:.0f} MB",
        flush=True,
    )
    return {"seed": seed, **found, "reached_seconds": reached, "time_ratio": ratio}


def time_to(goals: Sequence[float], run: dict[str, Any]) -> float:
    """Return the seconds after which every metric was at least as good as its goal, in the digits that 32 bits hold."""
    sign = 1 if run["higher_is_better"] else -1
    for seconds, *metrics in run["curve"]:
        if all(sign * (metric - goal) > -1e-6 for metric, goal in zip(metrics, goals, strict=True)):
            return float(seconds)
    return math.inf


def draw(result: dict[str, Any]) -> None:
    """Plot the validation metric against wall time: every run of both sides, on the same axes."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for side, colour in ((result["peer"], "tab:orange"), ("onecycle", "tab:blue")):
        plot_curves(axes, [one[side] for one in result["runs"]], side, color=colour)
    axes.axhline(result["peer_metric"], color="0.6", linewidth=0.8, linestyle=":")
    label_axes(axes, result["metric"])
    figure.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False, title=result["task"])
    figure.savefig(RESULTS / f"{result['task']}.png", dpi=100)


def plot_curves(axes: Any, runs: list[dict[str, Any]], label: str, **style: Any) -> None:
    """Plot the first metric of each run's `curve` against its seconds, all under one label."""
    for number, one in enumerate(runs):
        seconds, values, *_ = zip(*one["curve"], strict=True)
        axes.plot(seconds, values, marker="o", markersize=3, label=None if number else label, **style)


def label_axes(axes: Any, metric: str) -> None:
    """Name what `plot_curves` plotted."""
    axes.set(xlabel="seconds since the process began", ylabel=f"{metric} on the validation set", xlim=(0, None))
    axes.grid(alpha=0.3)


def save(name: str, result: dict[str, Any]) -> None:
    """Write a result beside its date and machine."""
    RESULTS.mkdir(exist_ok=True)
    about = {"date": time.strftime("%Y-%m-%d"), "machine": machine()}
    (RESULTS / f"{name}.json").write_text(json.dumps({**about, **result}, indent=1) + "\n")


def machine() -> str:
    """Return what this machine is, in words."""
    torch = sys.modules.get("torch")  # a script that has not imported it does not use a GPU
    gpu = torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else "no GPU"
    cores, described = f"{os.cpu_count()} cores, {gpu}", Path("/proc/cpuinfo")
    text = described.read_text() if described.exists() else ""
    names = [line.partition(": ")[2] for line in text.splitlines() if line.startswith("model name")]
    # What decides how fast products of matrices are.
    units = [unit for unit in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {unit} " in f"{text} "]
    return ", ".join([names[0] if names else platform.machine(), cores, *units[-1:]])


def peak_mb() -> float:
    """Return the most memory that this process held, in MB."""
    import resource

    factor = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / factor


def since_start() -> float:
    """Return the seconds since this process began, imports included.

    Both times are counted from the boot of the machine. psutil counts the start from a boot that Linux rounds down to a
    second, so that it tells up to a second too much.
    """
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started
