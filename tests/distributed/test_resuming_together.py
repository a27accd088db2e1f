"""Going on with another number of processes, at the same item."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from group import Group
from runs import Left, assert_equal, assert_same_everywhere, learner_of, left, trained
from test_ending import InOne, raising
from test_training_together import streams_of

import onecycle as oc
from learners import photo_bunch, weights_of
from onecycle.train.learner import Learner
from train.test_gradients import STEPS, Recurrent, Streams, sgd


class Seen(oc.Callback):
    """The items of each step of the epoch under way."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def on_batch_end(self, state: Any, event: Any) -> None:
        self.rows += event.batch.index.tolist()


def interrupted_run(photos: Path, batch_size: int, path: Path, step: int = 3) -> tuple[Left, list[int]]:
    seen = Seen()
    callbacks = [seen, oc.Checkpoint(path), InOne(raising(KeyboardInterrupt()), step=step)]
    return trained(photo_bunch(photos, batch_size=batch_size), 1, callbacks=callbacks), seen.rows


def resumed_run(photos: Path, batch_size: int, path: Path) -> tuple[Left, list[int]]:
    seen = Seen()
    learner = learner_of(photo_bunch(photos, batch_size=batch_size), callbacks=[seen, oc.Checkpoint(path)])
    learner.resume(path)
    return left(learner), seen.rows


def test_one_process_goes_on_where_two_were_to_the_same_weights(pair: Group, photos: Path, tmp_path: Path) -> None:
    pair.run(interrupted_run, photos, 2, tmp_path / "last.ckpt")
    resumed, _ = resumed_run(photos, 4, tmp_path / "last.ckpt")
    assert_equal([resumed], trained(photo_bunch(photos, batch_size=4), 1))


def test_two_processes_go_on_where_one_was_to_the_same_weights(pair: Group, photos: Path, tmp_path: Path) -> None:
    stop = oc.Checkpoint(tmp_path / "last.ckpt")

    class Stop(oc.Callback):
        def on_batch_end(self, state: Any, event: Any) -> None:
            if event.step == 2:
                raise KeyboardInterrupt

    trained(photo_bunch(photos, batch_size=4), 1, callbacks=[stop, Stop()])
    runs = [run for run, _ in pair.run(resumed_run, photos, 2, tmp_path / "last.ckpt")]
    assert_same_everywhere(runs)
    assert_equal(runs, trained(photo_bunch(photos, batch_size=4), 1))


def test_with_the_same_batch_size_a_process_each_item_is_still_seen_once(
    pair: Group, photos: Path, tmp_path: Path
) -> None:
    """Two processes see 4 steps of 4 items of 24, one sees the other 8 in 4 steps of 2."""
    runs = pair.run(interrupted_run, photos, 2, tmp_path / "last.ckpt")
    first = [row for _, rows in runs for row in rows]
    resumed, second = resumed_run(photos, 2, tmp_path / "last.ckpt")
    assert (len(first), len(second)) == (16, 8)
    assert sorted(first + second) == list(range(24))
    assert len(resumed.steps) == 8
    assert resumed.notes == ["epoch 1: after step 4 in batches of 2 items, before in batches of 4"]
    rates = [lr for _, lr in resumed.steps]
    whole = [lr for _, lr in trained(photo_bunch(photos, batch_size=2), 1).steps]
    assert rates[-4:] == pytest.approx(whole[-4:]), "the schedule ends where the epoch does"


def interrupted_streams(path: Path) -> Left:
    batches = streams_of(STEPS)
    learner = Learner.from_loaders(
        batches, STEPS, Recurrent(), loss=oc.losses.MSE(), target=Streams(), optimizer=sgd, progress=False,
        callbacks=[oc.Checkpoint(path), InOne(raising(KeyboardInterrupt()), step=3)],
    )  # fmt: skip
    try:
        learner.fit(1, 0.1)
    except KeyboardInterrupt as error:
        return left(learner, error)
    return left(learner)


def test_a_model_that_reads_on_goes_on_in_another_number_of_processes(pair: Group, tmp_path: Path) -> None:
    """Of two processes each remembers its own streams; the checkpoint has all."""
    twice = [pair for step in STEPS for pair in (step, step)]
    assert len(twice) == 8
    assert pair.run(interrupted_streams, tmp_path / "last.ckpt")[0].error.startswith("KeyboardInterrupt")
    whole = stream_learner()
    whole.fit(1, 0.1)
    resumed = stream_learner(callbacks=[oc.Checkpoint(tmp_path / "last.ckpt")])
    resumed.resume(tmp_path / "last.ckpt")
    assert weights_of(resumed).keys() == weights_of(whole).keys()
    assert_equal([left(resumed)], left(whole))


def stream_learner(**options: Any) -> Learner:
    return Learner.from_loaders(
        STEPS, STEPS, Recurrent(), loss=oc.losses.MSE(), target=Streams(), optimizer=sgd, progress=False, **options
    )
