"""What is accepted is answered, in batches of what is there, by the model that it was read for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from onecycle.ship.serve.engine import Engine
from onecycle.ship.serve.request_errors import RequestError
from onecycle.ship.serve.served import Answer, Upload

ResultT = TypeVar("ResultT")
UPLOADS = [Upload(str(number), b"%d" % number) for number in range(10)]


class Fake:
    """A model whose answer is its input and its name; it computes while `open` is set."""

    def __init__(self, name: str = "old") -> None:
        self.name, self.open, self.batches = name, threading.Event(), list[list[str]]()
        self.open.set()
        self.threads: set[str] = set()
        self.begun = self.computing = self.most_computing = 0
        self._lock = threading.Lock()
        self.computes_side_by_side = True

    def begin_thread(self) -> None:
        self.begun += 1

    def read(self, upload: Upload) -> Any:
        if upload.data == b"broken":
            raise ValueError("cannot be read")
        return upload.name

    def predict(self, samples: list[str]) -> list[Answer]:
        with self._lock:
            self.computing += 1
            self.most_computing = max(self.computing, self.most_computing)
        self.open.wait(30)
        with self._lock:
            self.computing -= 1
        self.threads.add(threading.current_thread().name)
        if "poison" in samples:
            raise RuntimeError("cannot be computed")
        self.batches.append(list(samples))
        return [Answer(f"{sample} by {self.name}", {}) for sample in samples]


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def engine(fake: Fake) -> Iterator[Engine]:
    engine = Engine(fake, batch_size=4, most_waiting=12, threads=1)  # type: ignore[arg-type]
    yield engine
    fake.open.set()
    engine.close()


def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    return asyncio.run(asyncio.wait_for(work, 60))


async def until(happened: Callable[[], bool]) -> None:
    while not happened():
        await asyncio.sleep(0.005)


def labels(answers: Any) -> list[Any]:
    return [answer.label if isinstance(answer, Answer) else type(answer) for answer in answers]


def test_answers_are_in_the_order_of_the_inputs(engine: Engine, fake: Fake) -> None:
    assert labels(run(engine.predict(engine.served, UPLOADS))) == [f"{number} by old" for number in range(10)]
    assert fake.threads == {"onecycle-model-0"}
    assert fake.begun == 1
    assert engine.waiting == 0


def test_what_came_meanwhile_is_computed_together(engine: Engine, fake: Fake) -> None:
    async def requests() -> None:
        fake.open.clear()
        first = asyncio.create_task(engine.predict(engine.served, UPLOADS[:1]))
        await until(lambda: engine.waiting == 1 and engine._jobs.empty())
        others = [asyncio.create_task(engine.predict(engine.served, [upload])) for upload in UPLOADS[1:]]
        await until(lambda: engine._jobs.qsize() == 9)
        fake.open.set()
        await asyncio.gather(first, *others)

    run(requests())
    assert [len(batch) for batch in fake.batches] == [1, 4, 4, 1]
    assert "onecycle_batches_total 4" in engine.counters.as_text()
    assert "onecycle_predictions_total 10" in engine.counters.as_text()


def test_more_than_can_wait_are_refused_and_the_others_answered(engine: Engine, fake: Fake) -> None:
    async def requests() -> Any:
        fake.open.clear()
        first = asyncio.create_task(engine.predict(engine.served, UPLOADS))
        await until(lambda: engine.waiting == 10)
        with pytest.raises(RequestError, match=r"10 inputs are waiting for an answer.\nExpected at most 12") as caught:
            await engine.predict(engine.served, UPLOADS[:3])
        assert caught.value.status == 503
        assert caught.value.headers == {"Retry-After": "1"}
        fake.open.set()
        return await first

    assert len(run(requests())) == 10


def test_one_request_may_have_more_inputs_than_may_wait(engine: Engine) -> None:
    assert len(run(engine.predict(engine.served, UPLOADS * 3))) == 30


def test_one_input_takes_no_other_along(engine: Engine) -> None:
    uploads = [UPLOADS[0], Upload("x", b"broken"), Upload("poison", b""), UPLOADS[1]]
    answers = run(engine.predict(engine.served, uploads))
    assert labels(answers) == ["0 by old", ValueError, RuntimeError, "1 by old"]


def test_what_was_begun_ends_with_the_model_that_it_was_read_for(engine: Engine, fake: Fake) -> None:
    async def requests() -> Any:
        fake.open.clear()
        before = asyncio.create_task(engine.predict(engine.served, UPLOADS[:3]))
        await until(lambda: engine.waiting == 3)
        engine.served = Fake("new")  # type: ignore[assignment]
        after = asyncio.create_task(engine.predict(engine.served, UPLOADS[3:5]))
        await until(lambda: engine.waiting == 5)
        fake.open.set()
        return [*await before, *await after]

    assert labels(run(requests())) == ["0 by old", "1 by old", "2 by old", "3 by new", "4 by new"]


def test_what_nobody_waits_for_any_more_makes_room(engine: Engine, fake: Fake) -> None:
    async def requests() -> None:
        fake.open.clear()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(engine.predict(engine.served, UPLOADS), 0.05)
        fake.open.set()
        await until(lambda: engine.waiting == 0)

    run(requests())


def test_close_answers_what_was_accepted(fake: Fake) -> None:
    engine = Engine(fake, batch_size=2, threads=2)  # type: ignore[arg-type]

    async def requests() -> Any:
        fake.open.clear()
        asked = asyncio.create_task(engine.predict(engine.served, UPLOADS))
        await until(lambda: engine.waiting == 10)
        closing = asyncio.create_task(asyncio.to_thread(engine.close))
        await asyncio.sleep(0.01)
        fake.open.set()
        await closing
        return await asked

    assert len(labels(run(requests()))) == 10
    assert not any(thread.is_alive() for thread in engine._threads)


@pytest.mark.parametrize(("side_by_side", "at_once"), [(True, 3), (False, 1)])
def test_threads_compute_side_by_side_where_that_is_faster(fake: Fake, *, side_by_side: bool, at_once: int) -> None:
    fake.computes_side_by_side = side_by_side
    engine = Engine(fake, batch_size=4, threads=3)  # type: ignore[arg-type]

    async def requests() -> Any:
        fake.open.clear()
        asked = [asyncio.create_task(engine.predict(engine.served, [upload])) for upload in UPLOADS]
        await until(lambda: fake.computing == at_once and engine.waiting == 10)
        fake.open.set()
        return await asyncio.gather(*asked)

    assert [labels(answer) for answer in run(requests())] == [[f"{number} by old"] for number in range(10)]
    engine.close()
    assert fake.most_computing == at_once
    assert (fake.begun, sum(map(len, fake.batches))) == (3, 10)


def test_a_share_of_what_is_queued_is_left_to_the_other_threads(fake: Fake) -> None:
    engine = Engine(fake, batch_size=4, threads=2)  # type: ignore[arg-type]

    async def requests() -> None:
        fake.open.clear()
        first = asyncio.create_task(engine.predict(engine.served, UPLOADS[:2]))
        await until(lambda: fake.computing == 2)
        others = asyncio.create_task(engine.predict(engine.served, UPLOADS[2:]))
        await until(lambda: engine._jobs.qsize() == 8)
        fake.open.set()
        await asyncio.gather(first, others)

    run(requests())
    engine.close()
    assert max(map(len, fake.batches)) <= 4
    assert sorted(one for batch in fake.batches for one in batch) == [upload.name for upload in UPLOADS]


def test_other_work_counts_as_an_input(engine: Engine, fake: Fake) -> None:
    async def work() -> tuple[int, int]:
        return await engine.run(lambda number: (engine.waiting, number), 7)

    assert run(work()) == (1, 7)
    with pytest.raises(ZeroDivisionError):
        run(engine.run(lambda: 1 // 0))
    assert engine.waiting == 0
