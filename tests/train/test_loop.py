"""The loop takes the steps of a hand-written loop, calls every event in order, and records what happened."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.state import AcceleratorState, GradientState
from torch import nn

import onecycle as oc
from devices import DEVICE
from learners import Grouped, Record, assert_differ, assert_same, photo_bunch, plain_model, tag_bunch, tiny, weights_of
from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError, StopTraining, TrainingError
from onecycle.train.learner import Learner
from onecycle.train.loop import in_groups
from onecycle.train.memory_format import placed
from onecycle.train.optimizer_step import prepare


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


@pytest.fixture(scope="module")
def varied(photos: Path) -> DataBunch:
    """With augmentation."""
    return photo_bunch(photos, augment=oc.augment.default())


class FailsFrom(nn.Module):
    """Cross-entropy that is NaN from a given step on; validation does not count as a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step, self.done = step, 0

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = nn.functional.cross_entropy(outputs, targets)
        if torch.is_grad_enabled():
            self.done += 1
            loss = loss * float("nan") if self.done >= self.step else loss
        return loss


def ten_lines(
    bunch: DataBunch, model: nn.Module, groups: list[dict[str, Any]], peaks: list[float], epochs: int
) -> None:
    """A training loop as one writes it by hand, with the one-cycle formula of Smith 2018 and fastai's cosine."""
    optimizer = torch.optim.AdamW(groups, fused=True)
    steps, number = epochs * len(bunch.train), 0
    for epoch in range(epochs):
        model.train()
        for batch in bunch.train.epoch(epoch):
            batch = bunch.modality.prepare(batch.to(DEVICE), bunch.target, None)
            progress = number / steps
            part = progress / 0.25 if progress < 0.25 else (progress - 0.25) / 0.75
            down = (1 + math.cos(math.pi * part)) / 2
            low, beta = (0.04, 0.85 + 0.10 * down) if progress < 0.25 else (1e-5, 0.95 - 0.10 * down)
            rate = 1 + (low - 1) * down if progress < 0.25 else low + (1 - low) * down
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"], group["betas"] = peak * rate, (beta, 0.999)
            nn.functional.cross_entropy(model(batch.inputs), batch.targets).backward()
            optimizer.step()
            optimizer.zero_grad()
            number += 1


class TestSameAsAHandWrittenLoop:
    def test_a_plain_model(self, bunch: DataBunch) -> None:
        learner = Learner(bunch, plain_model(), progress=False)
        learner.fit_one_cycle(3, lr=3e-3)
        model = placed(plain_model(), Accelerator(), channels_last=True)  # or last digits would differ on a GPU
        matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
        vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
        ten_lines(bunch, model, [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}], [3e-3, 3e-3], 3)
        assert_same(weights_of(learner), model.state_dict())
        assert_differ(weights_of(learner), plain_model().state_dict())

    def test_a_grouped_model_at_discriminative_rates(self, bunch: DataBunch) -> None:
        learner = Learner(bunch, Grouped(), progress=False, weight_decay=0.1)
        learner.fit_one_cycle(2, lr=slice(1e-4, 1e-2))
        model = Grouped().to(DEVICE)
        named = dict(model.named_parameters())
        groups, peaks = [], []
        for names, peak in zip(model.layer_groups(), (1e-4, 1e-3, 1e-2), strict=True):
            groups += [{"params": [named[name] for name in names if named[name].ndim > 1], "weight_decay": 0.1}]
            groups += [{"params": [named[name] for name in names if named[name].ndim <= 1], "weight_decay": 0.0}]
            peaks += [peak, peak]
        ten_lines(bunch, model, groups, peaks, 2)
        assert_same(weights_of(learner), model.state_dict())
        assert_differ(weights_of(learner), Grouped().state_dict())


