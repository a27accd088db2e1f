"""The main stage of `fine_tune` where nothing is said: chosen once the head alone was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from learners import Break, Grouped, assert_same, photo_bunch, weights_of
from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError
from onecycle.train.fine_tuning import stages_of
from onecycle.train.layer_groups import FineTuning, HardData
from onecycle.train.learner import Learner
from onecycle.train.plan import Stage


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


def learner_of(bunch: DataBunch, accuracy: float, **options: Any) -> Learner:
    """A learner whose data is hard where the head alone is below `accuracy`."""
    model = Grouped()
    model.fine_tuning = FineTuning(epochs=1, freeze_to=1, hard=HardData(accuracy, epochs=2, freeze_to=0, spread=4.0))
    return Learner(bunch, model, **{"progress": False, "head_steps": 12, **options})


ALWAYS, NEVER = 1.1, 0.0


class TestChoice:
    def test_where_the_head_alone_is_often_wrong_more_epochs_and_layers_follow(self, bunch: DataBunch) -> None:
        learner = learner_of(bunch, ALWAYS)
        learner.fine_tune(lr=1e-2)
        assert [(record.stage, record.lr) for record in learner.history] == [
            ("head", 1e-2), ("all", pytest.approx(2e-3)), ("all", pytest.approx(2e-3)),
        ]  # fmt: skip
        right = learner.history[0].metrics["accuracy"]
        assert learner.history.notes == [
            f"before epoch 2: the head alone is right on {right:.1%} of the validation items, below 110%, so 2 epochs "
            "of all layers follow"
        ]

    def test_where_it_is_accurate_the_usual_stage_follows(self, bunch: DataBunch) -> None:
        learner, usual = learner_of(bunch, NEVER), learner_of(bunch, ALWAYS)
        learner.fine_tune(lr=1e-2)
        usual.fine_tune(1, lr=1e-2)
        assert [record.stage for record in learner.history] == ["head", "from group 1"]
        assert_same(weights_of(learner), weights_of(usual))
        assert "not below 0%, so 1 epoch of the layers from group 1 on follows" in learner.history.notes[0]

    def test_the_first_layers_learn_faster_on_hard_data(self, bunch: DataBunch) -> None:
        class Rates(oc.Callback):
            def on_fit_start(self, state: Any, event: Any) -> None:
                self.lrs = list(state.fit.lrs)

        for lr in (1e-2, "auto"):
            rates = Rates()
            learner = learner_of(bunch, ALWAYS, callbacks=[rates])
            learner.fine_tune(lr=lr)  # type: ignore[arg-type]
            assert rates.lrs[-1] == pytest.approx(learner.frozen_lr / 5)  # type: ignore[operator]
            assert rates.lrs[-1] / rates.lrs[0] == pytest.approx(4)

    def test_a_slice_is_used_as_it_is(self, bunch: DataBunch) -> None:
        learner = learner_of(bunch, ALWAYS)
        learner.fine_tune(lr=slice(1e-5, 1e-3))
        assert [record.lr for record in learner.history] == [1e-3] * 3

    def test_the_accuracy_is_counted_where_it_is_no_metric(self, bunch: DataBunch) -> None:
        told, untold = learner_of(bunch, 0.5), learner_of(bunch, 0.5, metrics=["f1"])
        for learner in (told, untold):
            learner.fine_tune(lr=1e-2)
        assert untold.history.notes == told.history.notes

    def test_it_is_printed_beside_the_table(self, bunch: DataBunch, capsys: pytest.CaptureFixture[str]) -> None:
        learner = learner_of(bunch, ALWAYS, progress=True)
        learner.fine_tune(lr=1e-2)
        assert learner.history.notes[0] in capsys.readouterr().err

    def test_each_size_is_chosen_for_by_itself(self, bunch: DataBunch) -> None:
        learner = learner_of(bunch, ALWAYS)
        learner.fine_tune(lr=1e-2, sizes=[24, 32])
        assert [record.stage for record in learner.history] == ["head", "all", "all"] * 2
        assert [note.partition(":")[0] for note in learner.history.notes] == ["before epoch 2", "before epoch 5"]


class TestWhatIsSaid:
    @pytest.mark.parametrize(
        ("epochs", "options", "main"),
        [
            ("auto", {}, Stage("main", 1, 1, open=True)),
            (5, {}, Stage("main", 5, 1)),
            ("auto", {"freeze_to": 2}, Stage("main", 1, 2)),
            ("auto", {"frozen_epochs": 0}, Stage("main", 1, 1)),  # nothing tells how hard the data is
        ],
    )
    def test_what_the_user_says_is_done(self, bunch: DataBunch, epochs: Any, options: Any, main: Stage) -> None:
        asked: dict[str, Any] = {"frozen_epochs": None, "freeze_to": None, "sizes": None, **options}
        assert stages_of(bunch, learner_of(bunch, ALWAYS).model, epochs, **asked)[-1] == main

    def test_other_words_are_refused(self, bunch: DataBunch) -> None:
        learner = learner_of(bunch, NEVER)
        with pytest.raises(ModelError, match=r"epochs='many'\.\nExpected a whole number, a list of them, or"):
            learner.fine_tune("many", 1e-2)  # type: ignore[arg-type]
        learner.fine_tune(epochs="auto", lr=1e-2)
        assert len(learner.history) == 2

    def test_photos_of_classes_on_pretrained_weights_are_chosen_for(self, bunch: DataBunch) -> None:
        assert oc.vision_learner(bunch).model.fine_tuning.hard == HardData(freeze_to=1)  # type: ignore[union-attr]
        assert oc.vision_learner(bunch, pretrained=False).model.fine_tuning.hard is None  # type: ignore[union-attr]


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_it_is_resumed_bit_for_bit(bunch: DataBunch, tmp_path: Path, epoch: int) -> None:
    """After the frozen stage, when nothing is chosen yet, and within the stage that was chosen."""

    class BreakOf(Break):
        def on_epoch_end(self, state: Any, event: Any) -> None:
            if len(state.history) == epoch + 1:
                raise self.error

    straight = learner_of(bunch, ALWAYS)
    straight.fine_tune()
    path = tmp_path / "run.ckpt"
    interrupted = learner_of(bunch, ALWAYS, callbacks=[oc.Checkpoint(path), BreakOf(0, KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        interrupted.fine_tune()
    # The stage that was chosen is in the checkpoint: what the model would choose now does not matter.
    resumed = learner_of(bunch, ALWAYS if epoch == 0 else NEVER)
    resumed.resume(path)
    assert_same(weights_of(resumed), weights_of(straight))
    assert resumed.history.notes == straight.history.notes
    assert resumed.state.plan is None
