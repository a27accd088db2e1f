"""The processes that train together: what they add up, decide and gather.

Torch is imported where there are several: a process alone, which only looks at data, does without.
"""

from __future__ import annotations

import atexit
import os
import pickle
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from accelerate import Accelerator
    from torch import Tensor

T = TypeVar("T")
ErrorT = TypeVar("ErrorT", bound=BaseException)


@dataclass(frozen=True)
class Processes:
    """One of the processes that train together, and its way to the others.

    Every method must be called by all of them in the same order, and returns at once where there is one process alone.

    Attributes:
        rank: Number of this process, from 0.
        world: How many there are.
    Example:
        >>> alone = Processes()
        >>> alone.is_main, alone.decide(lambda: 0.01), alone.gather("mine")
        (True, 0.01, ['mine'])
    """

    rank: int = 0
    world: int = 1

    @classmethod
    def of(cls, accelerator: Accelerator) -> Processes:
        """Return the processes of an accelerator."""
        if accelerator.num_processes > 1:
            atexit.unregister(_let_gloo_finish)
            atexit.register(_let_gloo_finish)
        return cls(accelerator.process_index, accelerator.num_processes)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes; `tensor` itself may be overwritten."""
        if self.world > 1:
            _dist().all_reduce(tensor, group=_control() if tensor.device.type == "cpu" else None)
        return tensor

    def any(self, flag: bool) -> bool:
        """Return whether `flag` is true in one of the processes."""
        return any(self.gather(flag))

    def gather(self, value: T) -> list[T]:
        """Return the value of every process, by rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        _dist().all_gather_object(values, value, group=_control())
        return values

    def each(self, make: Callable[[], T]) -> list[T]:
        """Return what `make` returns in every process, by rank; or raise in all what it raises in one of them.

        What `make` does is done by each process alone, so that none waits for another that has failed.
        """
        if self.world == 1:
            return [make()]
        value: T | None = None
        failed: Exception | None = None
        try:
            value = make()
        except Exception as error:
            failed = error
        outcomes = self.gather((value, failed and sendable(failed)))
        if failed is not None:
            raise in_all(failed)
        for _, other in outcomes:
            if other is not None:
                raise in_all(other)
        return [cast(T, value) for value, _ in outcomes]

    def decide(self, make: Callable[[], T]) -> T:
        """Return what `make` returns in the main process, where alone it is called; or raise there what it raises."""
        if self.world == 1:
            return make()
        outcome: list[Any] = [None, None]
        if self.is_main:
            try:
                outcome[0] = make()
            except Exception as error:
                outcome[1] = sendable(error)
        _dist().broadcast_object_list(outcome, src=0, group=_control())
        if outcome[1] is not None:
            raise in_all(outcome[1])
        return cast(T, outcome[0])

    def alike(self, make: Callable[[], T]) -> T:
        """Return what `make` returns in this process; or raise in all what it raises in one of them."""
        made: list[T] = []
        self.each(lambda: made.append(make()))
        return made[0]

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """Give all processes the numbers that tensors have in the main process."""
        if self.world > 1:
            for tensor in tensors:
                _dist().broadcast(tensor.detach(), src=0)

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.world > 1:
            _dist().barrier(group=_control())


ALONE = Processes()


def _dist() -> Any:
    import torch.distributed

    return torch.distributed


def processes_on_this_machine() -> int:
    """Return how many processes of the training share this machine, as launchers such as torchrun say."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


@lru_cache(maxsize=1)
def _control_group(default: object) -> Any:
    """Return a group for objects and for tensors on the CPU: through it no accelerator has to wait."""
    return None if _dist().get_backend() == "gloo" else _dist().new_group(backend="gloo")


def _control() -> Any:
    return _control_group(_dist().group.WORLD)


def _let_gloo_finish() -> None:
    """Let the threads of gloo release the tensors of the last operation, for which they need the interpreter.

    One that ends before they have is aborted with "terminate called without an active exception"
    (pytorch/pytorch#179291). Destroying the group would wait for processes that may have died.
    """
    time.sleep(0.1)


def sendable(error: BaseException) -> BaseException:
    """Return an error as it can be sent to other processes."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def in_all(error: ErrorT) -> ErrorT:
    """Mark an error that all processes raise at the same point, so that none waits for another."""
    error.__dict__["in_all_processes"] = True
    return error


def is_in_all(error: BaseException) -> bool:
    """Return whether all processes raise this error."""
    return bool(error.__dict__.get("in_all_processes"))
