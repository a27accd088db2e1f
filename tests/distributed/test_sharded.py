"""Weights divided over two processes (FSDP2): the same training, and files that any number of processes can read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator, DistributedType
from group import Group
from task_learners import review_bunch, save_encoder
from test_many_machines import block
from torch.distributed.tensor import DTensor

import onecycle as oc
from onecycle.train.checkpoint import save_checkpoint
from onecycle.train.learner import Learner

LONG = 240


@contextmanager
def fsdp(version: int = 2) -> Iterator[Accelerator]:
    """An accelerator with the page's plugin; on processors it would not divide weights by itself."""
    accelerator = Accelerator(cpu=True)
    names: dict[str, Any] = {}
    code = block("python fsdp", "plugin =").partition("\nlearner =")[0]
    exec(compile(code.replace("fsdp_version=2", f"fsdp_version={version}"), "page", "exec"), names)
    held = accelerator.state.__dict__
    before = dict(held)
    held |= {"distributed_type": DistributedType.FSDP, "fsdp_plugin": names["plugin"]}
    try:
        yield accelerator
    finally:
        held.clear()
        held |= before


def made(encoder: Path, batch_size: int, **options: Any) -> Learner:
    learner = oc.text_learner(
        review_bunch(encoder, batch_size=batch_size, count=40), encoder, progress=False, **options
    )
    learner.unfreeze()
    for module in learner.model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = 0.0  # its statistics would be of each process alone
    return learner


def fit_divided(folder: Path) -> dict[str, Any]:
    with fsdp() as accelerator:
        return numbers_of(folder, accelerator)


def numbers_of(folder: Path, accelerator: Accelerator) -> dict[str, Any]:
    learner = made(folder, 4, accelerator=accelerator, callbacks=callbacks(folder / "last.ckpt"), ema=0.9)
    parts = [parameter for parameter in learner.model.parameters() if isinstance(parameter, DTensor)]
    numbers = learner.validate()
    learner.fit(2, 1e-3)
    learner.export(folder / "model.onecycle")
    again = made(folder, 4, accelerator=accelerator, callbacks=callbacks(folder / "other.ckpt"), ema=0.9)
    again.load(folder / "last.ckpt")
    loaded = again.validate()
    again.resume(folder / "middle.ckpt")
    return {
        "divided": len(parts) == len(list(learner.model.parameters())),
        "untrained": numbers,
        "best": learner.validate(),
        "loaded": loaded,
        "resumed": again.validate(),
        "losses": [record.valid_loss for record in learner.history],
        "names": learner.predict_all().table["item"].to_pylist(),
        "probabilities": learner.predict_all().probabilities,
    }


def callbacks(path: Path) -> list[Any]:
    return [oc.KeepBest(), oc.Checkpoint(path), KeepMiddle(path.with_name("middle.ckpt"))]


class KeepMiddle(oc.Callback):
    """Saves after the first epoch of two."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_resume_point(self, state: Any, event: Any) -> None:
        if event.epoch_end and state.fit.done == 1 and not self.path.exists():
            save_checkpoint(state, self.path)


def test_fit_validate_save_and_export(pair: Group, tmp_path: Path) -> None:
    save_encoder(tmp_path)
    alone = made(tmp_path, 4, callbacks=callbacks(tmp_path / "third.ckpt"), ema=0.9)
    untrained = alone.validate()
    first, second = pair.run(fit_divided, tmp_path, seconds=LONG)
    assert first["divided"]
    assert first["untrained"] == second["untrained"] == pytest.approx(untrained, abs=1e-6)
    assert first["best"] == second["best"]
    assert first["best"]["valid_loss"] == pytest.approx(min(first["losses"]), abs=1e-6), "the best were kept"
    assert first["resumed"] == pytest.approx(first["best"], abs=1e-6), "as if it had not been interrupted"
    alone.load(tmp_path / "last.ckpt")
    assert first["loaded"] == pytest.approx(alone.validate(), abs=1e-6), "also in one process"
    model = oc.load_model(tmp_path / "model.onecycle")
    probabilities = model.probabilities(alone.data.valid.dataset.contents()[0].to_pylist())
    torch.testing.assert_close(probabilities, first["probabilities"], rtol=0, atol=1e-5)
    assert first["names"] == alone.data.valid.dataset.rows.names()


def refused(encoder: Path) -> str:
    with fsdp(version=1) as accelerator, pytest.raises(oc.ModelError) as error:
        made(encoder, 4, accelerator=accelerator)
    return str(error.value)


def test_the_first_version_is_refused(pair: Group, tmp_path: Path) -> None:
    save_encoder(tmp_path)
    told = (
        "The accelerator has FSDP 1, which joins weights to vectors: layer groups, averages and files lose them.\n"
        "Expected FSDP 2, in which each weight keeps its name and shape.\n"
        "Fix: pass FullyShardedDataParallelPlugin(fsdp_version=2), or answer 2 in `accelerate config`."
    )
    assert pair.run(refused, tmp_path, seconds=LONG) == [told] * 2
