"""Cached features are the outputs of the frozen body, and the head trains on them for a limited number of steps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from torch import nn

import onecycle as oc
from devices import DEVICE
from learners import Grouped, assert_differ, photo_bunch, tag_bunch, tiny, weights_of
from onecycle.data.batch import Batch
from onecycle.data.bunch import DataBunch
from onecycle.inference.precision import Precision
from onecycle.train.cached_features import compute_features
from onecycle.train.learner import Learner

FP32 = Precision("fp32", DEVICE)


@pytest.fixture(scope="module")
def varied(photos: Path) -> DataBunch:
    return photo_bunch(photos, augment=oc.augment.default())


@pytest.fixture
def model() -> Grouped:
    return Grouped().to(DEVICE)


@torch.no_grad()
def by_hand(body: Any, dataset: Any, bunch: DataBunch) -> torch.Tensor:
    """The body's outputs for the items as they are at prediction, one by one."""
    modality = bunch.modality
    rows = []
    for index in range(len(dataset)):
        pixels = modality.sample(
            dataset.rows.locate(dataset.name(index)), None, bunch.target, index, training=False
        ).input
        batch = Batch(modality.collate([pixels]), None, torch.tensor([index])).to(DEVICE)
        rows.append(body(modality.prepare(batch, bunch.target, None).inputs))
    return torch.cat(rows).cpu()


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_resnet", "test_vit"])
def test_the_plain_copy_is_what_the_body_returns(varied: DataBunch, backbone: str) -> None:
    model: Any = tiny(varied, backbone).model
    body = model.body.eval()
    features = compute_features(model, varied, 1, FP32)
    assert features is not None
    # Batch norms are fused into the convolutions, so the last digits may differ.
    torch.testing.assert_close(
        features.copies[0].inputs, by_hand(body, varied.train.dataset, varied), rtol=1e-3, atol=1e-3
    )
    torch.testing.assert_close(features.valid.inputs, by_hand(body, varied.valid.dataset, varied), rtol=1e-3, atol=1e-3)
    labels = varied.train.dataset.labels()
    assert labels is not None
    assert [varied.classes[number] for number in features.copies[0].targets] == list(labels)
    assert features.copies[0].known.all()


def test_each_other_copy_is_augmented_in_its_own_way(varied: DataBunch, model: Grouped) -> None:
    features = compute_features(model, varied, 3, FP32)
    assert features is not None
    plain, first, second = features.copies
    assert not torch.equal(plain.inputs, first.inputs)
    assert not torch.equal(first.inputs, second.inputs)
    assert torch.equal(plain.targets, second.targets)


def test_features_depend_on_the_seed_alone(varied: DataBunch, model: Grouped) -> None:
    first, second = (compute_features(model, varied, 2, FP32) for _ in range(2))
    assert first is not None
    assert second is not None
    assert torch.equal(first.copies[1].inputs, second.copies[1].inputs)


@pytest.mark.parametrize(("epochs", "copies"), [(1, 1), (3, 3), (9, 4)])
def test_there_are_no_more_copies_than_epochs_and_at_most_four(
    varied: DataBunch, model: Grouped, epochs: int, copies: int
) -> None:
    features = compute_features(model, varied, epochs, FP32)
    assert features is not None
    assert len(features.copies) == copies


@pytest.mark.parametrize(
    ("epochs", "head_steps", "steps_before", "passes"),
    [
        (1, 300, 0, 100),  # three batches an epoch: a hundred passes are 300 steps
        (7, 300, 0, 15),  # 300 / 21, rounded up
        (1000, 300, 0, 1),
        (1, 300, 240, 20),  # 60 steps are left
        (1, 300, 300, 1),
        (1, 300, 10_000, 1),
    ],
)
def test_a_head_gets_the_steps_that_it_has_not_had(
    varied: DataBunch, model: Grouped, epochs: int, head_steps: int, steps_before: int, passes: int
) -> None:
    features = compute_features(model, varied, 1, FP32)
    assert features is not None
    assert features.passes(epochs, head_steps, steps_before) == passes


