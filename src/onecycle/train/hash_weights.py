"""A checksum of weights, which tells whether what was computed with them still holds."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from onecycle.train.sharded import local


def hash_weights(module: nn.Module, digest: hashlib._Hash) -> None:
    """Add the weights of a module and their names to a checksum; of divided ones (FSDP2) this process's parts."""
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(local(tensor.detach()).cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
