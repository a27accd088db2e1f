from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import onecycle as oc
from learners import Break, assert_differ, assert_same, photo_bunch, plain_model, weights_of
from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError, TrainingError
from onecycle.train.export import training_card
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


class Follow(oc.Callback):
    """Keeps the weights of every epoch, and sets what was measured to a script."""

    def __init__(self, script: list[float], name: str = "valid_loss") -> None:
        self.script, self.name = script, name
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_epoch_end(self, state: Any, event: Any) -> None:
        self.weights.append(weights_of(state))
        value = self.script[len(self.weights) - 1]
        if self.name == "valid_loss":
            object.__setattr__(event.record, "valid_loss", value)
        else:
            event.record.metrics[self.name] = value


def learner_with(bunch: DataBunch, *callbacks: oc.Callback, **options: Any) -> Learner:
    return Learner(bunch, plain_model(), callbacks=callbacks, progress=False, **options)


class TestEarlyStopping:
    def test_it_stops_after_patience_epochs_without_improvement_and_says_why(self, bunch: DataBunch) -> None:
        learner = learner_with(bunch, Follow([3, 2, 2, 2.5, 1]), oc.EarlyStopping(patience=2))
        learner.fit(5, 1e-3)
        assert len(learner.history) == 4
        assert learner.history.notes == ["stopped after epoch 4: valid_loss has not improved for 2 epochs"]

    def test_any_improvement_resets_the_wait(self, bunch: DataBunch) -> None:
        learner = learner_with(bunch, Follow([3, 4, 2, 4, 1]), oc.EarlyStopping(patience=2))
        learner.fit(5, 1e-3)
        assert len(learner.history) == 5

    def test_a_metric_that_should_rise_is_watched_the_other_way(self, bunch: DataBunch) -> None:
        rising = learner_with(bunch, Follow([0.1, 0.2, 0.3], "accuracy"), oc.EarlyStopping("accuracy", patience=1))
        rising.fit(3, 1e-3)
        assert len(rising.history) == 3
        falling = learner_with(bunch, Follow([0.3, 0.2, 0.1], "accuracy"), oc.EarlyStopping("accuracy", patience=1))
        falling.fit(3, 1e-3)
        assert len(falling.history) == 2

    def test_a_new_fit_resets_the_wait(self, bunch: DataBunch) -> None:
        learner = learner_with(bunch, Follow([1, 2, 5, 4, 3]), oc.EarlyStopping(patience=1))
        learner.fit(3, 1e-3)
        assert len(learner.history) == 2
        learner.fit(3, 1e-3)
        assert len(learner.history) == 5

    def test_nan_is_not_an_improvement(self, bunch: DataBunch) -> None:
        learner = learner_with(bunch, Follow([1, float("nan"), float("nan")]), oc.EarlyStopping(patience=2))
        learner.fit(5, 1e-3)
        assert len(learner.history) == 3


