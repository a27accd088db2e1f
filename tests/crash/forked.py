"""A process that writes what it has done to a pipe, line by line, until it is killed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable


def kill_forked(work: Callable[[int], None], seconds: float, after: int) -> list[list[str]]:
    """Return the lines, each in JSON, that a process had written when it was killed.

    Args:
        work: Writes lines to the file descriptor that it gets, and never ends by itself.
        seconds: When it is killed, counted from its line number `after`, however slow the machine is until then.
        after: 0 counts from its start.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            work(writer)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        first = [file.readline() for _ in range(after)]
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        lines = [*first, *file.read().split("\n")]
    return [json.loads(line) for line in lines[:-1]]  # the last one is empty, or was being written
