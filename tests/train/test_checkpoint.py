"""A resumed fit ends where an uninterrupted one ends, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import onecycle as oc
from learners import Break, Grouped, assert_differ, assert_same, photo_bunch, plain_model, tag_bunch, tiny, weights_of
from onecycle.bundle import read_bundle, write_bundle
from onecycle.data.bunch import DataBunch
from onecycle.errors import BundleError, ModelError
from onecycle.train.learner import Learner
from onecycle.train.schedule import ScheduleValues


@pytest.fixture(scope="module")
def varied(photos: Path) -> DataBunch:
    """With augmentation; the tiny models have dropout in their heads."""
    return photo_bunch(photos, augment=oc.augment.default())


WAYS: dict[str, dict[str, Any]] = {
    "cached features": {"frozen": True},
    "frozen, not cached": {"frozen": True, "cache_features": False},
    "unfrozen": {"frozen": False},
    "with ema": {"frozen": False, "ema": 0.9},
    "with ema, cached features": {"frozen": True, "ema": 0.9},
    "mixed and clipped": {"frozen": False, "mix": oc.Mixup(), "clip": 0.5},
    "with sgd": {"frozen": False, "optimizer": lambda groups: torch.optim.SGD(groups, momentum=0.9)},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_an_interrupted_fit_resumes_bit_for_bit(varied: DataBunch, tmp_path: Path, way: dict[str, Any]) -> None:
    straight = tiny(varied, **way)
    straight.fit_one_cycle(4, 1e-3)

    path = tmp_path / "run.ckpt"
    interrupted = tiny(varied, callbacks=[oc.Checkpoint(path), Break(1, KeyboardInterrupt())], **way)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit_one_cycle(4, 1e-3)

    resumed = tiny(varied, **{**way, "frozen": False})
    resumed.load(path)
    assert len(resumed.history) == 2
    resumed.resume()

    assert_same(weights_of(resumed), weights_of(straight))
    assert [replace(record, seconds=0) for record in resumed.history] == [
        replace(record, seconds=0) for record in straight.history
    ]
    assert resumed.history.steps == straight.history.steps
    assert resumed.state.fit is None


def test_a_second_fit_on_the_same_features_resumes_bit_for_bit(varied: DataBunch, tmp_path: Path) -> None:
    straight, interrupted = tiny(varied), tiny(varied)
    for learner in (straight, interrupted):
        learner.fit(3, 1e-3)  # caches three copies; the next fit needs fewer, and uses all
    straight.fit(2, 1e-3)
    interrupted.callbacks = [oc.Checkpoint(tmp_path / "run.ckpt"), Break(0, KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(2, 1e-3)
    resumed = tiny(varied)
    resumed.load(tmp_path / "run.ckpt")
    resumed.resume()
    assert_same(weights_of(resumed), weights_of(straight))


def test_the_same_learner_can_resume_after_an_epoch(varied: DataBunch) -> None:
    straight, interrupted = tiny(varied, frozen=False), tiny(varied, frozen=False)
    straight.fit_one_cycle(3, 1e-3)
    interrupted.callbacks = [Break(0, KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit_one_cycle(3, 1e-3)
    interrupted.callbacks = []
    interrupted.resume()
    assert_same(weights_of(interrupted), weights_of(straight))


def test_a_fit_after_the_end_is_the_same_after_loading(varied: DataBunch, tmp_path: Path) -> None:
    first = tiny(varied)
    first.fit(1, 1e-3)
    first.save(tmp_path / "run.ckpt")
    second = tiny(varied, seed=99)
    second.load(tmp_path / "run.ckpt")
    for learner in (first, second):
        learner.unfreeze()
        learner.fit(1, 1e-3)
    assert_same(weights_of(first), weights_of(second))


def test_frozen_layers_seed_rate_and_history_are_restored(varied: DataBunch, tmp_path: Path) -> None:
    first = tiny(varied, seed=7)
    first.fit(1, 2e-3)
    first.save(tmp_path / "run.ckpt")
    second = tiny(varied, frozen=False)
    second.load(tmp_path / "run.ckpt")
    assert [p.requires_grad for p in second.model.parameters()] == [p.requires_grad for p in first.model.parameters()]
    assert (second.seed, second.frozen_lr) == (7, 2e-3)
    assert second.history.epochs == first.history.epochs
    assert second.state.fit is None
    assert_same(weights_of(second), weights_of(first))


def test_the_threshold_is_restored(tagged: Path, tmp_path: Path) -> None:
    first = tiny(tag_bunch(tagged))
    first.state.data = first.data.with_target(replace(first.target, threshold=0.23))  # type: ignore[type-var]
    first.save(tmp_path / "run.ckpt")
    second = tiny(tag_bunch(tagged))
    second.load(tmp_path / "run.ckpt")
    assert second.target == first.target


@pytest.mark.parametrize("name", ["run.ckpt", "run"], ids=["file", "folder"])
def test_a_checkpoint_is_a_file_or_a_folder_and_is_replaced_as_a_whole(
    varied: DataBunch, tmp_path: Path, name: str
) -> None:
    learner = Learner(varied, plain_model(), progress=False)
    learner.save(tmp_path / name)
    learner.fit(1, 1e-2)
    assert learner.save(tmp_path / name) == tmp_path / name
    again = Learner(varied, plain_model(seed=1), progress=False)
    again.load(tmp_path / name)
    assert_same(weights_of(again), weights_of(learner))
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


class TestRefused:
    @pytest.fixture
    def path(self, varied: DataBunch, tmp_path: Path) -> Path:
        return Learner(varied, plain_model(), progress=False).save(tmp_path / "run.ckpt")

    def test_other_classes(self, varied: DataBunch, photos: Path, path: Path) -> None:
        learner = Learner(varied, plain_model(), progress=False)
        learner.state.data = varied.with_target(replace(learner.target, classes=("a", "b", "c")))  # type: ignore[type-var]
        with pytest.raises(
            ModelError, match=r"has other classes: category of blue, green, red\.\nExpected category of a"
        ):
            learner.load(path)

    def test_tags_of_the_same_names(self, tagged: Path, path: Path) -> None:
        learner = Learner(tag_bunch(tagged), plain_model(), progress=False)
        with pytest.raises(ModelError, match=r"has other classes: category of .*\nExpected multi_category of blue"):
            learner.load(path)

    @pytest.mark.parametrize("model", [Grouped(), torch.nn.Sequential(plain_model())], ids=["other", "nested"])
    def test_another_model(self, varied: DataBunch, path: Path, model: torch.nn.Module) -> None:
        learner = Learner(varied, model, progress=False)
        before = weights_of(learner)
        with pytest.raises(ModelError, match=r"is of another model: \d+ tensors differ, such as"):
            learner.load(path)
        assert_same(weights_of(learner), before)

    def test_the_same_model_of_another_width(self, varied: DataBunch, tmp_path: Path) -> None:
        tiny(varied, hidden=8).save(tmp_path / "narrow.ckpt")
        with pytest.raises(ModelError, match=r"is of another model: .* such as head\."):
            tiny(varied, hidden=16).load(tmp_path / "narrow.ckpt")

    def test_an_exported_model(self, varied: DataBunch, tmp_path: Path) -> None:
        tiny(varied).export(tmp_path / "model.onecycle")
        with pytest.raises(
            BundleError, match=r"holds a model, not a checkpoint[\s\S]*learner\.load\(\) what save\(\) wrote"
        ):
            tiny(varied).load(tmp_path / "model.onecycle")

    def test_a_file_that_does_not_exist(self, varied: DataBunch, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="No such bundle"):
            tiny(varied).load(tmp_path / "none.ckpt")

    def test_saving_during_a_fit_with_an_unregistered_schedule(self, varied: DataBunch, tmp_path: Path) -> None:
        class Mine:
            def __call__(self, progress: float) -> ScheduleValues:
                return ScheduleValues(1.0)

        learner = Learner(varied, plain_model(), callbacks=[oc.Checkpoint(tmp_path / "run.ckpt")], progress=False)
        with pytest.raises(
            ModelError,
            match=r"^A fit with the schedule Mine cannot be saved to be resumed\.\nExpected a registered schedule",
        ):
            learner.fit(1, 1e-3, schedule=Mine())
        assert list(tmp_path.iterdir()) == []


def test_learners_differ_before_loading(varied: DataBunch) -> None:
    """Or the tests above would show nothing."""
    assert_differ(weights_of(tiny(varied, seed=1)), weights_of(tiny(varied, seed=2)))


# --- checkpoints of the first edition, and what later ones hold ---


def as_first_edition(path: Path, to: Path) -> Path:
    """Rewrite a checkpoint with the keys and records that the first edition wrote."""
    tensors, config = read_bundle(path, "checkpoint")
    config["frozen_rate"] = config.pop("frozen_lr")
    for key in ("head_steps", "weights_record"):
        del config[key]
    for record in config["history"]["epochs"]:
        del record["cached_steps"]
    if config["fit"]:
        config["fit"]["rates"], config["fit"]["views"] = config["fit"].pop("lrs"), config["fit"].pop("copies")
    return write_bundle(to, tensors, config)


@pytest.mark.parametrize("way", [{"frozen": True}, {"frozen": False, "ema": 0.9}], ids=["cached features", "ema"])
def test_a_checkpoint_of_the_first_edition_is_resumed(varied: DataBunch, tmp_path: Path, way: dict[str, Any]) -> None:
    straight = tiny(varied, **way)
    straight.fit_one_cycle(3, 1e-3)
    interrupted = tiny(varied, callbacks=[oc.Checkpoint(tmp_path / "new.ckpt"), Break(1, KeyboardInterrupt())], **way)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit_one_cycle(3, 1e-3)
    resumed = tiny(varied, **way)
    resumed.load(as_first_edition(tmp_path / "new.ckpt", tmp_path / "old.ckpt"))
    assert resumed.frozen_lr == interrupted.frozen_lr
    assert resumed.state.head_steps == 0
    assert resumed.state.weights_record is None
    assert [record.cached_steps for record in resumed.history] == [0, 0]
    resumed.resume()
    assert_same(weights_of(resumed), weights_of(straight))


def test_the_record_of_the_weights_and_the_steps_of_the_head_are_restored(varied: DataBunch, tmp_path: Path) -> None:
    first = tiny(varied)
    first.fit(2, 1e-3)
    assert first.state.weights_record == first.history[-1]
    assert first.state.head_steps == 12
    second = tiny(varied)
    second.load(first.save(tmp_path / "run.ckpt"))
    assert second.state.weights_record == first.state.weights_record
    assert second.state.head_steps == 12


def test_the_record_of_a_kept_epoch_is_restored(varied: DataBunch, tmp_path: Path) -> None:
    first = Learner(varied, plain_model(), callbacks=[Worse(), oc.KeepBest()], progress=False)
    first.fit(3, 1e-2)
    assert first.state.weights_record == first.history[0]
    second = Learner(varied, plain_model(), progress=False)
    second.load(first.save(tmp_path / "run.ckpt"))
    assert second.state.weights_record == first.history[0]


class Worse(oc.Callback):
    """Each epoch's validation loss is its number, so that the first one is the best."""

    def on_epoch_end(self, state: Any, event: Any) -> None:
        object.__setattr__(event.record, "valid_loss", float(event.epoch))


@oc.register("schedule", "test_halving")
def halving(progress: float) -> float:
    return 0.5 ** int(progress * 4)


def test_a_registered_schedule_of_the_user_trains_and_resumes(varied: DataBunch, tmp_path: Path) -> None:
    straight = tiny(varied, frozen=False)
    straight.fit(4, 1e-2, schedule=halving)
    rates = [rate for _, rate in straight.history.steps]
    assert rates == [1e-2] * 3 + [5e-3] * 3 + [2.5e-3] * 3 + [1.25e-3] * 3
    path = tmp_path / "run.ckpt"
    interrupted = tiny(varied, frozen=False, callbacks=[oc.Checkpoint(path), Break(1, KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(4, 1e-2, schedule=halving)
    resumed = tiny(varied, frozen=False)
    resumed.load(path)
    resumed.resume()
    assert resumed.history.steps == straight.history.steps
    assert_same(weights_of(resumed), weights_of(straight))
