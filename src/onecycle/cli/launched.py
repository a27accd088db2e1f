"""Commands that a launcher, such as torchrun, started in several processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onecycle.processes import Processes


def rank() -> int:
    """Return the number of this process, as the launcher says; 0 without one."""
    return int(os.environ.get("RANK", "0")) if _world() > 1 else 0


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Join the processes that a launcher started, while the context lasts; all but the main process print nothing."""
    if _world() == 1:
        from onecycle.processes import ALONE

        yield ALONE
        return
    import torch.distributed as dist
    from accelerate import Accelerator

    from onecycle.processes import Processes

    processes, stdout = Processes.of(Accelerator()), sys.stdout
    try:
        with open(os.devnull, "w") as nowhere:
            sys.stdout = stdout if processes.is_main else nowhere
            yield processes
    finally:
        sys.stdout = stdout
        if dist.is_initialized():
            dist.destroy_process_group()


def _world() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))
