"""Weights divided over two processes (FSDP2): the same training, and files that any number of processes can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator, FullyShardedDataParallelPlugin
from accelerate.state import AcceleratorState
from group import Group
from torch.distributed.tensor import DTensor

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.train.learner import Learner

LONG = 240


def divided(photos: Path, version: int = 2, **options: Any) -> Learner:
    """Without dropout, and with batch norms that learn nothing: the two are of each process alone."""
    AcceleratorState._reset_state()
    plugin = FullyShardedDataParallelPlugin(fsdp_version=version, auto_wrap_policy="no_wrap")
    try:
        return made(photos, 4, accelerator=Accelerator(cpu=True, fsdp_plugin=plugin), **options)
    finally:
        AcceleratorState._reset_state()


def made(photos: Path, batch_size: int, **options: Any) -> Learner:
    return tiny(photo_bunch(photos, batch_size=batch_size), frozen=False, metrics=["accuracy"], **options)


def fit_divided(photos: Path, folder: Path) -> dict[str, Any]:
    learner = divided(photos, callbacks=[oc.KeepBest(), oc.Checkpoint(folder / "last.ckpt")], ema=0.9)
    parts = [p for p in learner.model.parameters() if isinstance(p, DTensor)]
    learner.fit(2, 1e-3)
    before = learner.validate()
    learner.export(folder / "model.onecycle")
    again = divided(photos, callbacks=[oc.KeepBest(), oc.Checkpoint(folder / "other.ckpt")], ema=0.9)
    again.load(folder / "last.ckpt")
    return {
        "divided": len(parts) == len(list(learner.model.parameters())),
        "numbers": before,
        "loaded": again.validate(),
        "losses": [record.valid_loss for record in learner.history],
        "names": learner.predict_all().table["item"].to_pylist(),
        "probabilities": learner.predict_all().probabilities,
    }


def test_fit_validate_save_and_export(pair: Group, photos: Path, tmp_path: Path) -> None:
    first, second = pair.run(fit_divided, photos, tmp_path, seconds=LONG)
    assert first["divided"]
    assert first["numbers"] == second["numbers"]
    assert min(first["losses"]) == pytest.approx(first["numbers"]["valid_loss"], abs=1e-5), "the best were kept"
    alone = made(photos, 8, callbacks=[oc.KeepBest(), oc.Checkpoint(tmp_path / "third.ckpt")], ema=0.9)
    alone.load(tmp_path / "last.ckpt")
    assert first["loaded"] == pytest.approx(alone.validate(), abs=1e-5)
    model = oc.load_model(tmp_path / "model.onecycle")
    items = alone.data.valid.dataset.rows.located()
    torch.testing.assert_close(model.probabilities(items), first["probabilities"], rtol=0, atol=1e-4)
    assert first["names"] == alone.data.valid.dataset.rows.names()


def refused(photos: Path) -> str:
    try:
        divided(photos, version=1)
    except oc.ModelError as error:
        return str(error)
    return ""


def test_the_first_version_is_refused(pair: Group, photos: Path) -> None:
    told = (
        "The accelerator has FSDP 1, which joins weights to vectors: layer groups, averages and files lose them.\n"
        "Expected FSDP 2, in which each weight keeps its name and shape.\n"
        "Fix: pass FullyShardedDataParallelPlugin(fsdp_version=2), or answer 2 in `accelerate config`."
    )
    assert pair.run(refused, photos, seconds=LONG) == [told] * 2
