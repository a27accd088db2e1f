"""A training in a process of its own, which says what it does, so that a kill can be aimed at it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What a process says on its pipe, one byte each.
MARKS = {
    b"m": "making the learner", b"s": "a step", b"f": "computing features", b"r": "finding a rate",
    b"v": "validation", b"c": "writing a checkpoint", b"e": "the end of an epoch", b"-": "between two of these",
    # What is seen of a command from outside.
    b"b": "starting the command", b"o": "before the first checkpoint", b"k": "after a checkpoint",
    b"x": "after the model was written",
}  # fmt: skip
LONGEST = 180.0  # seconds after which a process hangs


@dataclass(frozen=True)
class Kill:
    """When to send which signal.

    Attributes:
        mark: After this mark,
        count: the so many-th of its kind, counted from 1,
        delay: and so many seconds.
        number: The signal.
        group: Also to the workers, as a terminal does for Ctrl-C.
        again: Send it once more after so many seconds; None does not.
    """

    mark: bytes
    count: int
    delay: float
    number: signal.Signals
    group: bool = False
    again: float | None = None

    def __str__(self) -> str:
        return f"{self.number.name}{' to the group' * self.group}{' twice' * (self.again is not None)}"


@dataclass
class Ended:
    """How a process ended.

    Attributes:
        code: Its exit code; -9 after SIGKILL.
        marks: What it said, and when, in seconds since its start.
        killed_in: What it was doing when the signal was sent, or None if it was at its end before that.
        seconds: How long it took.
        hung: Whether it had to be ended because it did not end.
    """

    code: int
    marks: list[tuple[bytes, float]] = field(default_factory=list)
    killed_in: str | None = None
    seconds: float = 0.0
    hung: bool = False


def run_forked(work: Callable[[int], None], errors: Path, kill: Kill | None = None) -> Ended:
    """Run `work(pipe)` in a forked process, which starts at once: torch is imported already."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        _child(work, writing, errors)
    os.close(writing)
    with contextlib.suppress(PermissionError):
        os.setpgid(process, process)
    ended = watch(process, reading, kill)
    os.close(reading)
    return ended


def _child(work: Callable[[int], None], pipe: int, errors: Path) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        output = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        work(pipe)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        _end_workers()
        os._exit(code)


def _end_workers() -> None:
    """End the workers, as a usual end of Python does."""
    import multiprocessing

    for worker in multiprocessing.active_children():
        worker.terminate()


def watch(process: int, pipe: int, kill: Kill | None) -> Ended:
    """Read what a process says, kill it when that is due, and wait for its end."""
    start = time.monotonic()
    ended = Ended(0)
    due: float | None = None
    doing: list[bytes] = [b"-"]
    count, open_, until = 0, True, start + LONGEST
    while open_:
        now = time.monotonic()
        if now > until:
            ended.hung = True
            break
        wait = until - now if due is None else max(due - now, 0.0)
        ready, _, _ = select.select([pipe], [], [], min(wait, 1.0))
        if ready:
            said = os.read(pipe, 4096)
            open_ = bool(said)
            for place in range(len(said)):
                mark = said[place : place + 1]
                ended.marks.append((mark, time.monotonic() - start))
                _follow(doing, mark)
                if kill is not None and mark == kill.mark and due is None and ended.killed_in is None:
                    count += 1
                    if count == kill.count:
                        due = time.monotonic() + kill.delay
        if kill is not None and due is not None and time.monotonic() >= due:
            ended.killed_in, due = MARKS[doing[-1]], None
            _send(kill, process)
            if kill.number == signal.SIGKILL:
                break
            if kill.again is not None:
                time.sleep(kill.again)
                _send(kill, process)
    _reap(process, ended, until)
    ended.seconds = time.monotonic() - start
    return ended


def _send(kill: Kill, process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if kill.group else os.kill)(process, kill.number)


def _follow(doing: list[bytes], mark: bytes) -> None:
    """Lower-case marks begin what is done, upper-case ones end it; a step is told when it ends."""
    if mark.isupper():
        if len(doing) > 1:
            doing.pop()
    elif mark in (b"s", b"e", b"b", b"o", b"k", b"x"):
        doing[0] = mark
    else:
        doing.append(mark)


def _reap(process: int, ended: Ended, until: float) -> None:
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            break
        if ended.hung or time.monotonic() > until:
            ended.hung = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            _, status = os.waitpid(process, 0)
            break
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)  # workers that would notice only in some seconds
    ended.code = os.waitstatus_to_exitcode(status)


@contextlib.contextmanager
def told(pipe: int, mark: bytes) -> Iterator[None]:
    """Say that something begins and ends."""
    os.write(pipe, mark)
    try:
        yield
    finally:
        os.write(pipe, mark.upper())


def tell_calls(pipe: int, module: Any, name: str, mark: bytes) -> None:
    """Let a function say when it is called and when it returns."""
    function = getattr(module, name)

    def telling(*arguments: Any, **options: Any) -> Any:
        with told(pipe, mark):
            return function(*arguments, **options)

    setattr(module, name, telling)
