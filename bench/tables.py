"""The tables of bench/README.md, from results/*.json: each between `<!-- NAME -->` and `<!-- end -->`. No arguments."""

from __future__ import annotations

import json
import re
from typing import Any

import rates
from common import BENCH, RESULTS

PEERS = {"fastai": "fastai", "huggingface": "the Trainer"}
RACES = {"photos": 0.1, "tags": 0.2, "camvid": 0.2, "points": 0.333, "sentiment": 0.333}
Found = dict[str, Any]


def write_tables() -> None:
    """Replace every table of README.md by what was measured last."""
    found: Found = {path.stem: json.loads(path.read_text()) for path in RESULTS.glob("*.json")}
    readme = BENCH / "README.md"
    text = readme.read_text()
    for name, table in TABLES.items():
        lines = "\n".join(table(found))
        text, count = re.subn(rf"(<!-- {name} -->).*?(<!-- end -->)", rf"\1\n\n{lines}\n\n\2", text, flags=re.DOTALL)
        assert count == 1, f"README.md has {count} places for the table {name}"
    readme.write_text(text)


def budgets(found: Found) -> list[str]:
    """Every budget, and what was measured."""
    lines = ["| what | budget | measured | |", "|---|---|---|---|"]

    def row(what: str, budget: str, measured: str, met: bool) -> None:
        lines.append(f"| {what} | {budget} | {measured} | {'met' if met else '**missed**'} |")

    for task, limit in RACES.items():
        one = found[task]
        what = f"{task}: time to {PEERS[one['peer']]}'s final {one['metric']}, as a share of its time"
        row(what, f"{limit:g}", f"{one['time_ratio']:.3f}", one["time_ratio"] <= limit)
    held = [best_within(one, one["fastai"]["curve"][-1][0]) for one in found["camvid"]["runs"]]
    row("camvid: mean IoU in fastai's own time, every seed", "0.6", f"{min(held):.3f}", min(held) >= 0.6)
    for task in RACES:
        ratio = found[task]["memory_ratio"]
        row(f"{task}: peak memory against {PEERS[found[task]['peer']]}", "1", f"{ratio:.2f}", ratio <= 1)
    for case in found["overhead"]["cases"]:
        what = f"a training step against a bare loop ({case['backbone']}, {case['step_ms']:.0f} ms)"
        row(what, "1.03", f"{case['ratio']:.3f}", case["ratio"] <= 1.03)
    return lines


def best_within(run: Found, seconds: float) -> float:
    """Return onecycle's best value within so many seconds."""
    return max((row[1] for row in run["onecycle"]["curve"] if row[0] <= seconds), default=0.0)


def races(found: Found) -> list[str]:
    """Every run of every race."""
    lines = ["| race | seed | peer ends with | after | onecycle is there after | ratio | ends with | after |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for task in RACES:
        one = found[task]
        for run in one["runs"]:
            theirs, ours = run[one["peer"]]["curve"][-1], run["onecycle"]["curve"][-1]
            lines.append(
                f"| {task} ({one['metric']}) | {run['seed']} | {theirs[1]:.4g} | {theirs[0]:.1f} s | "
                f"{run['reached_seconds']:.1f} s | {run['time_ratio']:.3f} | {ours[1]:.4g} | {ours[0]:.1f} s |"
            )
        if "tuned" in one:
            ours = one["runs"][0]["onecycle"]["curve"]
            last = one["tuned"]["curve"][-1]
            at = next((f"{row[0]:.1f} s" for row in ours if row[1] >= last[1]), "never")
            lines.append(
                f"| {task}, tuned {PEERS[one['peer']]}: {one['tuned']['what']} | 1 | {last[1]:.4g} | {last[0]:.1f} s | "
                f"{at} | | | |"
            )
    return lines


def steps(found: Found) -> list[str]:
    """Decoding of large photos, and an AWD-LSTM's speed."""
    lines = ["| 12-megapixel photos to 224 px | images a second |", "|---|---|"]
    lines += [f"| {name} | {rate:.1f} |" for name, rate in found["decode"]["images_per_second"].items()]
    return lines


def lstm(found: Found) -> list[str]:
    """An AWD-LSTM's tokens a second against a bare loop."""
    lines = ["| AWD-LSTM | tokens a second | of a bare loop's |", "|---|---|---|"]
    for case in found["awd_lstm"]["cases"]:
        name = f"{case['layers']} layers of {case['hidden']}"
        lines.append(f"| {name} | {case['tokens_per_second']:,.0f} | {case['ratio']:.3f} |")
    return lines


def choices(found: Found) -> list[str]:
    """What was tried on CamVid."""
    lines = ["| CamVid | seconds | mean IoU | peak MB |", "|---|---|---|---|"]
    for question in ("resizing", "decoders", "moonshot"):
        for plan, run in found[f"camvid_{question}"]["runs"].items():
            seconds, value = run["curve"][-1][:2]
            lines.append(f"| {question}: {plan} | {seconds:.0f} | {value:.4f} | {run['peak_mb']:.0f} |")
    return lines


def tricks(found: Found) -> list[str]:
    """What each trick saves of memory."""
    memory = found["memory"]
    about = f"{memory['backbone']}, {memory['size']} px, {memory['batch_size']} items a step"
    lines = [f"| {about} | MB measured | MB foretold | seconds a step |", "|---|---|---|---|"]
    for name, case in memory["cases"].items():
        lines.append(f"| {name} | {case['measured_mb']:,.0f} | {case['report_mb']:,.0f} | {case['step_seconds']:.2f} |")
    return lines


TABLES = {
    "budgets": budgets,
    "races": races,
    "rates": lambda found: rates.rows(found["rates"]),
    "decoding": steps,
    "lstm": lstm,
    "choices": choices,
    "tricks": tricks,
}

if __name__ == "__main__":
    write_tables()
