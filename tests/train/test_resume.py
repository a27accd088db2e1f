"""Interrupted at any step, training ends as if nothing had happened."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import onecycle as oc
from learners import assert_same, photo_bunch, plain_model, tag_bunch, tiny, weights_of
from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError
from onecycle.train.callbacks import keep_previous
from onecycle.train.ema import ExponentialMovingAverage
from onecycle.train.learner import Learner
from shard_files import write_parquets

Make = Callable[..., Learner]


class Interrupt(oc.Callback):
    """Ctrl-C after some steps, counted over all fits."""

    def __init__(self, after: int) -> None:
        self.left = after

    def on_batch_end(self, state: Any, event: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


class Steps(oc.Callback):
    """Counts steps."""

    def __init__(self) -> None:
        self.count = 0

    def on_batch_end(self, state: Any, event: Any) -> None:
        self.count += 1


@pytest.fixture(scope="module")
def varied(photos: Path) -> DataBunch:
    """With augmentation; the tiny models have dropout in their heads."""
    return photo_bunch(photos, augment=oc.augment.default())


def assert_same_end(resumed: Learner, straight: Learner) -> None:
    assert_same(weights_of(resumed), weights_of(straight))
    assert [replace(record, seconds=0) for record in resumed.history] == [
        replace(record, seconds=0) for record in straight.history
    ]
    assert resumed.history.steps == straight.history.steps
    assert resumed.history.notes == straight.history.notes
    assert resumed.state.fit is None
    assert resumed.state.plan is None


def check_every_step(make: Make, train: Callable[[Learner], None], path: Path, every: int = 1) -> None:
    """Interrupt after each step in turn; resume elsewhere, from a checkpoint, and in the same session."""
    count = Steps()
    straight = make(callbacks=[count])
    train(straight)
    for after in range(1, count.count + 1, every):
        interrupted = make(callbacks=[oc.Checkpoint(path), Interrupt(after)])
        with pytest.raises(KeyboardInterrupt):
            train(interrupted)
        resumed = make(callbacks=[oc.Checkpoint(path)])
        resumed.resume(path)
        assert_same_end(resumed, straight)
        interrupted.resume()
        assert_same_end(interrupted, straight)


WAYS: dict[str, dict[str, Any]] = {
    "cached features": {"frozen": True},
    "all layers": {"frozen": False},
    "accumulate": {"frozen": False, "accumulate": 2},
    "mixup and ema": {"frozen": False, "mix": oc.Mixup(), "ema": 0.9, "clip": 0.5},
    "ema on cached features": {"frozen": True, "ema": 0.9},
    "sgd": {"frozen": False, "optimizer": torch.optim.SGD},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_fit(varied: DataBunch, tmp_path: Path, way: dict[str, Any]) -> None:
    check_every_step(
        lambda **more: tiny(varied, **way, **more), lambda learner: learner.fit_one_cycle(2, 1e-3), tmp_path / "a.ckpt"
    )


@pytest.mark.parametrize("mode", ["bf16", "fp16"])
def test_a_fit_in_half_precision(varied: DataBunch, tmp_path: Path, mode: str) -> None:
    def make(**more: Any) -> Learner:
        learner = tiny(varied, frozen=False, **more)
        return learner.to_bf16(force=True) if mode == "bf16" else learner.to_fp16(force=True)

    check_every_step(make, lambda learner: learner.fit_one_cycle(2, 1e-3), tmp_path / "a.ckpt", every=2)


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_fit_whose_items_are_read_by_workers(photos: Path, tmp_path: Path, context: str) -> None:
    bunch = photo_bunch(photos, augment=oc.augment.default(), workers=2, cache=None)
    bunch.train._processes.context = context
    check_every_step(
        lambda **more: tiny(bunch, frozen=False, **more),
        lambda learner: learner.fit_one_cycle(1, 1e-3),
        tmp_path / "a.ckpt",
        every=2,
    )


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_fit_on_shards(photos: Path, shards: Path, tmp_path: Path, kind: str) -> None:
    folder, column = (shards, "cls") if kind == "tar" else (write_parquets(photos, tmp_path / "parquet"), "label")
    split = oc.ImageList.from_shards(folder, label=column, buffer=10).split_by_shards(
        "photos-*3.tar" if kind == "tar" else "*3-of-*"
    )
    bunch = split.label_from_column(column).transform(32).databunch(8, cache=None)
    check_every_step(
        lambda **more: tiny(bunch, frozen=False, **more),
        lambda learner: learner.fit_one_cycle(2, 1e-3),
        tmp_path / "a.ckpt",
        every=2,
    )


def test_another_buffer_is_another_order_and_told(shards: Path, tmp_path: Path) -> None:
    def make(buffer: int) -> Learner:
        split = oc.ImageList.from_shards(shards, label="cls", buffer=buffer).split_by_shards("photos-003.tar")
        return tiny(split.label_from_column("cls").transform(32).databunch(8), frozen=False)

    make(10).save(tmp_path / "a.ckpt")
    with pytest.warns(UserWarning, match="data buffer is 20, and was 10"):
        make(20).load(tmp_path / "a.ckpt")


@pytest.mark.slow
def test_both_steps_of_fine_tuning_at_two_sizes(photos: Path, tmp_path: Path) -> None:
    bunch = photo_bunch(photos, augment=oc.augment.default(), batch_size=12)
    check_every_step(
        lambda **more: tiny(bunch, head_steps=3, **more),
        lambda learner: learner.fine_tune([1, 1], 1e-3, sizes=[24, 32]),
        tmp_path / "a.ckpt",
        every=3,
    )


@pytest.mark.slow
def test_fine_tuning_with_rates_that_are_found(photos: Path, tmp_path: Path) -> None:
    bunch = photo_bunch(photos, batch_size=12)
    check_every_step(
        lambda **more: tiny(bunch, head_steps=3, **more),
        lambda learner: learner.fine_tune(1, "auto", frozen_epochs=1),
        tmp_path / "a.ckpt",
    )


def test_what_was_found_of_rates_is_resumed_too(photos: Path, tmp_path: Path) -> None:
    bunch = photo_bunch(photos, batch_size=12)
    interrupted = tiny(bunch, head_steps=3, callbacks=[oc.Checkpoint(tmp_path / "a.ckpt"), Interrupt(2)])
    with pytest.raises(KeyboardInterrupt):
        interrupted.fine_tune(1, "auto", frozen_epochs=1)
    resumed = tiny(bunch, head_steps=3)
    resumed.load(tmp_path / "a.ckpt")
    found, before = resumed.lr_finder_results[0], interrupted.lr_finder_results[0]
    assert (found.lr, found.low, found.high, found.reason) == (before.lr, before.low, before.high, before.reason)
    assert all((a == b).all() for a, b in zip(found.sweeps, before.sweeps, strict=True))


@pytest.mark.slow
def test_the_best_epoch_and_the_patience(varied: DataBunch, tmp_path: Path) -> None:
    """The callbacks remember what they saw before the interruption."""

    def callbacks() -> list[oc.Callback]:
        return [oc.KeepBest("accuracy"), oc.EarlyStopping("train_loss", patience=2)]

    def make(callbacks_: list[oc.Callback]) -> Learner:
        return tiny(varied, frozen=False, callbacks=[*callbacks(), *callbacks_])

    straight = make([])
    straight.fit(6, 0.3)
    assert straight.state.weights_record is not None
    for after in (4, 7, 8):
        interrupted = make([oc.Checkpoint(tmp_path / "a.ckpt"), Interrupt(after)])
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(6, 0.3)
        resumed = make([oc.Checkpoint(tmp_path / "a.ckpt")])
        resumed.resume(tmp_path / "a.ckpt")
        assert_same_end(resumed, straight)
        assert replace(resumed.state.weights_record, seconds=0) == replace(straight.state.weights_record, seconds=0)
        interrupted.resume()
        assert_same_end(interrupted, straight)


class TestCheckpointCallback:
    def test_it_saves_between_steps_and_keeps_those_before(self, varied: DataBunch, tmp_path: Path) -> None:
        path = tmp_path / "last.ckpt"
        learner = tiny(varied, frozen=False, callbacks=[oc.Checkpoint(path, every_steps=2, keep=3)])
        learner.fit(1, 1e-3)  # saved after the second of three steps, and after the epoch
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["last.1.ckpt", "last.ckpt"]
        resumed = tiny(varied, frozen=False)
        resumed.resume(tmp_path / "last.1.ckpt")
        assert_same(weights_of(resumed), weights_of(learner))
        learner.fit(2, 1e-3)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["last.1.ckpt", "last.2.ckpt", "last.ckpt"]

    def test_it_saves_after_some_minutes(
        self, varied: DataBunch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = iter(range(0, 10_000, 50))  # 50 seconds pass each time one looks
        monkeypatch.setattr("onecycle.train.distributed.time.monotonic", lambda: next(now))
        saved: list[int] = []
        checkpoint = oc.Checkpoint(tmp_path / "last.ckpt", every_minutes=1)
        monkeypatch.setattr(
            "onecycle.train.callbacks.save_checkpoint", lambda state, path: saved.append(state.fit.step)
        )
        tiny(varied, frozen=False, callbacks=[checkpoint]).fit(1, 1e-3)
        assert saved == [2, 0]

    @pytest.mark.parametrize("option", ["every_minutes", "every_steps", "keep"])
    def test_intervals_are_above_zero(self, option: str) -> None:
        with pytest.raises(ModelError) as caught:
            oc.Checkpoint("last.ckpt", **{option: 0})
        assert str(caught.value) == (f"Checkpoint({option}=0).\nExpected a number above 0.\nFix: pass {option}=5.")

    def test_where_nothing_can_be_written_training_goes_on(self, varied: DataBunch, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("not a folder")
        learner = tiny(varied, frozen=False, callbacks=[oc.Checkpoint(tmp_path / "file" / "last.ckpt")])
        with pytest.warns(UserWarning, match="no checkpoint was written, training goes on: Cannot write"):
            learner.fit(1, 1e-3)
        assert len(learner.history) == 1
        assert "no checkpoint was written" in learner.history.notes[-1]

    def test_folders_are_kept_too(self, tmp_path: Path) -> None:
        folder = tmp_path / "last"
        for number in range(4):
            folder.mkdir(exist_ok=True)
            (folder / "file").write_text(str(number))
            keep_previous(folder, 2)
        kept = {entry.name: (entry / "file").read_text() for entry in tmp_path.iterdir()}
        assert kept == {"last": "3", "last.1": "3", "last.2": "2"}


def _signal_in_the_middle_of_swap(monkeypatch: pytest.MonkeyPatch, number: int, signals: list[signal.Signals]) -> None:
    """Get signals while one of the exchanges of weights and their average, counted from 1, is half done."""
    swap, count = ExponentialMovingAverage.swap, Steps()

    def interrupted(self: ExponentialMovingAverage) -> None:
        count.count += 1
        averages, live = self.averages, self.live
        half = len(live) // 2
        try:
            self.averages, self.live = averages[:half], live[:half]
            swap(self)
            if count.count == number:
                for each in signals:
                    signal.raise_signal(each)
            self.averages, self.live = averages[half:], live[half:]
            swap(self)
        finally:
            self.averages, self.live = averages, live

    monkeypatch.setattr(ExponentialMovingAverage, "swap", interrupted)


class TestSignals:
    def test_sigterm_ends_training_between_two_steps_and_saves(self, varied: DataBunch, tmp_path: Path) -> None:
        class Terminate(oc.Callback):
            def on_backward_end(self, state: Any, event: Any) -> None:
                if event.step == 1:
                    os.kill(os.getpid(), signal.SIGTERM)

        straight = tiny(varied, frozen=False)
        straight.fit(2, 1e-3)
        path = tmp_path / "a.ckpt"
        interrupted = tiny(varied, frozen=False, callbacks=[oc.Checkpoint(path), Terminate()])
        with pytest.raises(SystemExit) as caught:
            interrupted.fit(2, 1e-3)
        assert caught.value.code == 143
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert interrupted.state.fit is not None
        assert interrupted.state.fit.step == 2
        resumed = tiny(varied, frozen=False)
        resumed.resume(path)
        assert_same(weights_of(resumed), weights_of(straight))

    @pytest.mark.parametrize("swap", [1, 2], ids=["before validation", "after it"])
    def test_averaged_weights_are_never_left_half_in_place(
        self, varied: DataBunch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: int
    ) -> None:
        straight = tiny(varied, frozen=False, ema=0.9)
        straight.fit(2, 1e-3)
        _signal_in_the_middle_of_swap(monkeypatch, swap, [signal.SIGTERM])
        path = tmp_path / "a.ckpt"
        interrupted = tiny(varied, frozen=False, ema=0.9, callbacks=[oc.Checkpoint(path)])
        with pytest.raises(SystemExit):
            interrupted.fit(2, 1e-3)
        resumed = tiny(varied, frozen=False, ema=0.9)
        resumed.resume(path)
        assert_same_end(resumed, straight)
        interrupted.resume()
        assert_same_end(interrupted, straight)

    @pytest.mark.parametrize("swap", [1, 2, 3, 4], ids=["before validation", "after it", "KeepBest", "after KeepBest"])
    def test_where_a_second_signal_leaves_them_half_in_place_nothing_is_saved(
        self, varied: DataBunch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: int
    ) -> None:
        def make() -> Learner:
            callbacks = [oc.KeepBest(), oc.Checkpoint(tmp_path / "a.ckpt", every_steps=1)]
            return tiny(varied, frozen=False, ema=0.9, callbacks=callbacks)

        straight = make()
        straight.fit(2, 1e-3)
        _signal_in_the_middle_of_swap(monkeypatch, swap, [signal.SIGINT, signal.SIGINT])
        interrupted = make()
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(2, 1e-3)
        resumed = make()
        resumed.resume(tmp_path / "a.ckpt")
        assert_same_end(resumed, straight)

    def test_the_last_loss_of_an_epoch_is_not_lost(
        self, varied: DataBunch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A signal between its reading and its writing down."""
        straight = tiny(varied, frozen=False)
        straight.fit(1, 1e-3)
        read: list[float] = []

        def is_finite(value: float) -> bool:
            read.append(value)
            if len(read) == 3:
                signal.raise_signal(signal.SIGTERM)
            return math.isfinite(value)

        monkeypatch.setattr("onecycle.train.step_losses.math", SimpleNamespace(isfinite=is_finite, nan=math.nan))
        path = tmp_path / "a.ckpt"
        with pytest.raises(SystemExit):
            tiny(varied, frozen=False, callbacks=[oc.Checkpoint(path)]).fit(1, 1e-3)
        resumed = tiny(varied, frozen=False)
        resumed.resume(path)
        assert_same_end(resumed, straight)

    def test_a_second_ctrl_c_ends_at_once_and_that_step_cannot_be_resumed(
        self, varied: DataBunch, tmp_path: Path
    ) -> None:
        class Twice(oc.Callback):
            def on_backward_end(self, state: Any, event: Any) -> None:
                if event.step == 1:
                    signal.raise_signal(signal.SIGINT)
                    signal.raise_signal(signal.SIGINT)

        path = tmp_path / "a.ckpt"
        straight = tiny(varied, frozen=False)
        straight.fit(1, 1e-3)
        learner = tiny(varied, frozen=False, callbacks=[oc.Checkpoint(path, every_steps=1), Twice()])
        with pytest.raises(KeyboardInterrupt):
            learner.fit(1, 1e-3)
        with pytest.raises(ModelError, match="in the middle of a step, so it cannot be resumed exactly"):
            learner.resume()
        learner.callbacks = []
        learner.resume(path)  # the fix that the error names
        assert_same(weights_of(learner), weights_of(straight))


