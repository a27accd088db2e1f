from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import onecycle as oc
from learners import Break, photo_bunch, plain_model, tiny
from onecycle.data.batch import Batch
from onecycle.data.categories import Category
from onecycle.data.numbers import Numbers
from onecycle.data.seeding import seeded
from onecycle.errors import DataError, ModelError
from onecycle.inference.evaluation import evaluate, predict_loader
from onecycle.inference.predictor import Output
from onecycle.losses import as_loss
from onecycle.metrics import resolve_metrics
from onecycle.train.learner import Learner


class TestPredictAll:
    def test_validation_items_come_with_labels_and_losses(self, learner: Learner) -> None:
        table = learner.predict_all("valid").table
        assert table.num_rows == 6
        labels, losses = table["label"].to_pylist(), table["loss"].to_pylist()
        assert labels == list(learner.data.valid.dataset.labels() or ())
        own = [table[f"p({label})"][row].as_py() for row, label in enumerate(labels)]
        assert losses == pytest.approx((-np.log(own)).tolist(), rel=1e-4)
        assert np.mean(losses) == pytest.approx(learner.validate()["valid_loss"], rel=1e-4)

    def test_the_loss_of_tags_is_the_mean_over_tags(self, tags: Learner) -> None:
        predictions = tags.predict_all("valid")
        truth = torch.stack([tags.target.encode(label) for label in predictions.table["label"].to_pylist()])
        likelihood = torch.where(truth == 1, predictions.probabilities, 1 - predictions.probabilities)
        assert predictions.table["loss"].to_pylist() == pytest.approx((-likelihood.log()).mean(1).tolist(), rel=1e-4)

    def test_training_items_come_once_each_in_order(self, learner: Learner) -> None:
        table = learner.predict_all("train").table
        assert table["item"].to_pylist() == learner.data.train.dataset.rows.names()

    def test_test_items_come_without_labels(self, learner: Learner) -> None:
        table = learner.predict_all("test").table
        assert table.num_rows == 10
        assert not {"label", "loss"} & set(table.column_names)

    def test_new_items_are_predicted_as_one_by_one(self, learner: Learner, photos: Path) -> None:
        predictions = learner.predict_all(oc.ImageList.from_folder(photos / "blue"))
        first = learner.predict(photos / "blue" / predictions.table["item"][0].as_py())
        assert predictions.probabilities[0].tolist() == pytest.approx(list(first.probabilities.values()), abs=1e-5)

    def test_an_unknown_split_is_an_error(self, tags: Learner) -> None:
        with pytest.raises(DataError, match="This bunch has no split 'test'"):
            tags.predict_all("test")
        with pytest.raises(
            DataError, match=r"(?s)There is no split and no file 'vaild'.*Did you mean 'valid'"
        ) as error:
            tags.predict_all("vaild")
        assert "Expected one of: train, valid, test; or the path of a folder or file." in str(error.value)

    def test_it_repeats(self, learner: Learner) -> None:
        assert learner.predict_all("valid").table.equals(learner.predict_all("valid").table)


class TestTta:
    def test_plain_items_weigh_half_and_augmented_copies_half_together(self, learner: Learner) -> None:
        batch = next(learner.data.valid.epoch(0))
        copies = []
        for copy in (1, 2, 3):
            prepared = learner.data.modality.prepare(batch, learner.target, seeded(learner.seed, copy, 0))
            with torch.no_grad():
                copies.append(learner.model.eval()(prepared.inputs.to(learner.state.device)).softmax(1).cpu())
        expected = (learner.predict_all("valid").probabilities + sum(copies) / 3) / 2
        torch.testing.assert_close(learner.tta("valid", augmentations=3).probabilities, expected, rtol=1e-4, atol=1e-5)
        assert not torch.equal(copies[0], copies[1])

    def test_without_augmentation_it_changes_nothing(self, tags: Learner) -> None:
        torch.testing.assert_close(
            tags.tta(augmentations=2).probabilities, tags.predict_all().probabilities, rtol=1e-4, atol=1e-5
        )

    def test_no_augmented_copies_are_the_plain_items(self, learner: Learner) -> None:
        assert torch.equal(learner.tta(augmentations=0).probabilities, learner.predict_all().probabilities)

    def test_new_items_are_averaged_too(self, learner: Learner, photos: Path) -> None:
        assert len(learner.tta(oc.ImageList.from_folder(photos / "blue"), augmentations=1)) == 10


