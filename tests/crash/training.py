"""One training of a case, from its beginning or from its checkpoint, and how it ended."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import torch
from cases import Case

import onecycle as oc
import onecycle.train.callbacks
import onecycle.train.lr_find
from onecycle.train import loop
from onecycle.train.learner import Learner
from processes import tell_calls, told


class Tell(oc.Callback):
    """Says on a pipe that a step or an epoch has ended."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def on_batch_end(self, state: Any, event: Any) -> None:
        os.write(self.pipe, b"s")

    def on_epoch_end(self, state: Any, event: Any) -> None:
        os.write(self.pipe, b"e")


def train(case: Case, data: Path, run: Path, pipe: int) -> None:
    """Train to the end, from the checkpoint in the folder `run` if there is one, and write there how it ended."""
    # Two threads of several trainings at once would only wait for one another; workers inherit it.
    torch.set_num_threads(1)
    os.environ["ONECYCLE_CACHE"] = str(run / "cache")
    tell_calls(pipe, onecycle.train.lr_find, "compute_features", b"f")
    tell_calls(pipe, onecycle.train.lr_find, "lr_find", b"r")
    tell_calls(pipe, loop, "evaluate", b"v")
    tell_calls(pipe, onecycle.train.callbacks, "save_checkpoint", b"c")
    path = run / "last.ckpt"
    with told(pipe, b"m"):
        learner = case.make(data, [oc.Checkpoint(path, **case.checkpoint), Tell(pipe)])
    if path.exists():
        learner.resume(path)
    else:
        case.train(learner)
    write_end(learner, run)


def write_end(learner: Learner, run: Path) -> None:
    """Write weights, history and the chosen epoch, without the seconds."""
    torch.save(learner.copy_weights(), run / "weights.pt")
    record = learner.state.weights_record
    end = {
        "epochs": [dataclasses.asdict(dataclasses.replace(record, seconds=0)) for record in learner.history],
        "steps": [list(step) for step in learner.history.steps],
        "notes": learner.history.notes,
        "rates": [repr(result) for result in learner.lr_finder_results],
        "weights are of": record and record.epoch,
        "threshold": getattr(learner.target, "threshold", None),
        "under way": learner.state.fit is not None or learner.state.plan is not None,
    }
    (run / "end.part").write_text(json.dumps(end))
    os.replace(run / "end.part", run / "end.json")


def differences(run: Path, straight: Path) -> list[str]:
    """Return what differs between two ends, bit for bit."""
    if not (run / "end.json").exists():
        return ["it has no end"]
    own, other = (json.loads((folder / "end.json").read_text()) for folder in (run, straight))
    found = [f"{name}: {own[name]} != {other[name]}"[:400] for name in other if not _equal(own[name], other[name])]
    weights, expected = (torch.load(folder / "weights.pt") for folder in (run, straight))
    if weights.keys() != expected.keys():
        return [*found, "names of weights"]
    changed = [name for name in expected if not torch.equal(weights[name], expected[name])]
    return [*found, *([f"{len(changed)} of {len(expected)} tensors, such as {changed[0]}"] if changed else [])]


def _equal(one: Any, other: Any) -> bool:
    return json.dumps(one) == json.dumps(other)  # NaN is NaN