class TestRefused:
    def test_another_split_unless_asked(self, photos: Path, tmp_path: Path) -> None:
        def bunch(seed: int) -> DataBunch:
            return (
                oc.ImageList.from_folder(photos).split_random(0.2, seed=seed).label_from_folder().transform(32)
                .databunch(8)
            )  # fmt: skip

        first = Learner(bunch(1), plain_model(), progress=False)
        path = first.save(tmp_path / "a.ckpt")
        other = Learner(bunch(2), plain_model(seed=1), progress=False)
        before = weights_of(other)
        with pytest.raises(ModelError) as caught:
            other.load(path)
        assert str(caught.value) == (
            f"{path} was trained with another split: the training, validation items differ.\n"
            "Expected the same items in the same split; metrics of items that were trained on say nothing.\n"
            "Fix: split as it was split then, with the same seed, or pass allow_other_split=True to load()."
        )
        assert_same(weights_of(other), before)
        other.load(path, allow_other_split=True)
        assert_same(weights_of(other), weights_of(first))
        Learner(bunch(1), plain_model(), progress=False).load(path)

    def test_resuming_with_other_options_unless_asked(self, varied: DataBunch, photos: Path, tmp_path: Path) -> None:
        path = tmp_path / "a.ckpt"
        interrupted = tiny(varied, frozen=False, callbacks=[oc.Checkpoint(path), oc.KeepBest(), Interrupt(2)])
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(1, 1e-3)
        bunch = photo_bunch(photos, size=24, batch_size=4, augment=oc.augment.default())
        other = tiny(bunch, frozen=False, weight_decay=0.1, optimizer=torch.optim.SGD, ema=0.9)
        with pytest.raises(ModelError) as caught:
            other.resume(path)
        for difference in (
            "data batch_size is 4, and was 8", "inputs size is [24, 24], and was [32, 32]",
            "option weight_decay is 0.1, and was 0.01", "option optimizer is SGD, and was adamw",
            "option ema is 0.9, and was None", "callbacks with a state are none, and were KeepBest",
        ):  # fmt: skip
            assert difference in caught.value.what
        again = tiny(varied, frozen=False, weight_decay=0.1, callbacks=[oc.KeepBest()])
        with pytest.warns(UserWarning, match="option weight_decay"):
            again.resume(path, allow_changes=True)
        assert len(again.history) == 1

    def test_loading_names_what_differs(self, varied: DataBunch, tmp_path: Path) -> None:
        path = tiny(varied).save(tmp_path / "a.ckpt")
        with pytest.warns(UserWarning, match=r"made in another way: option clip is 1\.0, and was None\.$"):
            tiny(varied, clip=1.0).load(path)

    def test_damage_is_found_before_anything_is_replaced(self, varied: DataBunch, tmp_path: Path) -> None:
        from onecycle.bundle import read_bundle, write_bundle
        from onecycle.errors import BundleError

        path = tmp_path / "a.ckpt"
        interrupted = tiny(varied, frozen=False, ema=0.9, callbacks=[oc.Checkpoint(path), Interrupt(2)])
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(1, 1e-3)
        tensors, config = read_bundle(path, "checkpoint")
        wrong = {
            "no epochs": {"epochs": None},
            "no optimizer": {"optimizer": {"#tensor": "none"}},
            "another average": {"ema": {"steps": 1, "averages": []}},
        }
        for fit in ({**config["fit"], **part} for part in wrong.values()):
            write_bundle(tmp_path / "b.ckpt", tensors, {**config, "fit": fit})
            learner = tiny(varied, frozen=False, ema=0.9, seed=5)
            before = weights_of(learner)
            with pytest.raises(BundleError, match="is not a checkpoint that this version can read"):
                learner.resume(tmp_path / "b.ckpt")
            assert_same(weights_of(learner), before)
            assert learner.state.fit is None

    def test_a_callback_whose_state_cannot_be_saved(self, varied: DataBunch, tmp_path: Path) -> None:
        class Odd(oc.Callback):
            def state_dict(self) -> dict[str, Any]:
                return {"function": print}

        with pytest.raises(ModelError) as caught:
            tiny(varied, callbacks=[Odd()]).save(tmp_path / "a.ckpt")
        assert str(caught.value) == (
            "Odd.state_dict() cannot be saved: callbacks.0.function is of type builtin_function_or_method.\n"
            "Expected numbers, texts, booleans, None, tensors, and dicts, lists and tuples of them.\n"
            "Fix: return only those."
        )


def test_tags_and_their_threshold(tagged: Path, tmp_path: Path) -> None:
    bunch = tag_bunch(tagged, augment=oc.augment.default())
    check_every_step(
        lambda **more: tiny(bunch, frozen=False, **more),
        lambda learner: learner.fit_one_cycle(2, 1e-3),
        tmp_path / "a.ckpt",
        every=2,
    )
