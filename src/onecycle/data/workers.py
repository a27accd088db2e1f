"""Processes that read items: started once, and anew when one of them has died."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

import torch
from torch.utils.data import DataLoader as TorchLoader
from torch.utils.data import Dataset as TorchDataset

from onecycle.data.batch import Batch
from onecycle.data.dataset import Dataset
from onecycle.data.main_guard import check_main_guard
from onecycle.data.seeding import seeded
from onecycle.errors import OnecycleError, WorkerError

# What an end by a signal usually means.
_CAUSES = {
    "SIGKILL": "as the system does where memory runs out",
    "SIGBUS": "as happens where shared memory (/dev/shm) is full",
    "SIGSEGV": "a fault in a library that it called",
}
_SECONDS_TO_END = 1.0  # an end of a process can be noticed by its broken connection first


class ReadingProcesses:
    """Makes the batches of a plan in other processes, which live from epoch to epoch.

    Args:
        dataset: The items.
        plan: Gives the row numbers of each batch, anew for each epoch.
        count: How many processes.
        seed: For the generator of torch's loader, which would draw from the user's.
        context: How they start ("fork", "spawn", ...); None leaves it to Python.
    """

    def __init__(self, dataset: Dataset, plan: Iterable[list[int]], count: int, seed: int, context: str | None) -> None:
        self.dataset, self.plan, self.count, self.seed, self.context = dataset, plan, count, seed, context
        self._loader: TorchLoader[Any] | None = None

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of the plan.

        Raises:
            WorkerError: A process died, or reading failed with another error than the library's own.
        """
        if self._ended():
            self.close()  # between epochs nothing is lost with them
        try:
            if self._loader is None:
                check_main_guard()
                self._loader = self._start()
            batches = iter(self._loader)
            _tell_only_when_asked(batches)
            for batch in batches:
                if isinstance(batch, _Failure):
                    raise batch.error
                yield batch
        except OnecycleError:
            raise
        except Exception as error:
            ended = self._ended(_SECONDS_TO_END)
            self.close()
            if ended or str(error).startswith("DataLoader worker"):
                raise self._died(ended) from error
            raise

    def close(self) -> None:
        """End the processes; the next epoch starts others."""
        loader, self._loader = self._loader, None
        iterator = getattr(loader, "_iterator", None)
        if iterator is not None:
            iterator._shutdown_workers()

    def _start(self) -> TorchLoader[Any]:
        return TorchLoader(
            _Reader(self.dataset),
            batch_sampler=self.plan,
            collate_fn=_as_it_is,
            num_workers=self.count,
            persistent_workers=True,
            multiprocessing_context=self.context,
            generator=seeded(self.seed),
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_ignore_interrupts,
        )

    def _ended(self, timeout: float = 0) -> list[int | None]:
        """Return the exit codes of the processes that have ended; wait so many seconds for one to end."""
        processes = getattr(getattr(self._loader, "_iterator", None), "_workers", [])
        if processes and wait([process.sentinel for process in processes], timeout):
            for process in processes:
                process.join(timeout / 10)  # its connections break first
        return [process.exitcode for process in processes if not process.is_alive()]

    def _died(self, ended: list[int | None]) -> WorkerError:
        how = ", ".join(dict.fromkeys(_in_words(code) for code in ended)) or "it did not start"
        return WorkerError(
            f"{max(len(ended), 1)} of {self.count} processes that read items died: {how}.",
            "workers that live as long as the epoch; each needs memory of its own.",
            "pass fewer workers= or a smaller batch_size= to databunch(), or workers=0, which reads in this process; "
            "what is called next starts new ones.",
        )


@dataclass(frozen=True)
class _Failure:
    """Stands for a batch that could not be made, so that the error reaches the user as it was written."""

    error: OnecycleError


class _Reader(TorchDataset[Any]):
    """What torch's workers read from, a batch at a time; never raises."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitems__(self, rows: list[int]) -> Batch | _Failure:
        try:
            return self.dataset.collate([self.dataset.fetch(row) for row in rows])
        except OnecycleError as error:
            return _Failure(error)
        except Exception as error:
            failed = WorkerError(
                f"Reading failed in a worker with {type(error).__name__}: {error}.",
                "a modality and a target that read every item, or raise a DataError.",
                "fix what the traceback shows; with workers=0 it can be followed in a debugger.",
            )
            failed.add_note(traceback.format_exc())
            return _Failure(failed)

    def __len__(self) -> int:
        return len(self.dataset)


def _as_it_is(batch: Any) -> Any:
    return batch


def _ignore_interrupts(worker: int) -> None:
    """Let Ctrl-C, which reaches all processes of a terminal, end only what the main process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _tell_only_when_asked(batches: Any) -> None:
    """Have the end of a process told where the next batch is asked for.

    torch's handler of SIGCHLD raises at any line of the main thread, such as within a step of the optimizer.
    """
    with suppress(AttributeError, ValueError):
        if batches._worker_pids_set:
            torch._C._remove_worker_pids(id(batches))
            batches._worker_pids_set = False


def _in_words(code: int | None) -> str:
    if code is None or code >= 0:
        return f"it ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it was ended by {name}" + (f", {_CAUSES[name]}" if name in _CAUSES else "")