class TestEvents:
    def test_every_event_is_called_in_the_documented_order(self, bunch: DataBunch) -> None:
        record = Record()
        Learner(bunch, plain_model(), callbacks=[record], progress=False).fit(2, 1e-3)
        batch = ["on_backward_end", "on_batch_end"]
        epoch = ["on_epoch_start", *batch * 3, "on_epoch_end"]
        assert record.names == ["on_fit_start", *epoch * 2, "on_fit_end"]

    def test_events_say_where_the_fit_is(self, bunch: DataBunch) -> None:
        record = Record()
        learner = Learner(bunch, plain_model(), callbacks=[record], progress=False)
        learner.fit(2, 1e-3)
        start = record.log[0][1]
        assert (start.epochs, start.steps, start.done) == (2, 3, 0)
        assert [event.epoch for name, event in record.log if name == "on_epoch_start"] == [0, 1]
        assert [event.step for name, event in record.log if name == "on_backward_end"] == list(range(6))
        ends = [event for name, event in record.log if name == "on_batch_end"]
        assert [event.step for event in ends] == list(range(6))
        assert all(event.lr == 1e-3 and event.loss.ndim == 0 and not event.loss.requires_grad for event in ends)
        assert [event.record for name, event in record.log if name == "on_epoch_end"] == learner.history.epochs
        assert record.log[-1][1].error is None

    def test_gradients_are_there_between_backward_and_step(self, bunch: DataBunch) -> None:
        seen: list[bool] = []

        class Look(oc.Callback):
            def on_backward_end(self, state: Any, event: Any) -> None:
                seen.append(all(parameter.grad is not None for parameter in state.model.parameters()))

            def on_batch_end(self, state: Any, event: Any) -> None:
                seen.append(any(parameter.grad is not None for parameter in state.model.parameters()))

        Learner(bunch, plain_model(), callbacks=[Look()], progress=False).fit(1, 1e-3)
        assert seen == [True, False] * 3

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("mine")], ids=repr)
    @pytest.mark.parametrize(
        "event", ["on_fit_start", "on_epoch_start", "on_backward_end", "on_batch_end", "on_epoch_end"]
    )
    def test_fit_end_gets_the_error_that_ends_the_fit(self, bunch: DataBunch, event: str, error: BaseException) -> None:
        def fail(self: Any, state: Any, event: Any) -> None:
            raise error

        record = Record()
        failing = type("Failing", (oc.Callback,), {event: fail})()
        with pytest.raises(type(error)) as caught:
            Learner(bunch, plain_model(), callbacks=[record, failing], progress=False).fit(1, 1e-3)
        assert caught.value is error
        assert record.names[-1] == "on_fit_end"
        assert record.log[-1][1].error is error

    @pytest.mark.parametrize("event", ["on_batch_end", "on_epoch_end"])
    def test_a_callback_may_stop_the_fit_and_its_reason_is_kept(self, bunch: DataBunch, event: str) -> None:
        def stop(self: Any, state: Any, event: Any) -> None:
            raise StopTraining("enough")

        stopping, record = type("Stopping", (oc.Callback,), {event: stop})(), Record()
        learner = Learner(bunch, plain_model(), callbacks=[stopping, record], progress=False)
        learner.fit(3, 1e-3)
        done = 1 if event == "on_epoch_end" else 0
        assert len(learner.history) == done
        assert learner.history.notes == [f"stopped after epoch {done}: enough"]
        assert record.log[-1] == ("on_fit_end", type(record.log[-1][1])(None))
        assert learner.state.fit is None

    def test_every_callback_gets_the_epoch_at_which_one_of_them_stops(self, bunch: DataBunch) -> None:
        def stop(self: Any, state: Any, event: Any) -> None:
            raise StopTraining("enough")

        stopping, record = type("Stopping", (oc.Callback,), {"on_epoch_end": stop})(), Record()
        Learner(bunch, plain_model(), callbacks=[stopping, record], progress=False).fit(3, 1e-3)
        assert record.names.count("on_epoch_end") == 1

    def test_a_misspelt_event_is_refused_when_the_learner_is_made(self, bunch: DataBunch) -> None:
        misspelt = type("Mine", (oc.Callback,), {"on_epoch_stop": lambda self, state, event: None})()
        with pytest.raises(ModelError, match=r"on_epoch_stop would never be called[\s\S]*Did you mean 'on_epoch_st"):
            Learner(bunch, plain_model(), callbacks=[misspelt])


