"""A single item never meets a batch norm that learns from it: one value has no variance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from learners import assert_differ, photo_bunch, plain_model, tiny, weights_of
from onecycle.data.bunch import DataBunch
from onecycle.train.learner import Learner
from onecycle.train.single_items import allowing_single_values


def norm_of(kind: type[nn.Module] = nn.BatchNorm1d) -> Any:
    """A batch norm that has learnt from one batch."""
    norm = kind(3)  # type: ignore[call-arg]
    norm(torch.arange(24.0).reshape(8, 3, *[1] * (kind is nn.BatchNorm2d) * 2))
    return norm


class TestContext:
    def test_one_value_a_channel_is_normalised_by_the_running_statistics(self) -> None:
        norm, inputs = norm_of(), torch.tensor([[1.0, 2.0, 3.0]])
        before = {name: value.clone() for name, value in norm.state_dict().items()}
        with allowing_single_values(norm, 1):
            outputs = norm(inputs)
        torch.testing.assert_close(outputs, (inputs - norm.running_mean) / (norm.running_var + norm.eps).sqrt())
        assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())
        assert norm.training

    def test_a_map_of_one_item_has_values_enough(self) -> None:
        norm, inputs = norm_of(nn.BatchNorm2d), torch.randn(1, 3, 4, 4)
        mean = norm.running_mean.clone()
        with allowing_single_values(norm, 1):
            outputs = norm(inputs)
        torch.testing.assert_close(outputs.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
        assert not torch.equal(norm.running_mean, mean)

    def test_a_map_of_one_pixel_has_not(self) -> None:
        norm = norm_of(nn.BatchNorm2d)
        with allowing_single_values(norm, 1):
            assert norm(torch.randn(1, 3, 1, 1)).isfinite().all()

    def test_a_norm_that_is_used_twice_decides_each_time(self) -> None:
        norm = norm_of(nn.BatchNorm2d)
        with allowing_single_values(norm, 1):
            norm(torch.randn(1, 3, 1, 1))
            mean = norm.running_mean.clone()
            norm(torch.randn(1, 3, 4, 4))
        assert not torch.equal(norm.running_mean, mean)

    def test_frozen_norms_stay_frozen(self) -> None:
        norm = norm_of().eval()
        with allowing_single_values(norm, 1):
            norm(torch.randn(1, 3))
            assert not norm.training
        assert not norm.training

    def test_two_items_are_as_ever(self) -> None:
        norm, mean = norm_of(), norm_of().running_mean
        with allowing_single_values(norm, 2):
            norm(torch.randn(2, 3))
        assert not torch.equal(norm.running_mean, mean)

    def test_after_an_error_norms_learn_again(self) -> None:
        norm = norm_of()

        def fail() -> None:
            with allowing_single_values(norm, 1):
                norm(torch.randn(1, 3))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert norm.training
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            norm(torch.randn(1, 3))


def one_photo(photos: Path) -> DataBunch:
    """One training item, and six validation items."""
    bunch = photo_bunch(photos)
    return DataBunch(replace(bunch.labelled, train=bunch.labelled.train.take(range(1))), bunch.options)


WAYS: dict[str, dict[str, Any]] = {
    "cached features": {"frozen": True},
    "frozen, not cached": {"frozen": True, "cache_features": False},
    "all layers": {"frozen": False},
    "all layers, two batches a step": {"frozen": False, "accumulate": 2},
    "activations computed again": {"frozen": False, "checkpoint_activations": True},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
class TestTraining:
    def test_batches_of_one(self, way: dict[str, Any], photos: Path) -> None:
        self.check(photo_bunch(photos, batch_size=1), way)

    def test_one_training_item(self, way: dict[str, Any], photos: Path) -> None:
        with_one = one_photo(photos)
        assert len(with_one) == 1
        self.check(with_one, way)

    def test_a_last_microbatch_of_one(self, way: dict[str, Any], photos: Path) -> None:
        """Batches of three in two microbatches: two items, and one."""
        self.check(photo_bunch(photos, batch_size=3), way, microbatches=2)

    def check(self, bunch: DataBunch, way: dict[str, Any], microbatches: int = 1) -> None:
        learner = tiny(bunch, **way)
        learner.num_microbatches = microbatches
        before = weights_of(learner, "head.")
        learner.fit(1, 1e-3)
        assert_differ(weights_of(learner, "head."), before)
        assert all(bool(tensor.isfinite().all()) for tensor in weights_of(learner).values())


@pytest.mark.parametrize("frozen", [True, False], ids=["head", "all"])
def test_the_finder_takes_single_items(frozen: bool, photos: Path) -> None:
    result = tiny(photo_bunch(photos, batch_size=1), frozen=frozen).lr_find(steps=8, sweeps=1)
    assert len(result.losses) > 0


def test_a_plain_model_with_a_norm_of_vectors(photos: Path) -> None:
    model = nn.Sequential(plain_model(16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    learner = Learner(photo_bunch(photos, batch_size=1), model, progress=False)
    learner.fit(1, 1e-3)
    norm: Any = model[1]
    assert norm.num_batches_tracked == 0  # there was never more than one value to learn from


def test_a_single_item_beside_larger_batches_learns_by_their_statistics(photos: Path) -> None:
    model = nn.Sequential(plain_model(16), nn.BatchNorm1d(16), nn.Linear(16, 3))
    bunch = photo_bunch(photos)
    whole = bunch.prepared(bunch.train.dataset, range(24))

    def part(rows: slice) -> tuple[Tensor, Tensor]:
        return whole.inputs[rows], whole.targets[rows]

    batches = [part(slice(0, 23)), part(slice(23, 24))]
    learner = Learner.from_loaders(batches, batches, model, loss=nn.CrossEntropyLoss(), progress=False)
    learner.fit(2, 1e-3)
    norm: Any = model[1]
    assert norm.num_batches_tracked == 2
