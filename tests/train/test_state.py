"""The state: other data can be used, and randomness depends on the seed alone."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import onecycle as oc
from devices import DEVICE
from learners import assert_differ, assert_same, photo_bunch, plain_model, tag_bunch, tiny, weights_of
from onecycle.data.bunch import DataBunch
from onecycle.data.plain import TensorTarget
from onecycle.errors import ModelError
from onecycle.train.layer_groups import FineTuning
from onecycle.train.learner import Learner
from onecycle.train.options import adamw


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


@pytest.fixture(scope="module")
def varied(photos: Path) -> DataBunch:
    """With augmentation."""
    return photo_bunch(photos, augment=oc.augment.default())


class TestRandomness:
    @pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "unfrozen"])
    def test_the_same_seed_gives_the_same_weights(self, varied: DataBunch, frozen: bool) -> None:
        results = []
        for number in range(2):
            torch.manual_seed(number)  # the user's generator must have no effect
            learner = tiny(varied, frozen=frozen, seed=5)
            learner.fit_one_cycle(2, 1e-3)
            results.append(weights_of(learner))
        assert_same(*results)

    def test_another_seed_gives_others(self, varied: DataBunch) -> None:
        first, second = (tiny(varied, frozen=False, seed=seed) for seed in (5, 6))
        second.load_weights(weights_of(first))
        for learner in (first, second):
            learner.fit(1, 1e-3)
        assert_differ(weights_of(first), weights_of(second))

    @pytest.mark.parametrize("workers", [0, 1])
    def test_the_random_states_of_the_user_do_not_change(self, photos: Path, workers: int) -> None:
        bunch = photo_bunch(photos, augment=oc.augment.default(), workers=workers, cache=None)
        torch.manual_seed(1)
        states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
        learner = tiny(bunch, frozen=False, mix=oc.Mixup())
        learner.fit_one_cycle(2, 1e-3)
        learner.validate()
        learner.predict_all()
        learner.tta(augmentations=1)
        assert torch.equal(torch.get_rng_state(), states[0])
        assert random.getstate() == states[1]
        assert (np.random.get_state()[1] == states[2]).all()


class TestData:
    def test_another_bunch_of_the_same_classes_can_be_used(self, bunch: DataBunch) -> None:
        learner = tiny(bunch)
        learner.fit(1, 1e-3)
        learner.data = bunch.resize(24)
        assert learner.state.cached_features is None
        learner.fit(1, 1e-3)
        assert [record.inputs for record in learner.history] == ["32x32 pixels", "24x24 pixels"]

    def test_other_classes_are_refused(self, bunch: DataBunch, tagged: Path, photos: Path) -> None:
        other = photo_bunch(photos)
        other.target = replace(other.target, classes=("a", "b", "c"))  # type: ignore[type-var]
        with pytest.raises(
            ModelError,
            match=r"has other labels or classes: Category, 3 .*: a, b, c\.\nExpected the learner's: .*: blue",
        ):
            tiny(bunch).data = other

    def test_the_threshold_that_was_found_stays_with_other_data(self, tagged: Path) -> None:
        learner = tiny(tag_bunch(tagged))
        learner.state.data = learner.data.with_target(replace(learner.target, threshold=0.3))  # type: ignore[type-var]
        learner.data = tag_bunch(tagged, size=24)
        assert learner.target.threshold == learner.data.target.threshold == 0.3  # type: ignore[attr-defined]

    def test_the_message_for_other_labels(self, bunch: DataBunch, tagged: Path) -> None:
        with pytest.raises(ModelError) as caught:
            tiny(bunch).data = tag_bunch(tagged)
        assert str(caught.value) == (
            "The new bunch has other labels or classes: MultiCategory, 3 classes: blue, green, red.\n"
            "Expected the learner's: Category, 3 classes: blue, green, red.\n"
            "Fix: make a new learner, or label the new bunch as the old one."
        )


def test_the_text_of_a_state_has_model_precision_groups_and_data(bunch: DataBunch) -> None:
    learner = tiny(bunch).to_bf16(force=True)
    learner.fit(1, 1e-3)
    first, *rest = repr(learner.state).splitlines()
    assert first == f"ImageModel on {DEVICE}, bf16, 3 layer groups, training head, 1 epoch done"
    assert [line.strip() for line in rest] == [line.strip() for line in repr(bunch).splitlines()]


def test_another_precision_drops_the_features_that_were_computed_in_the_old_one(bunch: DataBunch) -> None:
    learner = tiny(bunch)
    learner.fit(1, 1e-3)
    steps = learner.state.head_steps
    learner.to_bf16(force=True)
    assert learner.state.cached_features is None
    assert learner.state.head_steps == steps  # the head is trained all the same
    assert learner.precision.mode == "bf16"


def test_training_batches_are_augmented_and_mixed_by_seed_epoch_and_number(varied: DataBunch) -> None:
    def batches(epoch: int, **options: Any) -> list[torch.Tensor]:
        return [batch.inputs for batch in tiny(varied, mix=oc.Mixup(), **options).state.train_batches(epoch)]

    first, again, later, other = batches(0), batches(0), batches(1), batches(0, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, later, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_mix_of_labels_that_cannot_be_mixed_is_refused(bunch: DataBunch) -> None:
    masks: Any = bunch.with_target(TensorTarget())
    with pytest.raises(ModelError) as caught:
        Learner(masks, plain_model(), loss=torch.nn.MSELoss(), mix=oc.Mixup(), progress=False)
    assert str(caught.value) == "mix= does not fit tensor.\nExpected categories or tags.\nFix: leave mix= out."


def test_an_unusual_optimizer_has_no_default_rate(bunch: DataBunch) -> None:
    for optimizer, known in ((partial(adamw), True), (partial(torch.optim.AdamW, betas=(0.9, 0.9)), True),
                             (torch.optim.SGD, False), (torch.optim.RMSprop, False)):  # fmt: skip
        learner = tiny(bunch, frozen=False, optimizer=optimizer)
        learner.model.fine_tuning = FineTuning(default_lr=1e-3)  # type: ignore[assignment]
        assert learner.state.uses_adamw() == known
        assert learner.state.default_lr() == (1e-3 if known else None)
