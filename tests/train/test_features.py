from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

import onecycle as oc
from learners import Grouped, assert_differ, photo_bunch, tag_bunch, tiny, weights_of
from onecycle.data.bunch import DataBunch
from onecycle.data.modality import Batch
from onecycle.train import features
from onecycle.train.features import keep_features
from onecycle.train.learner import Learner
from onecycle.train.precision import Precision

CPU = Precision("fp32", torch.device("cpu"))


@pytest.fixture(scope="module")
def varied(photos: Path) -> DataBunch:
    return photo_bunch(photos, augment=oc.augment.default())


@pytest.fixture
def body() -> Any:
    return Grouped().body.eval()


@torch.no_grad()
def by_hand(body: Any, dataset: Any, bunch: DataBunch) -> torch.Tensor:
    """The body's outputs for the items as they are at prediction, one by one."""
    modality = bunch.modality
    rows = []
    for index in range(len(dataset)):
        pixels = modality.sample(
            dataset.part.locate(dataset.name(index)), None, bunch.target, index, training=False
        ).input
        batch = Batch(modality.stack([pixels]), None, torch.tensor([index]))
        rows.append(body(modality.prepare(batch, bunch.target, None).inputs))
    return torch.cat(rows)


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_resnet", "test_vit"])
def test_plain_view_is_what_the_body_gives(varied: DataBunch, backbone: str) -> None:
    body = tiny(varied, backbone).model.body.eval()  # type: ignore[operator]
    kept = keep_features(body, varied, 1, CPU)
    assert kept is not None
    # Batch norms are folded into the convolutions, so the last digits may differ.
    torch.testing.assert_close(kept.views[0].inputs, by_hand(body, varied.train.dataset, varied), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(kept.valid.inputs, by_hand(body, varied.valid.dataset, varied), rtol=1e-3, atol=1e-3)
    labels = varied.train.dataset.labels()
    assert labels is not None
    assert [varied.classes[number] for number in kept.views[0].targets] == labels
    assert kept.views[0].known.all()


def test_other_views_are_augmented_each_in_its_own_way(varied: DataBunch, body: Any) -> None:
    kept = keep_features(body, varied, 3, CPU)
    assert kept is not None
    plain, first, second = kept.views
    assert not torch.equal(plain.inputs, first.inputs)
    assert not torch.equal(first.inputs, second.inputs)
    assert torch.equal(plain.targets, second.targets)


def test_features_repeat_with_the_seed(varied: DataBunch, body: Any) -> None:
    first, second = (keep_features(body, varied, 2, CPU) for _ in range(2))
    assert first is not None
    assert second is not None
    assert torch.equal(first.views[1].inputs, second.views[1].inputs)


@pytest.mark.parametrize(("epochs", "views"), [(1, 1), (3, 3), (9, 4)])
def test_there_are_never_more_views_than_epochs_nor_than_four(
    varied: DataBunch, body: Any, epochs: int, views: int
) -> None:
    kept = keep_features(body, varied, epochs, CPU)
    assert kept is not None
    assert len(kept.views) == views


def test_a_small_set_is_passed_over_several_times_an_epoch(
    varied: DataBunch, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep_features(body, varied, 1, CPU)
    assert kept is not None
    monkeypatch.setattr(features, "HEAD_STEPS", 300)
    assert kept.passes(1) == 100  # three batches an epoch: a hundred passes are 300 steps
    assert kept.passes(7) == 15  # 300 / 21, rounded up
    assert kept.passes(1000) == 1


def test_every_pass_has_each_item_once_in_a_new_order_and_views_in_turn(varied: DataBunch, body: Any) -> None:
    kept = keep_features(body, varied, 2, CPU)
    assert kept is not None
    batches = list(kept.train_batches(1, passes=2))
    passes = [torch.cat([batch.index for batch in part]) for part in (batches[:3], batches[3:])]
    assert [sorted(rows.tolist()) for rows in passes] == [list(range(24))] * 2
    assert passes[0].tolist() != passes[1].tolist()
    for batch, view in ((batches[0], kept.views[0]), (batches[3], kept.views[1])):
        assert torch.equal(batch.inputs, view.inputs[batch.index])
        assert torch.equal(batch.targets, view.targets[batch.index])


def test_validation_batches_come_in_order(varied: DataBunch, body: Any) -> None:
    kept = keep_features(body, varied, 1, CPU)
    assert kept is not None
    assert torch.cat([batch.index for batch in kept.valid_batches()]).tolist() == list(range(6))


def test_a_broken_item_is_left_out(photos: Path, tmp_path: Path, body: Any) -> None:
    for path in photos.rglob("*.jpg"):
        target = tmp_path / path.relative_to(photos)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(path.read_bytes())
    bunch = photo_bunch(tmp_path, on_bad_item="skip")
    broken = Path(bunch.train.dataset.part.locate(bunch.train.dataset.name(5)))
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.warns(UserWarning, match=f"Skipped .*{broken.name}"):
        kept = keep_features(body, bunch, 1, CPU)
    assert kept is not None
    assert (~kept.views[0].known).nonzero().flatten().tolist() == [5]
    assert 5 not in torch.cat([batch.index for batch in kept.train_batches(0, 1)])


def test_outputs_that_are_no_vectors_are_not_kept(varied: DataBunch) -> None:
    maps = torch.nn.Sequential(*list(Grouped().body.children())[:-2])  # type: ignore[attr-defined]
    assert keep_features(maps, varied, 1, CPU) is None


def test_features_that_would_fill_the_memory_are_not_kept(
    varied: DataBunch, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    assert keep_features(body, varied, 1, CPU) is None


def test_a_learner_without_kept_features_learns_the_head_from_the_items(
    varied: DataBunch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    learner = tiny(varied)
    before = weights_of(learner, "head.")
    learner.fit(1, 1e-3)
    assert learner.kept is None
    assert_differ(weights_of(learner, "head."), before)


def test_features_are_computed_once_for_several_fits(varied: DataBunch) -> None:
    learner = tiny(varied)
    learner.fit(2, 1e-3)
    kept = learner.kept
    learner.fit(1, 1e-3)
    assert learner.kept is kept
    learner.fit(3, 1e-3)  # more views are wanted
    assert learner.kept is not kept


def test_features_are_forgotten_when_the_body_learns(varied: DataBunch) -> None:
    learner = tiny(varied)
    learner.fit(1, 1e-3)
    learner.unfreeze()
    learner.fit(1, 1e-3)
    assert learner.kept is None


def test_kept_features_validate_as_the_whole_model_does(varied: DataBunch) -> None:
    learner = tiny(varied)
    learner.fit(2, 1e-2)
    assert learner.history[-1].valid_loss == pytest.approx(learner.validate()["valid_loss"], rel=1e-2)


def test_features_of_tags_are_kept_with_all_their_tags(tagged: Path, body: Any) -> None:
    bunch = tag_bunch(tagged)
    kept = keep_features(body, bunch, 1, CPU)
    assert kept is not None
    assert kept.views[0].targets.shape == (len(bunch), 3)


def test_a_model_of_ones_own_keeps_features_too(varied: DataBunch) -> None:
    learner = Learner(varied, Grouped(), progress=False)
    learner.freeze()
    learner.fit(1, 1e-2)
    assert learner.kept is not None


def test_features_are_forgotten_with_the_body_that_gave_them(varied: DataBunch) -> None:
    learner = tiny(varied)
    other = learner.copy_weights()
    learner.fit(1, 1e-3)
    learner.load_weights(learner.copy_weights())
    assert learner.kept is not None
    learner.load_weights({name: value + 1 if name.startswith("body.") else value for name, value in other.items()})
    assert learner.kept is None
