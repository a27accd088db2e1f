"""What each trick saves of memory, and what it costs of time, each in a process of its own. argv: none."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import peak_mb, run, save

BATCH, SIZE, STEPS = 32, 224, 4
CASES: dict[str, dict[str, Any]] = {
    "no trick": {},
    "batches of 16, accumulate=2": {"batch_size": BATCH // 2, "accumulate": 2},
    "batches of 4, accumulate=8": {"batch_size": BATCH // 8, "accumulate": 8},
    "checkpoint_activations=True": {"checkpoint_activations": True},
    "to_bf16(force=True)": {"bf16": True},
    "images of 160 px": {"size": 160},
    "frozen body, cached features": {"frozen": True},
}


def one(name: str) -> None:
    """Train a few steps; print what memory grew by, what was predicted, and the seconds a step of 32 items."""
    import psutil

    import onecycle as oc
    from onecycle.demo import make_patterns

    case = CASES[name]
    photos = make_patterns(Path(tempfile.mkdtemp()), each=BATCH * STEPS // 4, pixels=256)
    bunch = (
        oc.ImageList.from_folder(photos)
        .split_by_index([0])
        .label_from_folder()
        .transform(case.get("size", SIZE), augment=oc.augment.none())
        .databunch(case.get("batch_size", BATCH), workers=0, cache=None)
    )
    options = {key: case[key] for key in ("accumulate", "checkpoint_activations") if key in case}
    learner = oc.vision_learner(bunch, progress=False, **options)
    if case.get("bf16"):
        learner.to_bf16(force=True)
    if not case.get("frozen"):
        learner.unfreeze()
    report = learner.memory_report()
    before, start = psutil.Process().memory_info().rss / 2**20, time.perf_counter()
    learner.fit(1, lr=1e-4)
    seconds = (time.perf_counter() - start) / STEPS
    print(json.dumps({"measured_mb": peak_mb() - before, "report_mb": report.total, "step_seconds": seconds}))


def main() -> None:
    cases = {}
    for name in CASES:
        cases[name] = run("memory.py", name)
        print(f"{name:<32}{cases[name]['measured_mb']:>8,.0f} MB {cases[name]['step_seconds']:>7.2f} s", flush=True)
    save("memory", {"backbone": "tf_efficientnet_lite0", "batch_size": BATCH, "size": SIZE, "cases": cases})


if __name__ == "__main__":
    one(sys.argv[1]) if len(sys.argv) > 1 else main()
