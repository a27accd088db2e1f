"""Every way to a prediction gives the same numbers: validation, prediction, pictures and loaded bundles."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import onecycle as oc
from learners import plain_model, tag_bunch, tiny
from onecycle.data.bunch import DataBunch
from onecycle.data.nested import join
from onecycle.inference import precision
from onecycle.inference.predictor import Predictor
from onecycle.inference.show_results import show_results, spread_rows
from onecycle.train.learner import Learner
from patches import make_camvid, mask_bunch, tiny_unet

CATEGORY_METRICS = ["accuracy", "error_rate", "top_5", "f1", "f2", "auroc", "average_precision"]
TAG_METRICS = ["f1", "f2", "auroc", "average_precision"]
MASK_METRICS = ["pixel_accuracy", "mean_iou", "dice"]


def unbalanced(photos: Path, **options: Any) -> DataBunch:
    """Photos of which 18 are for validation, with class weights in the loss."""
    names = [f"blue/blue_{number}.jpg" for number in range(10)]
    names += [f"green/green_{number}.jpg" for number in range(10)] + [f"red/red_{number}.jpg" for number in range(6)]
    split = oc.ImageList.from_paths([photos / name for name in names]).split_by_index(
        [*range(7), *range(12, 19), *range(22, 26)]
    )
    labelled = split.label_from_folder().transform(32, augment=oc.augment.none())
    return labelled.databunch(8, balance="loss", **options)


@pytest.fixture(scope="module")
def learner(photos: Path) -> Learner:
    learner = tiny(unbalanced(photos), metrics=CATEGORY_METRICS)
    learner.fit(2, 1e-2)
    return learner


@pytest.fixture(scope="module")
def loaded(learner: Learner, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return oc.load_model(learner.export(tmp_path_factory.mktemp("bundle") / "photos.onecycle"), fuse=False)


@pytest.fixture
def paths(learner: Learner) -> list[str]:
    return learner.data.valid.dataset.rows.located()


def at_batch_size(learner: Learner, size: int) -> Learner:
    """The same model on the same data in batches of another size."""
    names = [metric.name for metric in learner.metrics]
    return Learner(learner.data.with_batch_size(size), learner.model, metrics=names, progress=False)


@pytest.fixture(scope="module")
def learners(learner: Learner, tagged: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Learner]:
    root = make_camvid(tmp_path_factory.mktemp("masks") / "camvid", count=12, valid=8)
    masks = tiny_unet(mask_bunch(root, size=(32, 32)), metrics=MASK_METRICS)
    masks.fit(1, 1e-3)
    return {
        "classes with weights": learner,
        "tags": tiny(tag_bunch(tagged, balance="loss"), metrics=TAG_METRICS),
        "masks with ignored values": masks,
    }


@pytest.mark.parametrize("kind", ["classes with weights", "tags", "masks with ignored values"])
def test_loss_and_metrics_do_not_depend_on_the_batch_size(learners: dict[str, Learner], kind: str) -> None:
    one, seven, many = (at_batch_size(learners[kind], size).validate() for size in (1, 7, 64))
    assert len(one) > 1
    assert one == pytest.approx(many, rel=1e-6, abs=1e-6)
    assert seven == pytest.approx(many, rel=1e-6, abs=1e-6)


class TestSamePredictions:
    def ways(self, learner: Learner, loaded: Predictor, paths: list[str]) -> dict[str, Any]:
        """Probabilities of the validation items by every way there is, (items, classes)."""

        def of(predictions: list[oc.Prediction]) -> Tensor:
            return torch.tensor([list(one.probabilities.values()) for one in predictions])

        predictor = learner.predictor()
        outputs = list(predictor.run(learner.data.valid.epoch(0), most_items=5))
        return {
            "predict_all": learner.predict_all().probabilities,
            "predict": of([learner.predict(path) for path in paths]),
            "predict_many": of(predictor.predict_many(paths, batch_size=7)),
            "tta without copies": learner.tta(augmentations=0).probabilities,
            "validation": join([output.predictions for output in outputs]).cpu(),
            "bundle": of([loaded.predict(path) for path in paths]),
            "bundle, many": loaded.probabilities(paths, batch_size=64),
        }

    def test_every_way_gives_the_same(self, learner: Learner, loaded: Predictor, paths: list[str]) -> None:
        ways = self.ways(learner, loaded, paths)
        for way, probabilities in ways.items():
            torch.testing.assert_close(probabilities, ways["predict_all"], rtol=0, atol=1e-6, msg=way)

    def test_pictures_show_the_same(self, learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
        shown: list[Tensor] = []
        monkeypatch.setattr(
            type(learner.target), "show", lambda self, axes, target, prediction: shown.append(prediction)
        )
        dataset = learner.data.valid.dataset
        rows = spread_rows(len(dataset), 5)
        names = [dataset.name(row) for row in rows]
        show_results(learner.predictor(), learner.data.read(dataset, rows), names, learner.loss)
        expected = learner.predict_all().probabilities[list(rows)]
        torch.testing.assert_close(torch.stack(shown), expected, rtol=0, atol=1e-6)

    def test_the_losses_of_items_add_up_to_the_loss_of_the_set(self, learner: Learner) -> None:
        """With class weights, items weigh by that of their class."""
        table = learner.predict_all().table
        weights = np.array(
            [learner.target.class_weights[learner.target.output_of(label)] for label in table["label"].to_pylist()]
        )
        # Each item alone is divided by its own weight.
        mean = (np.array(table["loss"]) * weights).sum() / weights.sum()
        assert mean == pytest.approx(learner.validate()["valid_loss"], rel=1e-5)

    def test_nothing_is_fused_unless_asked_for(self, learner: Learner, tmp_path: Path, paths: list[str]) -> None:
        path = learner.export(tmp_path / "photos.onecycle")
        assert torch.equal(oc.load_model(path).probabilities(paths), learner.predictor().probabilities(paths)), (
            "bit for bit, at the same batch size"
        )
        fused = oc.load_model(path, fuse=True)
        assert count_norms(fused.model) < count_norms(learner.model)
        torch.testing.assert_close(
            fused.probabilities(paths), learner.predictor().probabilities(paths), rtol=1e-3, atol=1e-4
        )


def count_norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


class TestPrecision:
    @pytest.fixture
    def seen(self, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        """Whether each pass of the model ran in 16 bits."""
        monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: True)
        return []

    @pytest.fixture
    def watched(self, photos: Path, seen: list[bool]) -> Learner:
        learner = Learner(unbalanced(photos), Watched(seen), progress=False).to_bf16(force=True)
        assert learner.precision.mode == "bf16"
        return learner

    WAYS: ClassVar[dict[str, Callable[[Learner, str], Any]]] = {
        "validate": lambda learner, path: learner.validate(),
        "predict": lambda learner, path: learner.predict(path),
        "predict_many": lambda learner, path: learner.predictor().predict_many([path]),
        "predict_all": lambda learner, path: learner.predict_all(),
        "tta": lambda learner, path: learner.tta(augmentations=1),
        "show_results": lambda learner, path: learner.show_results(2),
        "fit": lambda learner, path: learner.fit(1, 1e-3),
    }

    @pytest.mark.parametrize("way", WAYS)
    def test_every_way_computes_in_the_precision_of_training(
        self, watched: Learner, seen: list[bool], way: str
    ) -> None:
        self.WAYS[way](watched, watched.data.valid.dataset.rows.located()[0])
        assert seen
        assert all(seen)
        seen.clear()
        self.WAYS[way](watched.to_fp32(), watched.data.valid.dataset.rows.located()[0])
        assert seen
        assert not any(seen)

    def test_a_bundle_computes_in_it_too(self, photos: Path, tmp_path: Path, seen: list[bool]) -> None:
        learner = tiny(unbalanced(photos)).to_bf16(force=True)
        loaded = oc.load_model(learner.export(tmp_path / "photos.onecycle"))
        assert loaded.precision.mode == "bf16"
        path = learner.data.valid.dataset.rows.located()[0]
        here, there = learner.predict(path).probabilities, loaded.predict(path).probabilities
        assert there == pytest.approx(here, abs=1e-6)
        assert here != pytest.approx(learner.to_fp32().predict(path).probabilities, abs=1e-6), "of fewer digits"

    def test_every_way_gives_the_same_in_16_bits(self, photos: Path, seen: list[bool]) -> None:
        learner = tiny(unbalanced(photos)).to_bf16(force=True)
        paths = learner.data.valid.dataset.rows.located()
        expected = learner.predict_all().probabilities
        torch.testing.assert_close(learner.predictor().probabilities(paths, batch_size=8), expected, rtol=0, atol=1e-6)
        # A batch of another size may add up in another order, by a digit of 16 bits.
        alone = torch.tensor([list(learner.predict(path).probabilities.values()) for path in paths])
        torch.testing.assert_close(alone, expected, rtol=0, atol=1e-2)


class Watched(nn.Module):
    def __init__(self, seen: list[bool]) -> None:
        super().__init__()
        self.seen, self.model = seen, plain_model()

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.append(torch.is_autocast_enabled(inputs.device.type))
        return self.model(inputs)


def test_the_losses_of_items_are_one_call_a_batch(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    elements = oc.losses.CrossEntropy.elements

    def counted(self: Any, outputs: Tensor, targets: Tensor) -> Tensor:
        calls.append(len(targets))
        return elements(self, outputs, targets)

    learner = tiny(unbalanced(photos))
    monkeypatch.setattr(oc.losses.CrossEntropy, "elements", counted)
    assert learner.predict_all().table.num_rows == 18
    assert calls == [8, 8, 2]


def test_a_loss_of_ones_own_may_give_the_losses_of_items_at_once(photos: Path) -> None:
    calls: list[int] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        calls.append(len(targets))
        return nn.functional.cross_entropy(outputs, targets, reduction="none")

    learner = Learner(unbalanced(photos), plain_model(), loss=loss, progress=False)
    learner.predict_all()
    assert calls == [8, 8, 2]
    calls.clear()
    scalar = Learner(unbalanced(photos), plain_model(), loss=lambda o, t: loss(o, t).mean(), progress=False)
    torch.testing.assert_close(
        torch.tensor(scalar.predict_all().table["loss"].to_numpy()),
        torch.tensor(learner.predict_all().table["loss"].to_numpy()),
    )


@pytest.mark.parametrize("fuse", [False, True])
def test_eight_threads_on_one_model_give_the_predictions_of_one(
    learner: Learner, tmp_path: Path, paths: list[str], fuse: bool
) -> None:
    model = oc.load_model(learner.export(tmp_path / "photos.onecycle"), fuse=fuse)
    items = (paths * 12)[:200]
    expected = {path: model.predict(path) for path in paths}
    with ThreadPoolExecutor(8) as pool:
        predictions = list(pool.map(model.predict, items))
    assert predictions == [expected[path] for path in items]


def test_predictions_in_inference_mode_leave_a_cache_that_trains(photos: Path) -> None:
    learner = tiny(unbalanced(photos, cache="memory"), frozen=False)
    with torch.inference_mode():
        first = learner.validate("train")
        learner.validate()
        next(learner.data.train.epoch(0))
    learner.fit(12, lr=1e-2)  # each of a single step
    assert learner.validate("train")["train_loss"] < first["train_loss"]
    frozen = tiny(unbalanced(photos, cache="memory"))
    with torch.inference_mode():
        frozen.validate()
    frozen.fit(1, lr=1e-2)  # on cached features
    assert frozen.history[-1].cached_steps
