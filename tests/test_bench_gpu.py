"""The measurements for a GPU run, on small sizes on whatever device there is."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    spec = importlib.util.spec_from_file_location("bench_gpu", BENCH / "gpu.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_gpu", module)
    spec.loader.exec_module(module)
    return module


def test_steps_and_files_are_measured_and_reported(gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scale = replace(gpu.TINY, workers=0)

    def here(part: str, arguments: list[str]) -> Any:
        return gpu.PARTS[part](scale, None)

    monkeypatch.setattr(gpu, "in_a_process", here)
    gpu.main(["--device", "cpu", "--tiny", "--out", str(tmp_path), "--parts", "step,disk,race"])
    (written,) = tmp_path.glob("gpu_*.json")
    found = json.loads(written.read_text())
    default, benchmark = found["parts"]["step"]["steps"]
    assert (default["variant"], benchmark["variant"]) == ("default", "cudnn_benchmark")
    assert default["ratio"] > 0
    assert found["parts"]["disk"]["share"] > 0
    assert len(found["parts"]["disk"]["epoch_seconds"]) == 3
    lines = written.with_suffix(".md").read_text().splitlines()
    assert lines[0].startswith(f"On {found['card']}, {found['machine']}")
    assert [line.split(" |")[0] for line in lines[4:]] == [
        "| race", "| step, test_resnet 32 px, 4, fp32", "| step, test_resnet 32 px, 4, fp32, cudnn_benchmark=True",
        "| images/s from disk, 0 workers",
    ]  # fmt: skip


def test_every_row_of_the_table(gpu: Any) -> None:
    step = {
        "backbone": "resnet50", "size": 224, "batch_size": 128, "precision": "bf16", "variant": "compile",
        "budget": 1.05, "ratio": 1.04, "learner_ms": 26.0, "bare_ms": 25.0,
    }  # fmt: skip
    parts = {
        "step": {"steps": [step]},
        "disk": {"share": 0.8, "trained": [1, 2000], "decoded": [1, 3000], "gpu": 2500.0, "workers": 14},
        "start": {"ratio": 1.2, "seconds": {"import": 5.0}}, "race": {"time_ratio": 0.5},
    }  # fmt: skip
    about = {"card": "H200", "machine": "16 cores", "torch": "2", "date": "today"}
    lines = gpu.report({**about, "parts": parts})
    assert [line.split(" | ")[-1] for line in lines[4:]] == ["met |", "**missed** |", "met |", "**missed** |"]
    failed = gpu.report({**about, "parts": {"step": {"failed": "took more than 260 s"}}})
    assert failed[4] == "| step | | took more than 260 s | not measured |"


def test_a_part_that_fails_says_why(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "__file__", str(BENCH / "nothing.py"))
    assert "can't open file" in gpu.in_a_process("race", [])["failed"]


def test_what_was_measured_before_the_time_was_up_stays(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(command: list[str], timeout: float, **options: Any) -> None:
        raise subprocess.TimeoutExpired(command, timeout, output=b'{"steps": [1]}\n{"steps": [1, 2]}\n{"ste')

    monkeypatch.setattr(gpu.subprocess, "run", late)
    assert gpu.in_a_process("step", []) == {"steps": [1, 2], "failed": "took more than 260 s"}
