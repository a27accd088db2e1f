from __future__ import annotations

import signal
import threading

import pytest

from onecycle.train.interruption import Interruption


def interrupted_step(parts: list[str]) -> list[str]:
    """Return the parts of a step that were done, where Ctrl-C comes before each of them."""
    done: list[str] = []

    def step() -> None:
        with Interruption() as interruption, interruption.held():
            for part in parts:
                signal.raise_signal(signal.SIGINT)
                done.append(part)

    with pytest.raises(KeyboardInterrupt):
        step()
    return done


def test_a_signal_waits_for_the_end_of_what_is_held() -> None:
    assert interrupted_step(["step"]) == ["step"]


def test_outside_of_it_a_signal_acts_at_once() -> None:
    with Interruption() as interruption:
        with interruption.held():
            pass
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_second_signal_acts_at_once() -> None:
    assert interrupted_step(["first", "second"]) == ["first"]


def test_sigterm_exits_with_143() -> None:
    with Interruption() as interruption, pytest.raises(SystemExit) as caught, interruption.held():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143


def test_the_users_handlers_are_called_and_are_back_afterwards() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    mine = signal.getsignal(signal.SIGTERM)
    try:
        with Interruption() as interruption, interruption.held():
            signal.raise_signal(signal.SIGTERM)
            assert seen == []
        assert seen == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption, interruption.held():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_it_does_nothing() -> None:
    handler = signal.getsignal(signal.SIGINT)
    seen = []

    def use() -> None:
        with Interruption() as interruption, interruption.held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert seen == [handler]


@pytest.mark.parametrize(("signals", "broken"), [(1, False), (2, True)])
def test_it_knows_whether_something_may_be_half_done(signals: int, broken: bool) -> None:
    def step(interruption: Interruption) -> None:
        with interruption, interruption.held():
            for _ in range(signals):
                signal.raise_signal(signal.SIGINT)

    interruption = Interruption()
    with pytest.raises(KeyboardInterrupt):
        step(interruption)
    assert interruption.broken is broken


def test_signals_that_end_nothing_leave_nothing_half_done() -> None:
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        with Interruption() as interruption, interruption.held():
            for _ in range(3):
                signal.raise_signal(signal.SIGTERM)
        assert not interruption.broken
    finally:
        signal.signal(signal.SIGTERM, before)
