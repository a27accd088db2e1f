"""Everything in turn, and the tables in bench/README.md. argv: folder of the data sets [repeats]."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parent
NAMES = {"fastai": "fastai", "huggingface": "the Trainer"}
START, END = "<!-- results -->", "<!-- end of results -->"


def main(data: Path, repeats: str = "3") -> None:
    for script, *arguments in (
        ("overhead.py",),
        ("decode.py", data / "monkeys10"),
        ("photos.py", data / "monkeys10" / "training", repeats),
        ("tags.py", data / "landuse", repeats),
        ("camvid.py", data / "camvid", repeats),
        ("points.py", data / "faces", repeats),
        ("sentiment.py", data / "aclImdb", repeats),
        ("awd_lstm.py",),
        ("language_route.py", data / "aclImdb"),
        ("choices.py", data / "camvid"),
        ("memory.py",),
    ):
        print(f"--- {script}", flush=True)
        subprocess.run([sys.executable, str(BENCH / script), *map(str, arguments)], check=True)
    write_table()


def write_table() -> None:
    """Put the measured numbers between the marks in README.md."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted((BENCH / "results").glob("*.json"))}
    lines = [f"Measured on {next(iter(found.values()))['date']}, {next(iter(found.values()))['machine']}.", ""]
    lines += ["| what | peer | onecycle | ratio | budget |", "|---|---|---|---|---|"]
    for task, budget in (("photos", 0.1), ("tags", 0.2), ("camvid", 0.2), ("points", 0.333), ("sentiment", 0.333)):
        row = found[task]
        ends = [row["runs"][0][side]["curve"][-1][0] for side in (row["peer"], "onecycle")]
        lines += [
            f"| {task}: seconds to {NAMES[row['peer']]}'s final {row['metric']} | {row['peer_seconds']:.1f} | "
            f"{row['onecycle_seconds']:.1f} | {row['time_ratio']:.3f} | {budget} |",
            f"| {task}: {row['metric']} in the end, after {ends[0]:.0f} and {ends[1]:.0f} s | "
            f"{row['peer_metric']:.4f} | {row['onecycle_metric']:.4f} | | not worse |",
            f"| {task}: peak memory | | | {row['memory_ratio']:.2f} | 1 |",
        ]
    for case in found["overhead"]["cases"]:
        name = f"{case['backbone']}, {case['size']} px, {case['step_ms']:.1f} ms"
        lines.append(f"| a training step against a bare loop ({name}) | | | {case['ratio']:.3f} | 1.03 |")
    for case in found.get("awd_lstm", {"cases": []})["cases"]:
        name = f"{case['layers']} layers of {case['hidden']}, {case['tokens_per_second']:,.0f} tokens a second"
        lines.append(f"| an AWD-LSTM's tokens a second against a bare loop ({name}) | | | {case['ratio']:.3f} | 0.9 |")
    rates = found["decode"]["images_per_second"]
    lines += ["", "| 12-megapixel photos to 224 px | images a second |", "|---|---|"]
    lines += [f"| {name} | {rate:.1f} |" for name, rate in rates.items()]
    lines += ["", *choices(found), "", *tricks(found["memory"])]
    readme = BENCH / "README.md"
    before, _, rest = readme.read_text().partition(START)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{START}\n\n" + "\n".join(lines) + f"\n\n{END}{after}")


def choices(found: dict[str, Any]) -> list[str]:
    """Return the rows of what was tried on CamVid."""
    lines = ["| CamVid | seconds | mean IoU | peak MB |", "|---|---|---|---|"]
    for question in ("resizing", "decoders", "moonshot"):
        for plan, run in found[f"camvid_{question}"]["runs"].items():
            seconds, value = run["curve"][-1][:2]
            lines.append(f"| {question}: {plan} | {seconds:.0f} | {value:.4f} | {run['peak_mb']:.0f} |")
    return lines


def tricks(memory: dict[str, Any]) -> list[str]:
    """Return the rows of what each trick saves of memory."""
    about = f"{memory['backbone']}, {memory['size']} px, {memory['batch_size']} items a step"
    lines = [f"| {about} | MB measured | MB foretold | seconds a step |", "|---|---|---|---|"]
    for name, case in memory["cases"].items():
        lines.append(f"| {name} | {case['measured_mb']:,.0f} | {case['report_mb']:,.0f} | {case['step_seconds']:.2f} |")
    return lines


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