class TestRecords:
    @pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "unfrozen"])
    def test_metrics_do_not_change_what_is_learnt(self, varied: DataBunch, frozen: bool) -> None:
        watched = [[], ["accuracy"], ["f1", "auroc", "error_rate", "average_precision"]]
        results = []
        for metrics in watched:
            learner = tiny(varied, frozen=frozen, metrics=metrics)
            learner.fit_one_cycle(2, 1e-3)
            results.append(weights_of(learner))
            assert list(learner.history[0].metrics) == metrics
        assert_same(results[0], results[1])
        assert_same(results[0], results[2])

    def test_a_record_holds_the_numbers_of_its_epoch(self, bunch: DataBunch) -> None:
        record = Record()
        learner = Learner(bunch, plain_model(), callbacks=[record], progress=False)
        learner.fit(2, 1e-2)
        last = learner.history[-1]
        losses = [float(event.loss) for name, event in record.log if name == "on_batch_end"]
        assert (last.epoch, last.stage, last.inputs, last.lr) == (2, "all", "32x32 pixels", 1e-2)
        assert {"valid_loss": last.valid_loss, **last.metrics} == pytest.approx(learner.validate())
        assert learner.history.steps == [(loss, 1e-2) for loss in losses]
        assert [record.train_loss for record in learner.history] == pytest.approx(
            [np.mean(losses[:3]), np.mean(losses[3:])]
        )

    def test_validation_loss_is_the_mean_over_items_not_over_batches(self, bunch: DataBunch) -> None:
        # Six validation items in batches of four and two.
        uneven = Learner(bunch.with_batch_size(4), plain_model(), progress=False)
        whole = Learner(bunch.with_batch_size(6), plain_model(), progress=False)
        assert uneven.validate() == pytest.approx(whole.validate(), rel=1e-5)

    def test_training_items_can_be_validated_as_at_prediction(self, varied: DataBunch) -> None:
        learner = tiny(varied)
        learner.fit(2, 1e-2)
        predictions = learner.predict_all("train")
        correct = [
            label == predicted
            for label, predicted in predictions.table.select(["label", "prediction"]).to_pandas().values
        ]
        assert learner.validate("train")["accuracy"] == pytest.approx(np.mean(correct))

    def test_items_without_labels_cannot_be_validated(self, photos: Path) -> None:
        labelled = photo_bunch(photos).labelled.add_test(oc.ImageList.from_folder(photos / "red"))
        learner = Learner(labelled.databunch(8), plain_model(), progress=False)
        with pytest.raises(ModelError, match=r"These items have no labels\.\nExpected labelled items"):
            learner.validate("test")

    def test_tags_are_learnt(self, tagged: Path) -> None:
        learner = tiny(tag_bunch(tagged))
        learner.fit_one_cycle(2, 1e-2)
        assert list(learner.history[-1].metrics) == ["f1"]


