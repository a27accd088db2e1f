"""A checksum of weights, which tells whether what was computed with them still holds."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


def hash_weights(module: nn.Module, digest: hashlib._Hash) -> None:
    """Add the weights of a module and their names to a checksum: what was computed is of these weights alone."""
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(_own_part(tensor).cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())


def _own_part(tensor: Tensor) -> Tensor:
    """Return a tensor; of one that is divided over processes (FSDP2), the part that this one has."""
    tensor = tensor.detach()
    own: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return own