def test_every_pass_has_each_item_once_in_a_new_order_and_copies_take_turns(varied: DataBunch, model: Grouped) -> None:
    features = compute_features(model, varied, 2, FP32)
    assert features is not None
    batches = list(features.train_batches(1, passes=2))
    passes = [torch.cat([batch.index for batch in part]) for part in (batches[:3], batches[3:])]
    assert [sorted(rows.tolist()) for rows in passes] == [list(range(24))] * 2
    assert passes[0].tolist() != passes[1].tolist()
    for batch, copy in ((batches[0], features.copies[0]), (batches[3], features.copies[1])):
        assert torch.equal(batch.inputs.cpu(), copy.inputs[batch.index])
        assert torch.equal(batch.targets.cpu(), copy.targets[batch.index])


def test_validation_batches_come_in_order(varied: DataBunch, model: Grouped) -> None:
    features = compute_features(model, varied, 1, FP32)
    assert features is not None
    assert torch.cat([batch.index for batch in features.valid_batches()]).tolist() == list(range(6))


def test_a_broken_item_is_left_out(photos: Path, tmp_path: Path, model: Grouped) -> None:
    for path in photos.rglob("*.jpg"):
        target = tmp_path / path.relative_to(photos)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    bunch = photo_bunch(tmp_path, on_bad_item="skip")
    broken = Path(bunch.train.dataset.rows.locate(bunch.train.dataset.name(5)))
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.warns(UserWarning, match=f"Skipped .*{broken.name}"):
        features = compute_features(model, bunch, 1, FP32)
    assert features is not None
    assert (~features.copies[0].known).nonzero().flatten().tolist() == [5]
    assert 5 not in torch.cat([batch.index for batch in features.train_batches(0, 1)])


def test_outputs_that_are_not_vectors_are_not_cached(varied: DataBunch, model: Grouped) -> None:
    model.body = nn.Sequential(*list(model.body.children())[:-2])  # type: ignore[attr-defined]
    assert compute_features(model, varied, 1, FP32) is None


