"""Weights divided over two processes (FSDP2): the same training, and files that any number of processes can read."""

from __future__ import annotations

import os
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
from onecycle.train.layer_groups import layer_groups, parameter_groups
from onecycle.train.learner import Learner
from steps import losses_of
from train.test_gradients import sgd

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


def uneven_steps(encoder: Path, accelerator: Accelerator | None) -> list[float]:
    """Losses of four steps on two batches each, of which the processes have different shares."""
    learner = made(encoder, 4, **({} if accelerator is None else {"accelerator": accelerator}))
    state = learner.state
    state.num_microbatches = 3
    state.model.eval()  # dropout and the statistics of a batch would differ
    dataset = state.data.train.dataset
    drawn = [state.data.prepared(dataset, rows).to(state.device) for rows in ([0, 1, 2, 3], [4, 5, 6, 7])]
    optimizer = sgd(parameter_groups(state.model, [1e-2] * len(layer_groups(state.model)), 0.0))
    # Of the second process: two of four items and none, where the first has two and all four.
    first = [slice(0, 2), slice(0, 4)] if state.processes.world > 1 else [slice(0, 4), slice(0, 4)]
    mine = [first, [slice(2, 4), slice(0, 0)]][state.processes.rank]
    groups = ([batch.take(rows) for batch, rows in zip(drawn, mine, strict=True)] for _ in range(4))
    return losses_of(state, optimizer, groups)


def uneven_divided(encoder: Path) -> list[float]:
    with fsdp() as accelerator:
        return uneven_steps(encoder, accelerator)


def test_processes_with_unequal_shares_take_the_steps_of_one(pair: Group, tmp_path: Path) -> None:
    save_encoder(tmp_path)
    alone = uneven_steps(tmp_path, None)
    for losses in pair.run(uneven_divided, tmp_path, seconds=LONG):
        assert losses == pytest.approx(alone, rel=1e-5)
    assert alone[-1] < alone[0]


class Broken(oc.Callback):
    """Has the model of the second process fail in the third step."""

    def on_batch_end(self, state: Any, event: Any) -> None:
        if event.step == 1 and state.processes.rank == 1:
            state.model.register_forward_pre_hook(self.fail)

    def fail(self, *_: Any) -> None:
        raise ValueError("a layer of one's own is broken")


def fail_divided(folder: Path) -> str:
    with fsdp() as accelerator:
        learner = made(folder, 4, accelerator=accelerator, callbacks=[Broken()])
        try:
            learner.fit(2, 1e-3)
        except ValueError as error:
            (folder / "own error.txt").write_text(str(error))
            os._exit(1)
        except oc.TrainingError as error:
            return str(error)
    return "trained to the end"


def test_one_that_fails_in_a_step_ends_with_its_own_error_and_the_others_learn_of_it(tmp_path: Path) -> None:
    save_encoder(tmp_path)
    with Group(2) as pair:
        (_, told), (kind, died) = pair.outcomes(fail_divided, tmp_path, seconds=LONG)
    assert told.startswith("Process 0 of 2 lost the others")
    assert (kind, died) == ("raised", "process 1 died")
    assert (tmp_path / "own error.txt").read_text() == "a layer of one's own is broken"
