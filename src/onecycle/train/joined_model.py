"""A model whose weights and statistics are the same in all processes that train it together."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from accelerate import Accelerator, DistributedType
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from onecycle.errors import ModelError
from onecycle.processes import Processes
from onecycle.train.ema import ExponentialMovingAverage


def joined(model: nn.Module, accelerator: Accelerator, processes: Processes, *, sync_batchnorm: bool) -> nn.Module:
    """Return the model with the weights that it has in the main process; where one process trains, as it is.

    Args:
        model: On the accelerator's device.
        accelerator: Will wrap it.
        processes: Which train it together.
        sync_batchnorm: Let batch norms normalise by the batches of all processes.
    Raises:
        ModelError: Batch norms cannot do that on processors.
    """
    if processes.world == 1:
        return model
    if sync_batchnorm:
        if accelerator.device.type == "cpu":
            raise ModelError(
                "sync_batchnorm=True on processors: PyTorch has batch norms of several processes for GPUs alone.",
                "GPUs.",
                "leave sync_batchnorm= out, and give each process enough items a batch (16 or more).",
            )
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    if accelerator.distributed_type == DistributedType.FSDP:
        return model
    processes.broadcast(tensor.detach() for tensor in (*model.parameters(), *model.buffers()))
    return model


@torch.no_grad()
def average_statistics(model: nn.Module, ema: ExponentialMovingAverage | None, processes: Processes) -> None:
    """Make the buffers of a model the same in all processes, and those of its moving average.

    The statistics of batch norms that learn become the mean over the processes: each has seen other items. They follow
    the batches linearly, so that it does not matter when, and how often, their means are taken. Other buffers become
    those of the main process.
    """
    if processes.world == 1:
        return
    statistics = list(_statistics(model))
    ours = {id(buffer) for buffer in statistics}
    averages = [] if ema is None else [a for a, live in zip(ema.averages, ema.live, strict=True) if id(live) in ours]
    _average([*statistics, *averages], processes)
    processes.broadcast(buffer for buffer in model.buffers() if id(buffer) not in ours)


def _statistics(model: nn.Module) -> Iterator[Tensor]:
    for module in model.modules():
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats:
            yield from module.buffers(recurse=False)


def _average(tensors: list[Tensor], processes: Processes) -> None:
    if not tensors:
        return
    flat = processes.sum(torch.cat([tensor.double().flatten() for tensor in tensors])) / processes.world
    for tensor, mean in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
        mean = mean if tensor.is_floating_point() else mean.round()
        tensor.copy_(mean.view_as(tensor))
