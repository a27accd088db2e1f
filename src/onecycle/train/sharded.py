"""Models whose weights lie in parts on several devices (FSDP2), for those that are too large for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from torch import Tensor, nn

from onecycle.errors import ModelError


def shards_weights(accelerator: Accelerator) -> bool:
    """Return whether an accelerator divides the weights of a model over its processes."""
    return bool(accelerator.distributed_type == DistributedType.FSDP)


def sharded(model: nn.Module, accelerator: Accelerator) -> nn.Module:
    """Return the model with its weights divided over the processes, where the accelerator asks for it; else as it is.

    It is done once, before there is an optimizer, so that optimizers, averages and copies have parts as well.

    Raises:
        ModelError: The accelerator has the first version of FSDP.
    """
    if not shards_weights(accelerator):
        return model
    if not accelerator.is_fsdp2:
        raise ModelError(
            "The accelerator has FSDP 1, which joins weights to vectors: layer groups, averages and files lose them.",
            "FSDP 2, in which each weight keeps its name and shape.",
            "pass FullyShardedDataParallelPlugin(fsdp_version=2), or answer 2 in `accelerate config`.",
        )
    from accelerate.utils.fsdp_utils import fsdp2_prepare_model

    prepared: Any = fsdp2_prepare_model(accelerator, model)
    # Else the outermost layers stay whole after a validation: an optimizer or a copy made then would hold on to weights
    # whose memory is freed in the next step.
    prepared.set_reshard_after_forward(True)
    return cast(nn.Module, prepared)


def class_of(model: nn.Module) -> type[nn.Module]:
    """Return the class of a model; to one whose weights are divided, FSDP gives a class derived from it."""
    classes: list[type[nn.Module]] = type(model).mro()
    return classes[2] if len(classes) > 2 and classes[1].__name__ == "FSDPModule" else classes[0]


def is_divided(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor; the module that defines it takes long to import."""
    return hasattr(tensor, "full_tensor")


def local(tensor: Tensor) -> Tensor:
    """Return the part of a tensor that is on this device, in the same memory; of one that is not divided all of it."""
    if not is_divided(tensor):
        return tensor
    with torch.no_grad():
        part: Tensor = tensor.to_local()  # type: ignore[attr-defined]
    return part


def whole(tensor: Tensor) -> Tensor:
    """Return a divided tensor in one piece, in main memory; any other as it is. All processes must call it."""
    if not is_divided(tensor):
        return tensor
    with torch.no_grad():
        piece: Tensor = tensor.full_tensor()  # type: ignore[attr-defined]
    return piece.cpu()


def all_whole(tensors: Mapping[str, Tensor], *, keep: bool = True) -> dict[str, Tensor]:
    """Return tensors by name, each in one piece; where they are not needed, nothing is kept of them.

    Args:
        tensors: Some of which may be divided. All processes must have the same ones.
        keep: Whether this process needs them.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        piece = whole(tensor)
        if keep:
            found[name] = piece
    return found


def divided_as(tensor: Tensor, value: Tensor) -> Tensor:
    """Return `value`, which each process has in one piece, divided as `tensor` is, on its device."""
    if not is_divided(tensor) or is_divided(value):
        return value
    from torch.distributed.tensor import distribute_tensor

    mesh, placements = tensor.device_mesh, tensor.placements  # type: ignore[attr-defined]
    return distribute_tensor(value.to(tensor.device), mesh, placements, src_data_rank=None)


def divided_like(held: Mapping[str, Tensor], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by name, each divided as the tensor of the same name."""
    return {name: divided_as(held[name], value) if name in held else value for name, value in values.items()}


def copied_as(tensor: Tensor, value: Tensor) -> Tensor:
    """Return a copy of `value` that lies in memory, and is divided, as `tensor` is."""
    return torch.empty_like(tensor.detach(), dtype=value.dtype).copy_(divided_as(tensor, value))
