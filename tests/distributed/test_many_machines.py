"""The commands and the code of docs/many_machines.md, with two processes on processors."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import onecycle as oc
from onecycle.metrics.shared import SharedMetric
from onecycle.processes import Processes

PAGE = Path(__file__).parents[2] / "docs/many_machines.md"
BLOCK = re.compile(r"```([a-z ]+)\n(.*?)```", re.DOTALL)


def block(kind: str, text: str) -> str:
    """The first block of a kind that has `text` in it."""
    return next(code for named, code in BLOCK.findall(PAGE.read_text()) if named == kind and text in code)


def environment(**names: str) -> dict[str, str]:
    return {
        **os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:"
        f"{os.environ['PATH']}", **names,
    }  # fmt: skip


def test_the_script_runs_under_torchrun(photos: Path, tmp_path: Path) -> None:
    code = block("python", "# train.py")
    (tmp_path / "train.py").write_text(code)
    (tmp_path / "photos").symlink_to(photos)
    command = code.splitlines()[0].removeprefix("# train.py: ").replace("8", "2").split()
    command[1:1] = ["--standalone"]  # takes a free port
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    printed = re.findall(r"\{[^}]*\}", done.stdout)  # two processes may print at once, on one line
    assert len(printed) == 2
    assert printed[0] == printed[1], "validate() returns the same in both"
    assert oc.load_model(tmp_path / "photos.onecycle").classes == ("blue", "green", "red")


def test_the_meter_of_ones_own_adds_up() -> None:
    names: dict[str, Any] = {}
    exec(compile(block("python", "ShareOfCats"), "page", "exec"), names)
    parts = [SharedMetric(names["share"], names["share"], Processes(rank, 2)) for rank in range(2)]
    for number, (part, count) in enumerate(zip(parts, (1, 3), strict=True)):
        assert part.kept is None, "its counts are added"
        part.update(number, torch.eye(count), torch.zeros(count))
    states = [part.state() for part in parts]
    assert [float(part.compute(states)) for part in parts] == [0.5, 0.5]


FAKES = {
    "scontrol": """
        echo "$@" >> scontrol.log
        [ "$1" = show ] && echo first && echo second
        exit 0""",
    "srun": 'exec "$@"',
    "torchrun": """
        echo "$@" >> torchrun.log
        trap 'echo saved >> torchrun.log; exit 143' TERM
        touch started
        while [ ! -e finish ]; do sleep 0.05; done""",
}


@pytest.fixture
def slurm(tmp_path: Path) -> Path:
    """A folder with the page's script, and programs that pretend to be those of SLURM."""
    (tmp_path / "bin").mkdir()
    for name, code in FAKES.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{code}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "job").write_text(block("bash slurm", "#SBATCH").replace("/shared", str(tmp_path)))
    return tmp_path


def start(slurm: Path) -> subprocess.Popen[bytes]:
    (slurm / "started").unlink(missing_ok=True)
    job = subprocess.Popen(
        ["bash", "job"], cwd=slurm,
        env=environment(
            PATH=f"{slurm}/bin:{os.environ['PATH']}", SLURM_JOB_ID="77", SLURM_NNODES="2", SLURM_JOB_NODELIST="some"
        ),
    )  # fmt: skip
    until = time.monotonic() + 60
    while not (slurm / "started").exists():
        assert job.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    return job


def test_a_job_that_is_pre_empted_saves_gets_a_new_turn_and_goes_on(slurm: Path) -> None:
    job = start(slurm)
    job.send_signal(signal.SIGTERM)
    assert job.wait(60) == 0
    first, saved = (slurm / "torchrun.log").read_text().splitlines()
    assert saved == "saved"
    assert (slurm / "scontrol.log").read_text().splitlines() == ["show hostnames some", "requeue 77"]
    assert "--nnodes 2 --nproc-per-node 8" in first
    assert "--rdzv-endpoint first:29500 --rdzv-id 77" in first
    assert "--resume" not in first
    (slurm / "runs/photos").mkdir(parents=True)
    job = start(slurm)
    (slurm / "finish").touch()
    assert job.wait(60) == 0
    assert (slurm / "torchrun.log").read_text().splitlines()[-1] == f"{first} --resume"
    assert "requeue" not in (slurm / "scontrol.log").read_text().splitlines()[-1], "it has ended"
