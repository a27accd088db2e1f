"""Answers many requests with one model: in threads side by side, each of which takes its share of what is queued."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from onecycle.ship.serve.counters import Counters
from onecycle.ship.serve.request_errors import RequestError
from onecycle.ship.serve.served import Answer, ServedModel, Upload

ResultT = TypeVar("ResultT")


class _Job(NamedTuple):
    """What is to be read, and for an input the model that answers it; other work is done when it was read."""

    served: ServedModel | None
    read: Callable[[], Any]
    answer: Future[Any]


class Engine:
    """Reads and predicts inputs in as many threads as there are processors.

    Nothing waits for a batch to fill: a free thread reads its share of what is queued, and computes together what is
    read by then, by itself and by the others. A processor's threads compute side by side; an accelerator computes one
    batch at a time, while the other threads read.

    Args:
        served: The model; another one may be put in its place at any time, and what was begun ends with the old one.
        batch_size: The most inputs at a time.
        most_waiting: The most inputs that are accepted and not yet answered.
        threads: How many; None takes as many as there are processors.
        counters: Where batches are counted.
    """

    def __init__(
        self,
        served: ServedModel,
        *,
        batch_size: int = 32,
        most_waiting: int = 256,
        threads: int | None = None,
        counters: Counters | None = None,
    ) -> None:
        self.served, self.batch_size, self.most_waiting = served, batch_size, most_waiting
        self.counters = counters or Counters()
        self.waiting = 0
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._read: deque[tuple[_Job, Any]] = deque()
        count = threads or processors()
        self._computing = threading.Semaphore(count if served.computes_side_by_side else 1)
        names = (f"onecycle-model-{number}" for number in range(count))
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Answer what was accepted, and end the threads."""
        self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    async def predict(self, served: ServedModel, uploads: Sequence[Upload]) -> list[Answer | BaseException]:
        """Return an answer for each input, or why there is none.

        Raises:
            RequestError: Too many are waiting.
        """
        answers = self._accept(len(uploads))
        for upload, answer in zip(uploads, answers, strict=True):
            self._jobs.put(_Job(served, partial(served.read, upload), answer))
        done: list[Answer | BaseException] = await asyncio.gather(
            *map(asyncio.wrap_future, answers), return_exceptions=True
        )
        return done

    async def run(self, work: Callable[..., ResultT], *arguments: Any) -> ResultT:
        """Return what some other work returns, which takes the place of an input.

        Raises:
            RequestError: Too many are waiting.
        """
        (result,) = self._accept(1)
        self._jobs.put(_Job(None, partial(work, *arguments), result))
        done: ResultT = await asyncio.wrap_future(result)
        return done

    def _accept(self, count: int) -> list[Future[Any]]:
        """Return a future for each of some inputs, which count as waiting until they are done."""
        with self._lock:
            if self.waiting + count > max(self.most_waiting, count):
                raise RequestError(
                    503, f"{self.waiting:,} inputs are waiting for an answer.",
                    f"at most {self.most_waiting:,}.", "ask again in a second.", headers={"Retry-After": "1"},
                )  # fmt: skip
            self.waiting += count
        futures: list[Future[Any]] = [Future() for _ in range(count)]
        for future in futures:
            future.add_done_callback(self._release)
        return futures

    def _release(self, _: Future[Any]) -> None:
        with self._lock:
            self.waiting -= 1

    # --- in a thread ---

    def _work(self) -> None:
        self.served.begin_thread()
        while jobs := self._share():
            for job in jobs:
                self._begin(job)
            with self._computing:
                self._compute()

    def _share(self) -> list[_Job]:
        """Wait for a job, and return this thread's share of what is queued; nothing when the engine is closed."""
        job = self._jobs.get()
        most = min(-(-(1 + self._jobs.qsize()) // len(self._threads)), self.batch_size)
        jobs: list[_Job] = []
        try:
            while job is not None:
                jobs.append(job)
                if len(jobs) >= most:
                    return jobs
                job = self._jobs.get_nowait()
        except Empty:
            return jobs
        self._jobs.put(None)  # for the other threads
        return jobs

    def _begin(self, job: _Job) -> None:
        if not job.answer.set_running_or_notify_cancel():  # whoever asked has stopped waiting
            return
        try:
            sample = job.read()
        except BaseException as error:
            job.answer.set_exception(error)
            return
        if job.served is None:
            job.answer.set_result(sample)
        else:
            self._read.append((job, sample))

    def _compute(self) -> None:
        """Predict what is read by now. No thread leaves behind more than those that are about to come here take."""
        read: list[tuple[_Job, Any]] = []
        try:
            while len(read) < self.batch_size:
                read.append(self._read.popleft())
        except IndexError:
            pass
        for served, group in groupby(read, key=lambda pair: pair[0].served):
            assert served is not None  # other work is done
            self._answer(served, list(group))

    def _answer(self, served: ServedModel, read: Sequence[tuple[_Job, Any]]) -> None:
        try:
            answers = served.predict([sample for _, sample in read])
        except Exception as error:
            if len(read) == 1:
                read[0][0].answer.set_exception(error)
                return
            for pair in read:  # one of them must not take the others along
                self._answer(served, [pair])
            return
        self.counters.add("onecycle_batches_total")
        self.counters.add("onecycle_predictions_total", len(read))
        for (job, _), answer in zip(read, answers, strict=True):
            job.answer.set_result(answer)


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
