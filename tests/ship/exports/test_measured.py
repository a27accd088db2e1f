"""What a file in 8 bits loses: measured, told, and refused where it is too much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import onecycle as oc
from onecycle.data.batch import Batch
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.numbers import Numbers
from onecycle.errors import ModelError
from onecycle.metrics import resolve_metrics
from onecycle.ship.exports.check_items import drawn_items
from onecycle.ship.exports.measured import Change, measure, with_threshold_found
from onecycle.ship.exports.proof import Proof
from onecycle.ship.exports.quantising import QuantisingItems
from onecycle.ship.exports.served import ServedModel
from onecycle.vision.images import Images

IMAGES = drawn_items(Images((4, 4)), 60)
PROOF = Proof(60, "drawn items", 1e-7, (1, 2))


class Means(nn.Module):
    """Pixels to the mean of each colour."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.mean(dim=(2, 3)) / 10


class Centred(Means):
    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels) / 4 - 3


def given(targets: Any, target: Any, metrics: Any) -> QuantisingItems:
    def batches() -> Iterator[Batch]:
        for rows in (slice(0, 32), slice(32, 60)):
            yield Batch(IMAGES.inputs[rows], targets[rows], torch.arange(60)[rows])

    return QuantisingItems(None, batches, "validation items", resolve_metrics(metrics, target))


def served(target: Any) -> ServedModel:
    return ServedModel(Means(), Images((4, 4)), target)


def wrong_on(model: ServedModel, count: int) -> Any:
    """Return a file that calls the first of all items otherwise than the model."""
    shown = IMAGES.inputs[:count].numpy()

    def run(batch: Any) -> Any:
        found = model.predict(batch).copy()
        for row, item in enumerate(batch):
            if any(np.array_equal(item, one) for one in shown):
                found[row] = np.roll(found[row], 1)
        return found

    return run


def test_what_is_lost_is_told() -> None:
    target = Category(("red", "green", "blue"))
    model = served(target)
    truth = torch.from_numpy(model.predict(IMAGES.inputs.numpy()).argmax(1))
    found = measure(model, wrong_on(model, 3), given(truth, target, ["accuracy"]), target, PROOF, "x.onnx", 6)
    assert found.metrics == {"accuracy": Change(1.0, pytest.approx(0.95))}
    assert found.same_labels == pytest.approx(0.95)
    assert str(found) == (
        "int8, measured on 60 validation items: accuracy 0.9500, before 1.0000; 95.0% of labels the same"
    )
    config = found.to_config()
    assert (config["precision"], config["items"], config["in_fp32"]["items"]) == ("int8", 60, 60)
    assert config["metrics"] == {"accuracy": {"before": 1.0, "after": pytest.approx(0.95)}}


def test_more_than_was_allowed_is_refused_with_the_numbers_and_the_fix_works() -> None:
    target = Category(("red", "green", "blue"))
    model = served(target)
    truth = torch.from_numpy(model.predict(IMAGES.inputs.numpy()).argmax(1))
    items = given(truth, target, ["accuracy"])
    with pytest.raises(
        ModelError,
        match=r"x\.onnx was not written: in int8, accuracy falls from 1\.0000 to 0\.9500 on 60 validation items, by 5 "
        r"points\.\nExpected at most 0\.5 points\.\nFix: pass precision='fp16'.*tolerance=5( |\.1 )\(in the shell",
    ):
        measure(model, wrong_on(model, 3), items, target, PROOF, "x.onnx", 0.5)
    assert measure(model, wrong_on(model, 3), items, target, PROOF, "x.onnx", 5.1).points == 5.1


def test_errors_may_rise_by_a_share_of_themselves() -> None:
    target = Numbers(("a", "b", "c"), (5.0,) * 3, (10.0,) * 3)
    model = served(target)
    outputs = torch.from_numpy(model.predict(IMAGES.inputs.numpy()))
    truth = model.as_activated(outputs + 1)
    items = given(truth, target, ["mae"])
    found = measure(model, lambda batch: model.predict(batch) - 0.05, items, target, PROOF, "x", 0.5)
    assert found.metrics["mae"] == Change(pytest.approx(1, abs=1e-4), pytest.approx(1.05, abs=1e-4))
    assert (found.same_labels, found.threshold) == (None, None)
    with pytest.raises(ModelError, match=r"mae rises from 1\.0000 to 1\.2000 on .*, by 20 percent\.\n.*most 10 perc"):
        measure(model, lambda batch: model.predict(batch) - 0.2, items, target, PROOF, "x", 0.5)


def test_the_threshold_that_gives_the_same_tags_is_found() -> None:
    target = MultiCategory(("red", "green", "blue"), 0.6)
    model = ServedModel(Centred(), Images((4, 4)), target)
    outputs = model.predict(IMAGES.inputs.numpy())
    target = target.with_threshold(float(np.median(outputs)))
    model.target = target
    shifted = lambda batch: model.predict(batch) * 0.9  # noqa: E731
    found = with_threshold_found(model, shifted, IMAGES, "x")
    assert found.threshold == pytest.approx(0.9 * target.threshold, abs=0.02)
    agree = (outputs * 0.9 > found.threshold) == (outputs > target.threshold)
    assert agree.mean() >= ((outputs * 0.9 > target.threshold) == (outputs > target.threshold)).mean()
    assert with_threshold_found(model, model.predict, IMAGES, "x") == target
    truth = torch.from_numpy((outputs > target.threshold).astype(np.float32))
    measured = measure(model, shifted, given(truth, target, ["f1"]), found, PROOF, "x", 100)
    assert measured.threshold == Change(target.threshold, found.threshold)
    assert f"threshold {found.threshold:.2f}, before {target.threshold:.2f}" in str(measured)


def test_classes_have_no_threshold() -> None:
    target = Category(("red", "green", "blue"))
    assert with_threshold_found(served(target), lambda batch: batch, IMAGES, "x") is target


def test_without_a_metric_nothing_is_measured() -> None:
    target = Category(("red", "green", "blue"))
    items = QuantisingItems(None, lambda: iter(()), "validation items", [])
    with pytest.raises(ModelError, match=r"no metric to measure it with\.\n.*\nFix: pass metrics=\['accuracy'\]"):
        measure(served(target), lambda batch: batch, items, target, PROOF, "x", 0.5)


def test_a_loaded_model_needs_labelled_items_and_training_items(photos: Any) -> None:
    from onecycle.ship.exports.quantising import of_rows

    target = Category(("blue", "green", "red"))
    labelled = oc.ImageList.from_folder(photos).split_random(0.2, seed=1).label_from_folder()
    for items, training in ((None, None), (photos, labelled.train), (labelled.valid, None)):
        with pytest.raises(ModelError, match=r"int8 needs some to find ranges on.*\n.*\nFix: export from the learner"):
            of_rows(items, training, Images((8, 8)), target, None)
    found = of_rows(labelled.valid, labelled.train, Images((8, 8)), target, ["accuracy"])
    assert (found.training.shape, found.what) == ((24, 8, 8, 3), "given items")
    assert [(len(batch), batch.targets.shape) for batch in found.labelled()] == [(6, (6,))]
