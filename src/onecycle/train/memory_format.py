"""How weights lie in memory."""

from __future__ import annotations

import torch
from accelerate import Accelerator, DistributedType
from torch import nn


def placed(model: nn.Module, accelerator: Accelerator, *, channels_last: bool) -> nn.Module:
    """Return the model on the accelerator's device, its weights as they are fastest there.

    Tensor cores convolve with the channels last in memory; with another order, each convolution turns its inputs and
    outputs around. On processors the order of the inputs decides, and that of the weights is left as it is.

    Args:
        model: Any module.
        accelerator: Its device; FSDP takes no weights whose order is another than PyTorch's own.
        channels_last: Whether inputs come with the channels last. With others the outputs of convolutions would change
            their order, and a model that calls `view` on them would fail.
    """
    model = model.to(accelerator.device)
    if accelerator.distributed_type == DistributedType.FSDP:
        return model.to(memory_format=torch.contiguous_format)
    dimensions = {parameter.ndim for parameter in model.parameters()}
    if channels_last and accelerator.device.type == "cuda" and 4 in dimensions and 5 not in dimensions:
        return model.to(memory_format=torch.channels_last)
    return model