class TestKeepBest:
    def test_it_restores_the_weights_of_the_best_epoch(self, bunch: DataBunch) -> None:
        follow = Follow([3, 1, 2])
        learner = learner_with(bunch, follow, oc.KeepBest())
        learner.fit(3, 1e-2)
        assert_same(weights_of(learner), follow.weights[1])
        assert_differ(follow.weights[1], follow.weights[2])
        assert learner.history.notes == ["kept the weights of epoch 2, the best valid_loss"]

    def test_there_is_no_note_where_the_last_epoch_is_the_best(self, bunch: DataBunch) -> None:
        follow = Follow([3, 2, 1])
        learner = learner_with(bunch, follow, oc.KeepBest())
        learner.fit(3, 1e-2)
        assert_same(weights_of(learner), follow.weights[2])
        assert learner.history.notes == []

    @pytest.mark.parametrize(("losses", "kept"), [([3, 2, 1], 2), ([3, 1, 2], 1), ([1, 1, 2], 0)])
    def test_of_equally_good_epochs_the_one_with_the_lowest_loss_is_kept(
        self, bunch: DataBunch, losses: list[float], kept: int
    ) -> None:
        follow = Follow([0.5, 0.5, 0.5], "accuracy")
        learner = learner_with(bunch, Follow(losses), follow, oc.KeepBest("accuracy"), metrics=["accuracy"])
        learner.fit(3, 1e-2)
        assert_same(weights_of(learner), follow.weights[kept])

    def test_a_lower_loss_with_a_worse_metric_is_not_kept(self, bunch: DataBunch) -> None:
        follow = Follow([0.5, 0.4], "accuracy")
        learner = learner_with(bunch, Follow([3, 1]), follow, oc.KeepBest("accuracy"), metrics=["accuracy"])
        learner.fit(2, 1e-2)
        assert_same(weights_of(learner), follow.weights[0])

    def test_also_after_ctrl_c(self, bunch: DataBunch) -> None:
        follow = Follow([3, 1, 2])
        learner = learner_with(bunch, follow, oc.KeepBest(), Break(2, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            learner.fit(5, 1e-2)
        assert_same(weights_of(learner), follow.weights[1])

    def test_also_in_the_middle_of_an_epoch_after_the_best(self, bunch: DataBunch) -> None:
        class Stop(oc.Callback):
            def on_batch_end(self, state: Any, event: Any) -> None:
                if event.step == 4:
                    raise KeyboardInterrupt

        follow = Follow([1])
        learner = learner_with(bunch, follow, oc.KeepBest(), Stop())
        with pytest.raises(KeyboardInterrupt):
            learner.fit(3, 1e-2)
        assert_same(weights_of(learner), follow.weights[0])

    def test_before_the_first_epoch_ends_nothing_is_restored(self, bunch: DataBunch) -> None:
        stop = type("Stop", (oc.Callback,), {"on_epoch_start": lambda self, state, event: (_ for _ in ()).throw(KeyboardInterrupt)})()  # fmt: skip  # noqa: E501
        learner = learner_with(bunch, oc.KeepBest(), stop)
        before = weights_of(learner)
        with pytest.raises(KeyboardInterrupt):
            learner.fit(1, 1e-2)
        assert_same(weights_of(learner), before)

    def test_weights_of_an_earlier_fit_are_restored_where_a_later_one_is_worse(self, bunch: DataBunch) -> None:
        follow = Follow([1, 3, 2])
        learner = learner_with(bunch, follow, oc.KeepBest())
        learner.fit(1, 1e-2)
        learner.fit(2, 1e-2)
        assert_same(weights_of(learner), follow.weights[0])

    def test_numbers_at_another_size_are_not_compared(self, bunch: DataBunch) -> None:
        follow = Follow([1, 3])
        learner = learner_with(bunch, follow, oc.KeepBest())
        learner.fit(1, 1e-2)
        learner.data = bunch.resize(24)
        learner.fit(1, 1e-2)
        assert_same(weights_of(learner), follow.weights[1])

    def test_with_ema_it_keeps_the_averaged_weights_which_were_validated(self, bunch: DataBunch) -> None:
        losses: list[float] = []

        class Worse(oc.Callback):
            def on_epoch_end(self, state: Any, event: Any) -> None:
                losses.append(event.record.valid_loss)
                if event.epoch == 1:
                    object.__setattr__(event.record, "valid_loss", 99.0)

        learner = learner_with(bunch, Worse(), oc.KeepBest(), ema=0.9)
        learner.fit(2, 3e-2)
        assert learner.validate()["valid_loss"] == pytest.approx(losses[0], rel=1e-5)


class TestRecordOfTheWeights:
    """Card and `info` describe the weights that the model has."""

    def test_it_is_that_of_the_last_epoch(self, bunch: DataBunch) -> None:
        learner = learner_with(bunch)
        assert learner.state.weights_record is None
        learner.fit(2, 1e-2)
        assert learner.state.weights_record == learner.history[-1]

    def test_it_is_that_of_the_best_epoch_where_that_is_kept(self, bunch: DataBunch) -> None:
        learner = learner_with(bunch, Follow([3, 1, 2]), oc.KeepBest())
        learner.fit(3, 1e-2)
        assert learner.state.weights_record == learner.history[1]
        card = training_card(learner.state)
        assert (card["epoch"], card["epochs"], card["valid_loss"]) == (2, 3, 1)
        assert (
            card["metrics"] == learner.history[1].metrics == pytest.approx({"accuracy": learner.validate()["accuracy"]})
        )

    def test_it_is_that_of_the_kept_epoch_after_an_interruption_too(self, bunch: DataBunch) -> None:
        learner = learner_with(bunch, Follow([3, 1, 2]), oc.KeepBest(), Break(2, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            learner.fit(5, 1e-2)
        assert training_card(learner.state)["epoch"] == 2

    @pytest.mark.parametrize("options", [{}, {"ema": 0.9}], ids=["plain", "ema"])
    def test_in_the_middle_of_an_epoch_nothing_is_known_of_the_weights(
        self, bunch: DataBunch, options: dict[str, Any]
    ) -> None:
        class Stop(oc.Callback):
            def on_batch_end(self, state: Any, event: Any) -> None:
                if event.step == 4:
                    raise KeyboardInterrupt

        learner = learner_with(bunch, Stop(), **options)
        with pytest.raises(KeyboardInterrupt):
            learner.fit(3, 1e-2)
        assert len(learner.history) == 1
        card = training_card(learner.state)
        assert (card["epochs"], card["epoch"], card["valid_loss"], card["metrics"]) == (1, None, None, {})

    def test_after_an_interrupted_fit_with_ema_it_is_unknown_since_the_weights_are_not_the_averaged_ones(
        self, bunch: DataBunch
    ) -> None:
        learner = learner_with(bunch, Break(1, KeyboardInterrupt()), ema=0.9)
        with pytest.raises(KeyboardInterrupt):
            learner.fit(3, 1e-2)
        assert learner.state.weights_record is None
        learner.callbacks = []
        learner.resume()
        assert learner.state.weights_record == learner.history[2]

    def test_after_a_loss_that_is_not_finite_it_is_that_of_the_last_good_epoch(self, bunch: DataBunch) -> None:
        def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            value = torch.nn.functional.cross_entropy(outputs, targets)
            return value * float("nan") if outputs.requires_grad and len(learner.history) else value

        learner = learner_with(bunch, loss=loss)
        with pytest.raises(TrainingError):
            learner.fit(3, 1e-2)
        assert training_card(learner.state)["epoch"] == 1


class TestCheckpoint:
    def test_it_saves_after_every_epoch(self, bunch: DataBunch, tmp_path: Path) -> None:
        path = tmp_path / "deep" / "run.ckpt"
        learner = learner_with(bunch, oc.Checkpoint(path), Break(1, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            learner.fit(3, 1e-3)
        again = learner_with(bunch)
        again.load(path)
        assert len(again.history) == 2
        assert_same(weights_of(again), weights_of(learner))
        assert [entry.name for entry in path.parent.iterdir()] == ["run.ckpt"]


@pytest.mark.parametrize(
    "callback", [oc.EarlyStopping("acuracy"), oc.KeepBest("acuracy")], ids=lambda c: type(c).__name__
)
def test_an_unknown_number_is_refused_before_training(bunch: DataBunch, callback: oc.Callback) -> None:
    learner = learner_with(bunch, callback)
    name = type(callback).__name__
    with pytest.raises(ModelError, match=rf"{name} cannot watch 'acuracy'[\s\S]*Did you mean 'accuracy'"):
        learner.fit(1, 1e-3)
    assert len(learner.history) == 0
