"""What several processes tell one another in a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch.distributed as dist
from group import Group
from runs import learner_of

import onecycle as oc
from learners import photo_bunch

COLLECTIVES = ("all_reduce", "all_gather_object", "broadcast", "broadcast_object_list", "barrier")


class Collectives(oc.Callback):
    """Counts the collectives between the ends of two steps, besides those of DistributedDataParallel."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.steps: list[list[str]] = []

    def on_batch_end(self, state: Any, event: Any) -> None:
        self.steps.append(self.called[:])
        self.called.clear()


def collectives_of(photos: Path) -> list[list[str]]:
    counts, own = Collectives(), {name: getattr(dist, name) for name in COLLECTIVES}

    def counted(name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            counts.called.append(name)
            return own[name](*arguments, **options)

        return call

    for name in COLLECTIVES:
        setattr(dist, name, counted(name))
    try:
        learner_of(photo_bunch(photos, batch_size=2), callbacks=[counts]).fit(1, 0.1)
    finally:
        for name, function in own.items():
            setattr(dist, name, function)
    return counts.steps


def test_a_step_has_one_small_sum_once_memory_has_sufficed_twice(pair: Group, photos: Path) -> None:
    for steps in pair.run(collectives_of, photos):
        assert steps[1] == ["all_reduce", "all_gather_object"]
        assert steps[2:] == [["all_reduce"]] * 4
