import os
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from group import Group

from onecycle.errors import DataError
from onecycle.processes import Processes


def ours() -> Processes:
    return Processes.of(Accelerator(cpu=True))


def sums_and_gathers() -> dict[str, Any]:
    processes = ours()
    value = float(processes.rank + 1)
    return {
        "rank": processes.rank,
        "sum": float(processes.sum(torch.tensor(value))),
        "gather": processes.gather(f"of {processes.rank}"),
        "any": (processes.any(processes.rank == 1), processes.any(False)),
        "decide": processes.decide(lambda: processes.rank),
    }


def test_processes_add_up_gather_and_decide(pair: Group) -> None:
    first, second = pair.run(sums_and_gathers)
    assert first.pop("rank") == 0
    assert second.pop("rank") == 1
    assert first == second == {"sum": 3.0, "gather": ["of 0", "of 1"], "any": (True, False), "decide": 0}


def refuse() -> None:
    raise DataError("No images.", "images.", "add some.")


def decide_badly() -> str:
    try:
        ours().decide(refuse)
    except DataError as error:
        return str(error)
    return ""


def test_what_the_main_process_raises_is_raised_in_all(pair: Group) -> None:
    assert pair.run(decide_badly) == [str(DataError("No images.", "images.", "add some."))] * 2


def raise_what_cannot_travel() -> None:
    class Own(Exception):
        pass

    raise Own("local")


def decide_untravelled() -> str:
    try:
        ours().decide(raise_what_cannot_travel)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def test_an_error_that_cannot_be_pickled_is_told_in_all(pair: Group) -> None:
    assert pair.run(decide_untravelled) == ["RuntimeError: Own: local"] * 2


def each_of(failing: int | None) -> Any:
    processes = ours()

    def make() -> str:
        if processes.rank == failing:
            refuse()
        return f"of {processes.rank}"

    try:
        return processes.each(make)
    except DataError as error:
        return str(error)


def test_each_returns_what_all_have_made_or_raises_what_one_of_them_raised(pair: Group) -> None:
    assert pair.run(each_of, None) == [["of 0", "of 1"]] * 2
    for failing in (0, 1):
        assert pair.run(each_of, failing) == [str(DataError("No images.", "images.", "add some."))] * 2


def hang_in_one() -> None:
    processes = ours()
    if processes.is_main:
        processes.wait()


def test_a_process_that_hangs_fails_the_test_that_waits_for_it(pair: Group) -> None:
    with pytest.raises(pytest.fail.Exception, match="hangs"):
        pair.run(hang_in_one, seconds=3)


def die_in_one() -> None:
    if ours().rank == 1:
        os._exit(3)


def test_a_process_that_dies_is_told(pair: Group) -> None:
    assert pair.outcomes(die_in_one) == [("returned", None), ("raised", "process 1 died")]


def test_alone_nothing_is_sent() -> None:
    alone = Processes()
    assert alone.sum(torch.tensor(2.0)) == 2
    assert alone.gather(3) == [3]
    assert alone.any(True)
    assert alone.decide(lambda: 4) == 4
    alone.wait()
