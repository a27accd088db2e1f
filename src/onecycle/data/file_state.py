"""Whether a file is still the one that it was."""

from __future__ import annotations

import os
from collections.abc import Sequence

from onecycle.data.remote import is_remote, remote_state


def state_of(path: str) -> Sequence[int | str]:
    """Return what changes whenever a file does; nothing where there is none."""
    if is_remote(path):
        return remote_state(path)
    try:
        state = os.stat(path)
    except (OSError, ValueError):  # an item need not be a file
        return ()
    # A freed inode is given to the next file, and times can be set; the time of the last change of either cannot.
    return state.st_size, state.st_mtime_ns, state.st_ino, state.st_ctime_ns