def test_features_that_would_fill_the_memory_are_not_cached(
    varied: DataBunch, model: Grouped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    assert compute_features(model, varied, 1, FP32) is None


def test_a_learner_without_cached_features_trains_the_head_on_the_items(
    varied: DataBunch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    learner = tiny(varied)
    before = weights_of(learner, "head.")
    learner.fit(1, 1e-3)
    assert learner.state.cached_features is None
    assert_differ(weights_of(learner, "head."), before)


def test_features_are_computed_once_for_several_fits(varied: DataBunch) -> None:
    learner = tiny(varied)
    learner.fit(2, 1e-3)
    features = learner.state.cached_features
    learner.fit(1, 1e-3)
    assert learner.state.cached_features is features
    learner.fit(3, 1e-3)  # more copies are needed
    assert learner.state.cached_features is not features


def test_features_are_dropped_when_the_body_learns(varied: DataBunch) -> None:
    learner = tiny(varied)
    learner.fit(1, 1e-3)
    learner.unfreeze()
    learner.fit(1, 1e-3)
    assert learner.state.cached_features is None


def test_cached_features_validate_as_the_whole_model_does(varied: DataBunch) -> None:
    learner = tiny(varied)
    learner.fit(2, 1e-2)
    assert learner.history[-1].valid_loss == pytest.approx(learner.validate()["valid_loss"], rel=1e-2)


def test_features_of_tags_have_all_tags(tagged: Path, model: Grouped) -> None:
    bunch = tag_bunch(tagged)
    features = compute_features(model, bunch, 1, FP32)
    assert features is not None
    assert features.copies[0].targets.shape == (len(bunch), 3)


def test_features_of_a_model_of_the_user_are_cached(varied: DataBunch) -> None:
    learner = Learner(varied, Grouped(), progress=False)
    learner.freeze()
    learner.fit(1, 1e-2)
    assert learner.state.cached_features is not None


def test_features_are_dropped_when_the_body_gets_other_weights(varied: DataBunch) -> None:
    learner = tiny(varied)
    other = learner.copy_weights()
    learner.fit(1, 1e-3)
    learner.load_weights(learner.copy_weights())
    assert learner.state.cached_features is not None
    learner.load_weights({name: value + 1 if name.startswith("body.") else value for name, value in other.items()})
    assert learner.state.cached_features is None


# --- how long a head trains on them ---


def test_an_epoch_is_as_many_passes_as_the_head_needs_and_the_history_says_so(varied: DataBunch) -> None:
    learner = tiny(varied, head_steps=30)
    learner.fit(2, 1e-3)
    assert [record.cached_steps for record in learner.history] == [15, 15]  # five passes of three batches
    assert [record.cells()["trained"] for record in learner.history] == ["15 head steps on cached features"] * 2
    assert len(learner.history.steps) == learner.state.head_steps == 30


def test_frozen_epochs_one_by_one_share_the_extra_passes(varied: DataBunch) -> None:
    """As in a lesson: four frozen epochs, one call each. The first one has the extra steps, the others an epoch's."""
    learner = tiny(varied, head_steps=200)
    for _ in range(4):
        learner.fit_one_cycle(1, 1e-3)
    assert [record.cached_steps for record in learner.history] == [201, 3, 3, 3]
    assert learner.history[-1].trained == "3 head steps on cached features"
    assert learner.history.cached_steps == 210


def test_the_default_is_200_steps(varied: DataBunch) -> None:
    learner = Learner(varied, Grouped(), progress=False)
    learner.freeze()
    learner.fit(1, 1e-3)
    assert learner.history[0].cached_steps == 201


def test_other_data_or_another_body_resets_the_count_of_steps(varied: DataBunch) -> None:
    learner = tiny(varied)
    learner.fit(1, 1e-3)
    learner.data = varied.resize(24)
    assert learner.state.head_steps == 0
    learner.fit(1, 1e-3)
    assert [record.cached_steps for record in learner.history] == [12, 12]
    learner.unfreeze()
    learner.fit(1, 1e-3)
    assert (learner.history[-1].cached_steps, learner.history[-1].trained) == (0, "all")
    assert learner.state.head_steps == 0


def test_without_cached_features_a_frozen_epoch_is_an_epoch(varied: DataBunch) -> None:
    learner = tiny(varied, cache_features=False)
    learner.fit(1, 1e-3)
    assert (learner.history[0].cached_steps, learner.history[0].trained) == (0, "head")
    assert len(learner.history.steps) == 3


def test_batches_of_features_are_even(varied: DataBunch) -> None:
    """24 items in batches of 7 would leave one of 3, which spoils the batch norm of a head."""
    learner = tiny(varied.with_batch_size(7), head_steps=1)
    sizes: list[int] = []

    class Sizes(oc.Callback):
        def on_batch_end(self, state: Any, event: Any) -> None:
            sizes.append(len(event.batch))

    learner.callbacks = [Sizes()]
    learner.fit(1, 1e-3)
    assert sizes == [8, 8, 8]


def test_features_computed_in_the_inference_mode_of_the_caller_can_be_trained_on(varied: DataBunch) -> None:
    learner = tiny(varied)
    with torch.inference_mode():
        learner.state.cached_features = compute_features(learner.model, varied, 1, FP32)  # type: ignore[arg-type]
    learner.fit(1, 1e-3)
    assert learner.history[0].cached_steps == 12


def test_the_old_name_of_the_option_is_accepted_with_a_warning(varied: DataBunch) -> None:
    with pytest.warns(DeprecationWarning, match=r"\(keep_features=\) is deprecated, use cache_features=\."):
        learner = Learner(varied, Grouped(), keep_features=False, progress=False)
    learner.freeze()
    learner.fit(1, 1e-3)
    assert learner.state.cached_features is None