def test_predictions_after_an_interruption_are_those_of_the_best(photos: Path) -> None:
    learner = Learner(photo_bunch(photos), plain_model(), callbacks=[oc.KeepBest(), Break(1, KeyboardInterrupt())], progress=False)  # fmt: skip  # noqa: E501
    with pytest.raises(KeyboardInterrupt):
        learner.fit(3, 1e-2)
    best = min(record.valid_loss for record in learner.history)
    assert learner.validate()["valid_loss"] == pytest.approx(best, rel=1e-5)


def test_items_without_labels_cannot_be_validated(learner: Learner) -> None:
    with pytest.raises(ModelError) as error:
        learner.validate("test")
    assert str(error.value) == (
        "These items have no labels.\nExpected labelled items.\nFix: use add_test(..., labelled=True)."
    )


def test_the_loss_of_a_set_is_the_weighted_mean_over_its_batches() -> None:
    """By hand: class weights 1 and 3, and one item a batch or all in one."""
    target = Category(("a", "b"), (1.0, 3.0))
    logits, labels = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1, 0, 1])
    weights = torch.tensor([1.0, 3.0])[labels]
    alone = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    expected = float((alone * weights).sum() / weights.sum())
    for size in (1, 2, 5):
        outputs = [
            Output(Batch(None, labels[rows], rows), logits[rows], logits[rows].softmax(1))
            for rows in torch.arange(5).split(size)
        ]
        values = evaluate(outputs, target, as_loss(target.loss()), resolve_metrics(["accuracy"], target))
        assert values["valid_loss"] == pytest.approx(expected, rel=1e-6)
        assert values["accuracy"] == pytest.approx(float((logits.argmax(1) == labels).float().mean()))


def test_batches_in_another_order_come_back_in_that_of_the_items(learner: Learner) -> None:
    loader = learner.data.in_order_of("valid")
    loader.lengths = torch.tensor([3, 1, 4, 1, 5, 9])  # as for texts: batches of similar length
    loader.batch_size = 2
    assert torch.cat(list(loader.plan(0))).tolist() != list(range(6))
    table = predict_loader(learner.predictor(), loader, loss=learner.loss).table
    expected = learner.predict_all("valid").table
    assert table["item"].to_pylist() == expected["item"].to_pylist()
    np.testing.assert_allclose(table["loss"].to_numpy(), expected["loss"].to_numpy(), rtol=1e-5)


def test_a_loss_of_many_small_batches_keeps_its_digits() -> None:
    """In float32, 20 000 sums of 0.1 would be off in the fourth digit."""
    target = Numbers(("x",), (0.0,), (1.0,))
    loss = as_loss(lambda outputs, targets: outputs.mean())
    batch = Batch(None, torch.zeros(1, 1), torch.zeros(1))
    outputs = (Output(batch, torch.full((1, 1), 0.1), torch.zeros(1, 1)) for _ in range(20_000))
    assert evaluate(outputs, target, loss, [])["valid_loss"] == pytest.approx(0.1, rel=1e-7)


def test_the_loss_of_no_items_is_not_a_number() -> None:
    assert np.isnan(evaluate([], Numbers(("x",), (0.0,), (1.0,)), as_loss(torch.nn.MSELoss()), [])["valid_loss"])


def test_a_loss_with_more_than_one_number_an_item_is_refused(photos: Path) -> None:
    class PerTag(oc.losses.BinaryCrossEntropy):
        def per_item(self, outputs: Any, targets: Any) -> Tensor:
            return self.elements(outputs, torch.nn.functional.one_hot(targets, 3).float())

        def forward(self, outputs: Any, targets: Any) -> Tensor:
            return self.per_item(outputs, targets).mean()

    with pytest.raises(ModelError, match=r"per_item\(\) of PerTag returned shape \(6, 3\) for 6 items"):
        tiny(photo_bunch(photos), loss=PerTag()).predict_all()


@pytest.mark.parametrize("augmentations", [-1, 1.5])
def test_what_is_no_number_of_copies_is_refused(learner: Learner, augmentations: Any) -> None:
    with pytest.raises(ModelError, match=r"augmentations=[\s\S]*0 or more"):
        learner.tta(augmentations=augmentations)
