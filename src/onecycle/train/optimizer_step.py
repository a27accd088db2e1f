"""What takes the steps of an optimizer, wrapped by the accelerator where it has something to add."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from accelerate import Accelerator, DistributedType
from accelerate.utils import DynamoBackend
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from onecycle.train.cached_features import CachedFeatures
from onecycle.train.gradients import OptimizerStep
from onecycle.train.layer_groups import GroupedModel
from onecycle.train.sharded import shards_weights
from onecycle.train.state import TrainState
from onecycle.train.threads import suitable_threads


def trained_module(state: TrainState, features: CachedFeatures | None) -> nn.Module:
    """Return what is trained: the head alone where the body's outputs are cached, else the whole model."""
    if features is None:
        return state.model
    assert isinstance(state.model, GroupedModel)
    return state.model.head


def optimizer_step(state: TrainState, features: CachedFeatures | None, optimizer: Any) -> OptimizerStep:
    """Return what takes the steps of an optimizer, on the model or on its head alone."""
    module, optimizer = prepare(state.accelerator, trained_module(state, features), optimizer)
    return OptimizerStep(state, module, optimizer, features.one_item if features else None)


def step_threads(state: TrainState, features: CachedFeatures | None) -> AbstractContextManager[None]:
    """Return a context for steps of `optimizer_step`, in which a small head on cached features takes one thread."""
    return suitable_threads(trained_module(state, features), state.device) if features else nullcontext()


def prepare(accelerator: Accelerator, module: nn.Module, optimizer: Any) -> tuple[nn.Module, Any]:
    """Let the accelerator wrap both, unless it has nothing to add: its wrappers cost each step 0.2 ms."""
    if _needs_no_wrapper(accelerator):
        return module, optimizer
    wrapped, optimizer = accelerator.prepare(module, optimizer)
    if isinstance(wrapped, DistributedDataParallel):
        wrapped.broadcast_buffers = False  # they are averaged where they are used, see `average_statistics`
    return wrapped, optimizer


def release(accelerator: Accelerator) -> None:
    """Release what `prepare` wrapped."""
    if not _needs_no_wrapper(accelerator):
        accelerator.free_memory()


def _needs_no_wrapper(accelerator: Accelerator) -> bool:
    """Return whether there is one process, or FSDP2, without an accelerator's own precision or compiler."""
    if shards_weights(accelerator):
        return True  # the model has been divided, and the optimizer is one of its parts
    return bool(
        accelerator.distributed_type == DistributedType.NO
        and accelerator.mixed_precision == "no"
        and accelerator.gradient_accumulation_steps == 1
        and accelerator.state.dynamo_plugin.backend == DynamoBackend.NO
    )
