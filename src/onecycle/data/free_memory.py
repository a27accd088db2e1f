"""How much memory a device has left."""

from __future__ import annotations

import psutil
import torch


def free_memory(device: torch.device) -> int:
    """Return the bytes that a device has left."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":  # it shares the memory of the processor, of which it may have a part
        left = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return int(max(min(left, psutil.virtual_memory().available), 0))
    return int(psutil.virtual_memory().available)
