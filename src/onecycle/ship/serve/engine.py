"""Answers many requests with one model: inputs are read side by side, and what is read by then is computed together."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from onecycle.data.batch import Sample
from onecycle.ship.serve.counters import Counters
from onecycle.ship.serve.request_errors import RequestError
from onecycle.ship.serve.served import Answer, ServedModel, Upload

ResultT = TypeVar("ResultT")


class _Job(NamedTuple):
    served: ServedModel
    sample: Sample
    answer: Future[Answer]


class Engine:
    """Reads inputs in as many threads as there are processors, and predicts them in one, which the model belongs to.

    Nothing waits for a batch to fill: it is what was read while the batch before it was computed.

    Args:
        served: The model; another one may be put in its place at any time, and what was begun ends with the old one.
        batch_size: The most inputs at a time.
        most_waiting: The most inputs that are accepted and not yet answered.
        counters: Where batches are counted.
    """

    def __init__(
        self, served: ServedModel, *, batch_size: int = 32, most_waiting: int = 256, counters: Counters | None = None
    ) -> None:
        self.served, self.batch_size, self.most_waiting = served, batch_size, most_waiting
        self.counters = counters or Counters()
        self.waiting = 0
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._readers = ThreadPoolExecutor(os.cpu_count(), "onecycle-read")
        self._computing = threading.Thread(target=self._compute, name="onecycle-model", daemon=True)
        self._computing.start()

    def close(self) -> None:
        """Answer what was accepted, and end the threads."""
        self._readers.shutdown()
        self._jobs.put(None)
        self._computing.join()

    async def predict(self, served: ServedModel, uploads: Sequence[Upload]) -> list[Answer | BaseException]:
        """Return an answer for each input, or why there is none.

        Raises:
            RequestError: Too many are waiting.
        """
        answers = self._accept(len(uploads))
        for upload, answer in zip(uploads, answers, strict=True):
            self._readers.submit(self._read, served, upload, answer)
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
        self._readers.submit(_finish, result, work, *arguments)
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

    def _read(self, served: ServedModel, upload: Upload, answer: Future[Answer]) -> None:
        if not answer.set_running_or_notify_cancel():  # whoever asked has stopped waiting
            return
        try:
            self._jobs.put(_Job(served, served.read(upload), answer))
        except BaseException as error:
            answer.set_exception(error)

    def _compute(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs = [job, *self._queued(self.batch_size - 1)]
            for served, group in groupby(jobs, key=lambda each: each.served):
                self._answer(served, list(group))

    def _queued(self, most: int) -> list[_Job]:
        """Return what is queued by now."""
        jobs: list[_Job] = []
        try:
            while len(jobs) < most:
                if (job := self._jobs.get_nowait()) is None:
                    self._jobs.put(None)
                    break
                jobs.append(job)
        except Empty:
            pass
        return jobs

    def _answer(self, served: ServedModel, jobs: Sequence[_Job]) -> None:
        try:
            answers = served.predict([job.sample for job in jobs])
        except Exception as error:
            if len(jobs) == 1:
                jobs[0].answer.set_exception(error)
                return
            for job in jobs:  # one of them must not take the others along
                self._answer(served, [job])
            return
        self.counters.add("onecycle_batches_total")
        self.counters.add("onecycle_predictions_total", len(jobs))
        for job, answer in zip(jobs, answers, strict=True):
            job.answer.set_result(answer)


def _finish(result: Future[Any], work: Callable[..., Any], *arguments: Any) -> None:
    if not result.set_running_or_notify_cancel():
        return
    try:
        result.set_result(work(*arguments))
    except BaseException as error:
        result.set_exception(error)
