"""Everything in turn, and the table in bench/README.md. argv: folder with monkeys10/ and landuse/ [repeats]."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parent
START, END = "<!-- results -->", "<!-- end of results -->"


def main(data: Path, repeats: str = "3") -> None:
    for script, *arguments in (
        ("overhead.py",),
        ("decode.py", data / "monkeys10"),
        ("photos.py", data / "monkeys10" / "training", repeats),
        ("tags.py", data / "landuse", repeats),
    ):
        print(f"--- {script}", flush=True)
        subprocess.run([sys.executable, str(BENCH / script), *map(str, arguments)], check=True)
    write_table()


def write_table() -> None:
    """Put the measured numbers between the marks in README.md."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted((BENCH / "results").glob("*.json"))}
    lines = [f"Measured on {next(iter(found.values()))['date']}, {next(iter(found.values()))['machine']}.", ""]
    lines += ["| what | fastai | onecycle | ratio | budget |", "|---|---|---|---|---|"]
    for task, budget in (("photos", 0.1), ("tags", 0.2)):
        row = found[task]
        lines += [
            f"| {task}: seconds to fastai's final {row['metric']} | {row['fastai_seconds']:.1f} | "
            f"{row['onecycle_seconds']:.1f} | {row['time_ratio']:.3f} | {budget} |",
            f"| {task}: {row['metric']} after the same epochs | {row['fastai_metric']:.4f} | "
            f"{row['onecycle_metric']:.4f} | | not below |",
            f"| {task}: peak memory | | | {row['memory_ratio']:.2f} | 1 |",
        ]
    for case in found["overhead"]["cases"]:
        name = f"{case['backbone']}, {case['size']} px, {case['step_ms']:.1f} ms"
        lines.append(f"| a training step against a bare loop ({name}) | | | {case['ratio']:.3f} | 1.03 |")
    rates = found["decode"]["images_per_second"]
    lines += ["", "| 12-megapixel photos to 224 px | images a second |", "|---|---|"]
    lines += [f"| {name} | {rate:.1f} |" for name, rate in rates.items()]
    readme = BENCH / "README.md"
    before, _, rest = readme.read_text().partition(START)
    after = rest.partition(END)[2]
    readme.write_text(f"{before}{START}\n\n" + "\n".join(lines) + f"\n\n{END}{after}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
