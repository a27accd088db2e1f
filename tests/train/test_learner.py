"""The learner: its attributes are those of its state, layers freeze, and loaders of PyTorch train."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

import onecycle as oc
from devices import DEVICE, on_device
from learners import Grouped, assert_differ, assert_same, photo_bunch, plain_model, tiny, weights_of
from onecycle.data.bunch import DataBunch
from onecycle.errors import DataError, ModelError
from onecycle.train.layer_groups import FineTuning
from onecycle.train.learner import Learner
from onecycle.train.options import TrainOptions


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


@pytest.fixture(scope="module")
def varied(photos: Path) -> DataBunch:
    """With augmentation."""
    return photo_bunch(photos, augment=oc.augment.default())


class TestFrozen:
    @pytest.mark.parametrize("cache", [True, False], ids=["cached", "not cached"])
    @pytest.mark.parametrize("backbone", ["test_efficientnet", "test_resnet", "test_vit"])
    def test_weights_and_statistics_of_a_frozen_body_never_change(
        self, varied: DataBunch, backbone: str, cache: bool
    ) -> None:
        learner = tiny(varied, backbone, cache_features=cache)
        body, head = weights_of(learner, "body."), weights_of(learner, "head.")
        learner.fit_one_cycle(2, 1e-2)
        assert_same(weights_of(learner, "body."), body)
        assert_differ(weights_of(learner, "head."), head)
        assert learner.history[0].stage == "head"

    def test_an_unfrozen_body_changes_its_weights_and_statistics(self, bunch: DataBunch) -> None:
        learner = tiny(bunch, frozen=False)
        before = weights_of(learner, "body.")
        learner.fit(1, 1e-3)
        after = weights_of(learner, "body.")
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert any(name.endswith("running_mean") for name in changed)
        assert any(name.endswith("conv_dw.weight") for name in changed)
        assert learner.history[0].stage == "all"

    def test_frozen_batch_norm_statistics_do_not_change_while_the_body_learns(self, bunch: DataBunch) -> None:
        learner = tiny(bunch, frozen=False)
        learner.model.fine_tuning = FineTuning(freeze_batchnorm_statistics=True)  # type: ignore[assignment]
        before = weights_of(learner, "body.")
        learner.fit(1, 1e-3)
        after = weights_of(learner, "body.")
        statistics = [name for name in before if "running_" in name or "num_batches" in name]
        assert statistics
        assert_same({name: after[name] for name in statistics}, {name: before[name] for name in statistics})
        assert_differ(before, after)

    def test_freeze_to_trains_from_a_group_on(self, bunch: DataBunch) -> None:
        learner = Learner(bunch, Grouped(), progress=False)
        learner.freeze_to(1)
        before = weights_of(learner)
        learner.fit(1, 1e-2)
        after = weights_of(learner)
        assert {name for name in before if not torch.equal(before[name], after[name])} == {
            "body.4.weight", "body.4.bias", "head.weight", "head.bias",
        }  # fmt: skip
        assert learner.history[0].stage == "from group 1"

    def test_freeze_to_a_group_that_is_not_there_is_refused(self, bunch: DataBunch) -> None:
        with pytest.raises(ModelError, match=r"freeze_to\(7\), but the model has 3 layer groups"):
            tiny(bunch).freeze_to(7)

    def test_each_group_learns_at_its_rate(self, bunch: DataBunch) -> None:
        learner = Learner(bunch, Grouped(), progress=False)
        before = weights_of(learner)
        learner.fit(1, slice(1e-6, 1e-2))  # Adam's steps are about as long as the rate
        after = weights_of(learner)
        moved = [
            float((after[name] - before[name]).abs().mean())
            for name in ("body.1.weight", "body.4.weight", "head.weight")
        ]
        assert moved[0] * 20 < moved[1]
        assert moved[1] * 20 < moved[2]


class TestInterface:
    def test_its_signature_and_docstring_list_every_option(self) -> None:
        names = {field.name for field in fields(TrainOptions)}
        assert names <= set(inspect.signature(Learner).parameters)
        assert list(inspect.signature(Learner).parameters)[:2] == ["data", "model"]

    def test_an_unknown_option_is_refused(self, bunch: DataBunch) -> None:
        with pytest.raises(ModelError, match=r"^Learner\(\) has no option wd=\."):
            Learner(bunch, plain_model(), wd=0.1)

    def test_its_text_is_that_of_its_state(self, bunch: DataBunch) -> None:
        learner = tiny(bunch)
        assert repr(learner) == f"Learner: {learner.state!r}"
        assert repr(learner).startswith(
            f"Learner: ImageModel on {DEVICE}, fp32, 3 layer groups, training head, 0 epochs done"
        )

    def test_a_notebook_shows_what_it_is_and_every_epoch(self, bunch: DataBunch) -> None:
        learner = Learner(bunch, plain_model(), progress=False)
        assert "<table>" not in learner._repr_html_()
        learner.fit(2, 1e-3)
        assert learner._repr_html_().startswith("<div>Learner: Sequential on")
        assert learner._repr_html_().count("<tr>") == 3

    def test_its_attributes_are_those_of_its_state(self, bunch: DataBunch) -> None:
        learner = tiny(bunch)
        state = learner.state
        for name in ("model", "loss", "metrics", "history", "frozen_lr", "precision", "num_microbatches", "seed"):
            assert getattr(learner, name) is getattr(state, name)
        learner.num_microbatches = 4  # type: ignore[assignment]
        assert state.num_microbatches == 4
        assert learner.target is learner.data.target


class Toggle(Sampler[int]):
    """Draws items in an order that depends on the epoch, as samplers of several processes do."""

    def __init__(self, count: int) -> None:
        self.count, self.number, self.epochs = count, 0, list[int]()

    def set_epoch(self, number: int) -> None:
        self.number = number
        self.epochs.append(number)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Any:
        return iter(range(self.count) if self.number % 2 else reversed(range(self.count)))


class TestLoadersOfPyTorch:
    @pytest.fixture
    def items(self, bunch: DataBunch) -> TensorDataset:
        whole = bunch.prepared(bunch.train.dataset, range(24))
        return TensorDataset(whole.inputs, whole.targets)

    def test_they_train_as_a_hand_written_loop_does(self, items: TensorDataset) -> None:
        loader = DataLoader(items, batch_size=8)
        learner = Learner.from_loaders(loader, loader, plain_model(), loss=nn.CrossEntropyLoss(), progress=False)
        learner.fit(2, 1e-2)
        model = plain_model().train().to(DEVICE)
        matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
        vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
        groups: Any = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=1e-2, fused=True)
        for _ in range(2):
            for inputs, targets in loader:
                nn.functional.cross_entropy(model(on_device(inputs)), on_device(targets)).backward()
                optimizer.step()
                optimizer.zero_grad()
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(weights_of(learner)[name], tensor.cpu(), rtol=1e-5, atol=1e-7)

    def test_the_epoch_is_set_for_a_sampler_that_needs_it(self, items: TensorDataset) -> None:
        sampler = Toggle(24)
        loader = DataLoader(items, batch_size=8, sampler=sampler)
        learner = Learner.from_loaders(
            loader, DataLoader(items, batch_size=8), plain_model(), loss=nn.functional.cross_entropy, progress=False
        )
        sampler.epochs.clear()
        learner.fit(3, 1e-3)
        assert sampler.epochs == [0, 1, 2]

    def test_with_a_target_they_have_metrics_and_classes(self, items: TensorDataset, bunch: DataBunch) -> None:
        loader = DataLoader(items, batch_size=8)
        learner = Learner.from_loaders(
            loader, loader, plain_model(), loss=nn.CrossEntropyLoss(), target=oc.Category(bunch.classes),
            metrics=["accuracy"], progress=False,
        )  # fmt: skip
        learner.fit(2, 1e-2)
        assert learner.history[-1].metrics["accuracy"] == pytest.approx(learner.validate()["accuracy"])
        predictions = learner.predict_all()
        assert predictions.probabilities.shape == (24, 3)
        assert set(predictions.table["prediction"].to_pylist()) <= set(bunch.classes)
        assert learner.validate("train")["accuracy"] == pytest.approx(learner.validate()["accuracy"])

    def test_a_metric_of_the_user_sees_outputs_and_targets_as_they_are(self, items: TensorDataset) -> None:
        seen: list[tuple[int, ...]] = []

        def largest(predictions: Tensor, targets: Tensor) -> Tensor:
            seen.append((*predictions.shape, *targets.shape))
            return predictions.max()

        loader = DataLoader(items, batch_size=8)
        learner = Learner.from_loaders(
            loader, loader, plain_model(), loss=nn.CrossEntropyLoss(), metrics=[largest], progress=False
        )
        learner.fit(1, 1e-2)
        assert seen == [(24, 3, 24)]

    @pytest.mark.parametrize(
        ("loader", "message"),
        [
            ([], "The train loader has no batches.\nExpected one batch or more.\nFix: check its dataset."),
            (
                (pair for pair in ()),
                "The train loader, a generator, can be iterated only once.\nExpected a loader with a length",
            ),
            ([torch.zeros(3)], "The train loader gave a Tensor.\nExpected batches of (inputs, targets)."),
            ([(1, 2, 3)], "The train loader gave a tuple of 3.\nExpected batches of (inputs, targets)."),
        ],
        ids=["empty", "no length", "no pairs", "three"],
    )
    def test_loaders_that_cannot_be_used_are_refused(self, loader: Any, message: str) -> None:
        valid = [(torch.zeros(2, 3), torch.zeros(2))]
        with pytest.raises(DataError) as caught:
            Learner.from_loaders(loader, valid, nn.Linear(3, 1), loss=nn.MSELoss(), progress=False)
        assert str(caught.value).startswith(message)


class TestWhatIsRefused:
    def test_what_is_no_bunch(self, bunch: DataBunch) -> None:
        for make in (Learner, oc.vision_learner, oc.unet_learner, oc.text_learner, oc.language_model_learner):
            for data in (plain_model(), [1], DataBunch):
                with pytest.raises(ModelError, match=rf"{make.__name__}\(\) got [\s\S]*a DataBunch"):
                    make(data, bunch)  # type: ignore[arg-type, operator]

    @pytest.mark.parametrize("model", [nn.Linear, torch.relu, "resnet18"])
    def test_what_is_no_model(self, bunch: DataBunch, model: Any) -> None:
        with pytest.raises(ModelError, match=r"The model of a learner is [\s\S]*an instance of torch\.nn\.Module"):
            Learner(bunch, model)

    def test_a_model_that_cannot_learn(self, bunch: DataBunch) -> None:
        model = plain_model().requires_grad_(False)
        with pytest.raises(ModelError, match="has no parameters that can be trained"):
            Learner(bunch, model)
        Learner(bunch, model.requires_grad_(True))

    def test_a_bunch_as_a_loader(self, bunch: DataBunch) -> None:
        with pytest.raises(DataError, match="The train loader is a DataBunch"):
            Learner.from_loaders(bunch, bunch, plain_model(), loss=nn.CrossEntropyLoss())  # type: ignore[arg-type]

    def test_a_module_as_a_backbone(self, bunch: DataBunch) -> None:
        with pytest.raises(ModelError, match=r"The backbone is a Sequential[\s\S]*Learner\(bunch, module\)"):
            oc.vision_learner(bunch, plain_model())  # type: ignore[arg-type]


def test_a_plain_module_has_nothing_to_freeze(bunch: DataBunch) -> None:
    learner = Learner(bunch, plain_model(), progress=False)
    with pytest.warns(UserWarning, match="has one layer group: all of it learns") as caught:
        learner.freeze()
    assert caught[0].filename == __file__
    learner.fine_tune(2, 1e-3)
    assert len(learner.history) == 2
