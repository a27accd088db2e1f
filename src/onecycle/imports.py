"""Quick imports: torch, timm and what they bring are 3,000 modules, and a third of their time went to garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Python 3.12 begins with 375 frozen objects; `gc.freeze()` freezes all there are, which is thousands.
FROZEN_BY_USERS = 1000


@contextmanager
def without_collecting() -> Iterator[None]:
    """Pause the garbage collector while modules are imported: what they make stays, and is searched a thousand times.

    This took 1 s of the 3.3 s that `vision_learner` needed to be imported.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() < FROZEN_BY_USERS:
            # Together these file all there is under "old", so that the next collection of new things finds few.
            gc.freeze()
            gc.unfreeze()
        gc.enable()