class TestNotFinite:
    @pytest.mark.parametrize(
        ("step", "says"), [(1, "step 1 of epoch 1"), (5, "step 2 of epoch 2"), (6, "step 3 of epoch 2")]
    )
    def test_the_error_names_step_and_epoch_and_the_last_good_weights_are_back(
        self, bunch: DataBunch, step: int, says: str
    ) -> None:
        good: list[dict[str, torch.Tensor]] = []
        keep = type(
            "Keep", (oc.Callback,), {"on_epoch_end": lambda self, state, event: good.append(weights_of(state))}
        )()
        record = Record()
        learner = Learner(bunch, plain_model(), loss=FailsFrom(step), callbacks=[keep, record], progress=False)
        good.append(weights_of(learner))
        with pytest.raises(TrainingError, match=says) as caught:
            learner.fit(3, 1e-2)
        assert_same(weights_of(learner), good[-1])
        assert all(torch.isfinite(tensor).all() for tensor in weights_of(learner).values())
        assert record.log[-1][1].error is caught.value
        assert len(learner.history) == (step - 1) // 3

    def test_training_may_go_on_from_there_at_a_lower_rate(self, bunch: DataBunch) -> None:
        loss = FailsFrom(5)
        learner = Learner(bunch, plain_model(), loss=loss, progress=False)
        with pytest.raises(TrainingError):
            learner.fit(2, 1e-2)
        loss.step = 10**9
        learner.fit(1, 1e-4)
        assert math.isfinite(learner.history[-1].valid_loss)

    def test_an_epoch_without_a_readable_item_is_an_error(
        self, bunch: DataBunch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        learner = Learner(bunch, plain_model(), progress=False)
        monkeypatch.setattr(bunch.train, "epoch", lambda *arguments, **options: iter(()))
        with pytest.raises(TrainingError, match="There was not one batch to train on"):
            learner.fit(1, 1e-3)


class TestOptions:
    def test_ema_keeps_the_average_that_a_hand_written_loop_gives(self, bunch: DataBunch) -> None:
        averages: dict[str, torch.Tensor] = {}
        live: dict[str, torch.Tensor] = {}

        class Average(oc.Callback):
            def on_batch_end(self, state: Any, event: Any) -> None:
                live.update(weights_of(state))
                decay = min(0.8, (2 + event.step) / (11 + event.step))
                for name, tensor in live.items():
                    averages[name] = decay * averages[name] + (1 - decay) * tensor

        learner = Learner(bunch, plain_model(), ema=0.8, callbacks=[Average()], progress=False)
        averages.update(weights_of(learner))
        learner.fit(3, 1e-2)
        kept = weights_of(learner)
        counts = [name for name in kept if "num_batches" in name]
        for name in kept.keys() - set(counts):
            torch.testing.assert_close(kept[name], averages[name], rtol=1e-4, atol=1e-6)
        assert_differ(kept, live)

    def test_ema_is_what_is_validated(self, bunch: DataBunch) -> None:
        learner = Learner(bunch, plain_model(), ema=0.9, progress=False)
        learner.fit(2, 1e-2)
        assert learner.history[-1].valid_loss == pytest.approx(learner.validate()["valid_loss"], rel=1e-5)

    @pytest.mark.parametrize("ema", [1.0, -1])
    def test_ema_outside_0_to_1_is_refused(self, bunch: DataBunch, ema: float) -> None:
        with pytest.raises(ModelError, match=f"ema={ema}"):
            Learner(bunch, plain_model(), ema=ema, progress=False).fit(1, 1e-3)

    def test_clip_limits_the_norm_of_the_gradient(self, bunch: DataBunch) -> None:
        norms: list[float] = []

        class Norm(oc.Callback):
            def on_backward_end(self, state: Any, event: Any) -> None:
                norms.append(float(torch.stack([p.grad.norm() for p in state.model.parameters()]).norm()))

        for clip in (None, 0.01):
            Learner(bunch, plain_model(), clip=clip, callbacks=[Norm()], progress=False).fit(1, 1e-3)
        assert min(norms[:3]) > 0.01
        assert norms[3:] == pytest.approx([0.01] * 3, rel=1e-3)

    def test_another_optimizer_takes_the_parameter_groups(self, bunch: DataBunch) -> None:
        learner = Learner(
            bunch, plain_model(), optimizer=lambda groups: torch.optim.SGD(groups, momentum=0.9), progress=False
        )
        before = weights_of(learner)
        learner.fit_one_cycle(1, 1e-3)
        assert_differ(before, weights_of(learner))

    def test_another_loss_is_the_one_that_is_minimised(self, bunch: DataBunch) -> None:
        smoothed = Learner(bunch, plain_model(), label_smoothing=0.2, progress=False)
        by_torch = Learner(bunch, plain_model(), loss=nn.CrossEntropyLoss(label_smoothing=0.2), progress=False)
        plain = Learner(bunch, plain_model(), progress=False)
        for learner in (smoothed, by_torch, plain):
            learner.fit(1, 1e-2)
        assert_same(weights_of(smoothed), weights_of(by_torch))
        assert_differ(weights_of(smoothed), weights_of(plain))

    def test_the_loss_of_tags_is_torchs_binary_cross_entropy(self, tagged: Path) -> None:
        bunch = tag_bunch(tagged)
        ours = Learner(bunch, plain_model(), progress=False)
        by_torch = Learner(bunch, plain_model(), loss=nn.BCEWithLogitsLoss(), progress=False)
        for learner in (ours, by_torch):
            learner.fit(1, 1e-2)
        assert_same(weights_of(ours), weights_of(by_torch))

    def test_class_weights_of_the_target_are_those_of_torchs_loss(self, photos: Path) -> None:
        bunch = photo_bunch(photos, balance="loss")
        uneven = replace(bunch.target, class_weights=(0.5, 1.0, 3.0))  # type: ignore[type-var]
        bunch.target = uneven
        weighted = Learner(bunch, plain_model(), progress=False)
        by_torch = Learner(
            bunch, plain_model(), loss=nn.CrossEntropyLoss(torch.tensor([0.5, 1.0, 3.0])), progress=False
        )
        plain = Learner(bunch, plain_model(), loss=nn.CrossEntropyLoss(), progress=False)
        for learner in (weighted, by_torch, plain):
            learner.fit(1, 1e-2)
        assert_same(weights_of(weighted), weights_of(by_torch))
        assert_differ(weights_of(weighted), weights_of(plain))

    def test_a_mix_changes_what_is_learnt_from_and_not_what_is_validated(self, bunch: DataBunch) -> None:
        batches: list[Any] = []
        look = type("Look", (oc.Callback,), {"on_batch_end": lambda self, state, event: batches.append(event.batch)})()
        learner = Learner(bunch, plain_model(), mix=oc.CutMix(), callbacks=[look], progress=False)
        before = learner.validate()
        learner.fit(1, 1e-3)
        assert all(batch.targets.shape == (8, 3) for batch in batches)
        assert set(learner.validate()) == set(before)

    def test_with_a_mix_no_features_are_cached(self, bunch: DataBunch) -> None:
        learner = tiny(bunch, mix=oc.Mixup())
        learner.fit(1, 1e-3)
        assert learner.state.cached_features is None

    def test_gradients_of_an_interrupted_step_are_not_used_in_the_next_fit(self, bunch: DataBunch) -> None:
        stop = type("Stop", (oc.Callback,), {"on_backward_end": lambda self, state, event: interrupt()})()
        interrupted, other = (Learner(bunch, plain_model(), progress=False) for _ in range(2))
        interrupted.callbacks = [stop]
        weights = weights_of(interrupted)
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(1, 1e-2)
        interrupted.callbacks = []
        interrupted.load_weights(weights)
        for learner in (interrupted, other):
            learner.fit(1, 1e-2)
        assert_same(weights_of(interrupted), weights_of(other))


def interrupt() -> None:
    raise KeyboardInterrupt


class TestMessages:
    def test_a_loss_that_is_not_finite(self, bunch: DataBunch) -> None:
        learner = Learner(bunch, plain_model(), loss=FailsFrom(5), progress=False)
        with pytest.raises(TrainingError) as caught:
            learner.fit(2, slice(1e-3, 1e-2))
        assert str(caught.value) == (
            "The loss was not finite at step 2 of epoch 2, with lr=0.01.\n"
            "Expected a finite loss; the weights are back to those of the last good epoch, or of the checkpoint "
            "resumed from.\n"
            "Fix: lower lr, pass clip=1.0, or check the data with bunch.check()."
        )

    def test_a_head_with_too_few_outputs(self, bunch: DataBunch) -> None:
        learner = Learner(bunch, plain_model(2), progress=False)
        with pytest.raises(ModelError) as caught:
            learner.fit(1, 1e-3)
        assert str(caught.value) == (
            "CrossEntropy got 2 outputs for 3 classes: shape (8, 2).\nExpected outputs (batch, 3).\n"
            "Fix: give the model's head 3 outputs."
        )


class TestMetricsAndLosses:
    def test_two_metrics_of_one_name_have_columns_of_their_own(self, bunch: DataBunch) -> None:
        def accuracy(predictions: Any, targets: Any) -> float:
            return 0.125

        learner = Learner(
            bunch, plain_model(), metrics=["accuracy", accuracy, accuracy], callbacks=[oc.KeepBest("accuracy_2")],
            progress=False,
        )  # fmt: skip
        learner.fit(1, 1e-3)
        values = learner.history[0].metrics
        assert list(values) == ["accuracy", "accuracy_2", "accuracy_3"]
        assert (values["accuracy_2"], values["accuracy_3"]) == (0.125, 0.125)
        assert list(learner.history[0].cells())[-4:-1] == list(values)

    def test_a_loss_of_each_item_trains_as_its_mean(self, bunch: DataBunch) -> None:
        def each(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return nn.functional.cross_entropy(outputs, targets, reduction="none")

        vectors = Learner(bunch, plain_model(), loss=each, progress=False)
        means = Learner(bunch, plain_model(), loss=nn.functional.cross_entropy, progress=False)
        for learner in (vectors, means):
            learner.fit(2, 1e-2)
        assert_same(weights_of(vectors), weights_of(means))
        assert vectors.validate() == pytest.approx(means.validate(), rel=1e-6)
        losses = vectors.predict_all().table["loss"].to_pylist()
        assert losses == pytest.approx(means.predict_all().table["loss"].to_pylist(), rel=1e-5)
        assert np.mean(losses) == pytest.approx(vectors.validate()["valid_loss"], rel=1e-5)

    @pytest.mark.parametrize("batch_size", [1, 2, 7, 64])
    def test_validation_is_the_same_at_every_batch_size(self, photos: Path, batch_size: int) -> None:
        bunch = photo_bunch(photos)
        bunch = bunch.with_target(replace(bunch.target, class_weights=(0.2, 1.0, 5.0)))  # type: ignore[type-var]
        expected = Learner(bunch, plain_model(), metrics=["f1", "auroc"], progress=False).validate()
        other = photo_bunch(photos, batch_size=batch_size).with_target(bunch.target)
        assert Learner(other, plain_model(), metrics=["f1", "auroc"], progress=False).validate() == pytest.approx(
            expected, rel=1e-6
        )


class TestBatches:
    @pytest.mark.parametrize(
        ("batch_size", "sizes"), [(7, [8, 8, 8]), (10, [8, 8, 8]), (23, [24]), (5, [5, 5, 5, 5, 4]), (100, [24])]
    )
    def test_training_batches_are_even(self, photos: Path, batch_size: int, sizes: list[int]) -> None:
        record = Record()
        learner = Learner(photo_bunch(photos, batch_size=batch_size), plain_model(), callbacks=[record], progress=False)
        learner.fit(1, 1e-3)
        assert [len(event.batch) for name, event in record.log if name == "on_batch_end"] == sizes
        assert len(learner.history.steps) == record.log[0][1].steps == len(sizes)

    def test_the_batches_of_a_step_come_in_groups_and_those_left_are_a_step(self) -> None:
        assert list(in_groups(iter([1, 2, 3, 4, 5]), 2)) == [[1, 2], [3, 4], [5]]  # type: ignore[list-item, comparison-overlap]
        assert list(in_groups(iter([]), 2)) == []


@pytest.fixture
def fresh_accelerators() -> Iterator[None]:
    """The settings of one Accelerator hold for the whole process; forget them before and after."""

    def forget() -> None:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()

    forget()
    yield
    forget()


@pytest.mark.usefixtures("fresh_accelerators")
class TestAccelerator:
    def test_one_without_settings_wraps_nothing(self) -> None:
        """Its wrappers would cost time in every step, and a garbage collection at the end of a fit."""
        model = plain_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        assert prepare(Accelerator(), model, optimizer) == (model, optimizer)

    def test_one_with_settings_wraps_the_optimizer(self) -> None:
        model = plain_model()
        _, optimizer = prepare(
            Accelerator(gradient_accumulation_steps=2), model, torch.optim.SGD(model.parameters(), lr=0.1)
        )
        assert isinstance(optimizer, AcceleratedOptimizer)

    def test_a_learner_trains_in_the_precision_of_its_accelerator(self, photos: Path) -> None:
        seen: list[torch.dtype] = []
        learner = tiny(photo_bunch(photos), frozen=False, accelerator=Accelerator(mixed_precision="bf16"))
        layer = next(module for module in learner.model.modules() if isinstance(module, nn.Conv2d))
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
        learner.fit(1, 1e-3)
        assert torch.bfloat16 in seen
