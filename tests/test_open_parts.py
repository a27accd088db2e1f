"""A user's own modality, target, model, loss and metric, from a file of their own: see toy_parts.py.

Items are neither images nor texts, and the number of boxes differs from item to item.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

import onecycle as oc
import toy_parts
from learners import Break, assert_same
from onecycle.data.nested import tensors_in
from onecycle.errors import BundleError, DataError, ModelError
from onecycle.figure import Picture
from onecycle.train.learner import Learner
from toy_parts import Boxes, BoxLoss, BoxModel, GroupedBoxModel, box_bunch, box_loss, count_error

LOSSES = {"function": lambda: box_loss, "Loss": BoxLoss, "sum": lambda: BoxLoss() + 0.5 * oc.losses.as_loss(box_loss)}


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_parts.write_series(tmp_path_factory.mktemp("series"))


def learner_of(bunch: Any, model: nn.Module | None = None, **options: Any) -> Learner:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BoxModel() if model is None else model
    return Learner(bunch, model, **{"loss": box_loss, "metrics": [count_error], "progress": False, **options})


@pytest.fixture(scope="module")
def trained(series: Path) -> Learner:
    learner = learner_of(box_bunch(series))
    learner.fit_one_cycle(4, lr=1e-2)
    return learner


def sgd(groups: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=0.1)


class TestBatches:
    def test_boxes_come_as_a_list_with_an_entry_per_item(self, series: Path) -> None:
        batch = next(box_bunch(series).train.epoch(0))
        assert isinstance(batch.targets, list)
        assert [tuple(boxes.shape) for boxes in batch.targets] == [
            (int(name.removesuffix(".json")) % 4, 4) for name in names(box_bunch(series), batch)
        ]

    def test_they_move_to_a_device(self, series: Path) -> None:
        moved = next(box_bunch(series).train.epoch(0)).to(torch.device("meta"))
        assert {tensor.device.type for tensor in tensors_in([moved.inputs, moved.targets])} == {"meta"}

    def test_they_split_into_even_parts(self, series: Path) -> None:
        batch = next(box_bunch(series).train.epoch(0))
        parts = batch.split(3)
        assert [len(part) for part in parts] == [3, 3, 2]
        joined = [boxes for part in parts for boxes in part.targets]
        assert all(torch.equal(one, other) for one, other in zip(joined, batch.targets, strict=True))
        assert torch.equal(torch.cat([part.inputs for part in parts]), batch.inputs)

    def test_a_worker_gives_the_same_batches(self, series: Path) -> None:
        one, other = (next(box_bunch(series, workers=workers).train.epoch(1)) for workers in (0, 1))
        assert torch.equal(one.inputs, other.inputs)
        assert all(torch.equal(a, b) for a, b in zip(one.targets, other.targets, strict=True))

    def test_a_cache_in_memory_gives_the_same_batches(self, series: Path) -> None:
        bunches = [box_bunch(series, whole=True, cache=cache) for cache in (None, "memory")]
        assert bunches[1].train.cache is not None
        for plain, cached in zip(*(bunch.train.epoch(1) for bunch in bunches), strict=True):
            assert torch.equal(plain.inputs, cached.inputs)
            assert all(torch.equal(a, b) for a, b in zip(plain.targets, cached.targets, strict=True))

    def test_what_is_not_in_8_bits_cannot_be_cached(self, series: Path) -> None:
        with pytest.raises(DataError, match=r"cache='memory', but"):
            box_bunch(series, cache="memory")

    def test_a_broken_file_may_be_skipped(self, tmp_path: Path) -> None:
        folder = toy_parts.write_series(tmp_path, 12)
        bunch = box_bunch(folder, 4, on_bad_item="skip")
        (folder / "007.json").write_text("{}")
        with pytest.warns(UserWarning, match=r"Skipped 007\.json"):
            assert sum(len(batch.targets) for batch in bunch.train.epoch(0)) == 8

    def test_there_is_nothing_to_balance_mix_or_resize(self, series: Path) -> None:
        with pytest.raises(DataError, match="balance= does not fit toy_boxes"):
            box_bunch(series, balance="loss")
        with pytest.raises(ModelError, match="mix= does not fit toy_boxes"):
            learner_of(box_bunch(series), mix=oc.Mixup())
        with pytest.raises(DataError, match="Series inputs have no size"):
            box_bunch(series).resize(8)


def names(bunch: Any, batch: oc.Batch) -> list[str]:
    return [bunch.train.dataset.name(row) for row in batch.index.tolist()]


class TestTraining:
    @pytest.mark.parametrize("loss", LOSSES)
    def test_accumulated_batches_and_microbatches_are_one_large_batch(self, series: Path, loss: str) -> None:
        whole = learner_of(box_bunch(series, 16), loss=LOSSES[loss](), optimizer=sgd)
        accumulated = learner_of(box_bunch(series, 4), loss=LOSSES[loss](), optimizer=sgd, accumulate=4)
        parts = learner_of(box_bunch(series, 16), loss=LOSSES[loss](), optimizer=sgd)
        parts.num_microbatches = 3
        for learner in (whole, accumulated, parts):
            learner.fit(2, lr=0.05)
        for other in (accumulated, parts):
            assert other.history[-1].train_loss == pytest.approx(whole.history[-1].train_loss, rel=1e-5)
            for name, tensor in whole.model.state_dict().items():
                torch.testing.assert_close(other.model.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("loss", LOSSES)
    def test_training_lowers_the_loss(self, series: Path, loss: str) -> None:
        learner = learner_of(box_bunch(series, noise=0.01), loss=LOSSES[loss]())
        before = learner.validate()["valid_loss"]
        learner.fit_one_cycle(4, lr=1e-2)
        assert learner.history[-1].valid_loss < before
        assert learner.history[-1].train_loss < learner.history[0].train_loss

    def test_a_frozen_body_is_computed_once(self, series: Path) -> None:
        learner = learner_of(box_bunch(series), GroupedBoxModel(), head_steps=8)
        learner.fine_tune(1, lr=1e-2)
        assert learner.history[0].stage == "head"
        assert learner.history[0].cached_steps == 8
        assert learner.validate()["valid_loss"] == pytest.approx(learner.history[-1].valid_loss, rel=1e-5)

    def test_the_memory_of_a_step_is_measured(self, series: Path) -> None:
        report = learner_of(box_bunch(series)).memory_report()
        assert min(report.parameters, report.gradients, report.activations) > 0

    def test_a_fit_goes_on_after_an_interruption_as_if_there_had_been_none(self, series: Path, tmp_path: Path) -> None:
        straight = learner_of(box_bunch(series, noise=0.1))
        straight.fit_one_cycle(4, lr=1e-2)
        interrupted = learner_of(
            box_bunch(series, noise=0.1),
            callbacks=[oc.Checkpoint(tmp_path / "run.ckpt"), Break(1, KeyboardInterrupt())],
        )
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit_one_cycle(4, lr=1e-2)
        resumed = learner_of(box_bunch(series, noise=0.1))
        resumed.load(tmp_path / "run.ckpt")
        resumed.resume()
        assert_same(resumed.copy_weights(), straight.copy_weights())
        assert [r.valid_loss for r in resumed.history] == [r.valid_loss for r in straight.history]

    def test_a_checkpoint_of_another_target_is_refused(self, trained: Learner, series: Path, tmp_path: Path) -> None:
        trained.save(tmp_path / "run.ckpt")
        items = toy_parts.SeriesList.from_folder(series, toy_parts.Series()).split_by(lambda path: path.stem < "010")
        target = Boxes(least_score=0.5)
        other = learner_of(items.label_from_function(toy_parts.boxes_of, target=target).databunch(8, workers=0))
        with pytest.raises(ModelError, match=r"has other classes: toy_boxes"):
            other.load(tmp_path / "run.ckpt")


class TestPredicting:
    def test_a_function_is_a_metric_of_the_whole_set(self, series: Path) -> None:
        calls: list[int] = []

        def boxes(predictions: list[Tensor], targets: list[Tensor]) -> float:
            calls.append(len(targets))
            return float(sum(map(len, targets)))

        learner = learner_of(box_bunch(series, 3), metrics=[boxes, count_error])
        assert learner.validate()["boxes"] == sum(len(label) for label in learner.data.valid.dataset.labels() or [])
        assert calls == [8], "once, with all items"

    def test_the_metric_is_that_of_the_predictions(self, trained: Learner) -> None:
        table = trained.predict_all().table.to_pylist()
        errors = [abs(len(row["prediction"]) - len(row["label"])) for row in table]
        assert trained.validate()["count_error"] == pytest.approx(sum(errors) / len(errors))
        assert sum(row["loss"] for row in table) / len(table) == pytest.approx(
            trained.validate()["valid_loss"], rel=1e-5
        )

    @pytest.mark.parametrize("batch_size", [1, 3, 64])
    def test_the_batch_size_changes_nothing(self, trained: Learner, series: Path, batch_size: int) -> None:
        for loss in LOSSES.values():
            expected = learner_of(trained.data, trained.model, loss=loss()).validate()
            values = learner_of(box_bunch(series, batch_size), trained.model, loss=loss()).validate()
            assert values == pytest.approx(expected, rel=1e-6)

    def test_every_way_gives_the_same_boxes(self, trained: Learner, tmp_path: Path) -> None:
        rows = trained.data.valid.dataset.rows
        table = trained.predict_all().table
        expected = table["prediction"].to_pylist()
        assert len({len(boxes) for boxes in expected}) > 1, "the number of boxes differs"
        paths = [rows.locate(name) for name in table["item"].to_pylist()]
        loaded = oc.load_model(trained.export(tmp_path / "boxes.onecycle"))
        many = [prediction.label for prediction in trained.predictor().predict_many(paths, batch_size=3)]
        for predictions in (many, [trained.predict(path).label for path in paths],
                            [loaded.predict(path).label for path in paths],
                            trained.tta(augmentations=0).table["prediction"].to_pylist()):  # fmt: skip
            assert_boxes_close(predictions, expected)

    def test_predictions_of_augmented_copies_cannot_be_averaged(self, trained: Learner) -> None:
        with pytest.raises(
            ModelError,
            match=r"tta\(\) averages predictions, and those of a [\s\S]*categories, tags or numbers[\s\S]*predict_all",
        ):
            trained.tta()

    def test_new_items_have_predictions_and_no_labels(self, trained: Learner, series: Path) -> None:
        table = trained.predict_all(toy_parts.SeriesList.from_folder(series, toy_parts.Series())).table
        assert table.num_rows == 40
        assert table["prediction"].type == pa.list_(pa.list_(pa.float64()))
        assert "label" not in table.column_names

    def test_pictures_and_texts_need_no_method_of_the_users(self, trained: Learner, capsys: Any) -> None:
        assert isinstance(trained.show_results(4), Picture)
        assert isinstance(trained.show_results(4, worst=True), Picture)
        assert isinstance(trained.data.show_batch(3), Picture)
        assert isinstance(trained.data.show_augmentations(), Picture)
        assert "Boxes" in trained.data.explain()
        assert trained.data.check().broken == ()
        assert "toy_series" in repr(trained)

    def test_predictions_are_written_as_csv(self, trained: Learner, tmp_path: Path) -> None:
        trained.predict_all().to_csv(tmp_path / "boxes.csv")
        assert (tmp_path / "boxes.csv").read_text().splitlines()[0] == "image_name,label"


def assert_boxes_close(ours: list[Any], theirs: list[Any]) -> None:
    assert [len(boxes) for boxes in ours] == [len(boxes) for boxes in theirs]
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(torch.tensor(one), torch.tensor(other), rtol=1e-6, atol=1e-6)


class TestExport:
    LOAD = "import json, sys, onecycle\nprint(json.dumps(onecycle.load_model(sys.argv[1]).predict(sys.argv[2]).label))"

    @pytest.mark.parametrize("model", [BoxModel, GroupedBoxModel])
    def test_a_fresh_process_loads_it_once_the_module_is_imported(
        self, model: Any, series: Path, tmp_path: Path
    ) -> None:
        learner = learner_of(box_bunch(series), model(12))
        learner.fit(1, lr=1e-3)
        path = learner.export(tmp_path / "boxes.onecycle")
        done = python(f"import toy_parts\n{self.LOAD}", path, series / "003.json")
        assert done.returncode == 0, done.stderr
        assert_boxes_close([json.loads(done.stdout)], [learner.predict(series / "003.json").label])

    def test_without_the_import_the_error_names_the_module(
        self, trained: Learner, series: Path, tmp_path: Path
    ) -> None:
        done = python(self.LOAD, trained.export(tmp_path / "boxes.onecycle"), series / "003.json")
        assert done.returncode == 1
        assert "BundleError" in done.stderr
        assert "Unknown model 'toy_boxes_model'." in done.stderr
        assert "Fix: import toy_parts first, which registers it." in done.stderr

    def test_nothing_of_images_or_texts_is_imported(self, trained: Learner, series: Path, tmp_path: Path) -> None:
        code = (
            f"import toy_parts\n{self.LOAD}\n"
            "print([name for name in sys.modules if name.startswith(('onecycle.vision', 'onecycle.text', 'timm'))])"
        )
        done = python(code, trained.export(tmp_path / "boxes.onecycle"), series / "003.json")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "[]"

    def test_a_model_that_is_not_registered_is_refused_before_anything_is_written(
        self, series: Path, tmp_path: Path
    ) -> None:
        class Unregistered(BoxModel):
            pass

        with pytest.raises(ModelError, match=r"A Unregistered is not registered.*\n.*\nFix: write @onecycle\.register"):
            learner_of(box_bunch(series), Unregistered()).export(tmp_path / "x.onecycle")
        assert list(tmp_path.iterdir()) == []

    def test_a_model_whose_config_builds_another_is_refused(self, series: Path, tmp_path: Path) -> None:
        model = BoxModel(12)
        model.config = {"width": 4}
        with pytest.raises(BundleError, match=r"The model cannot be built again from its config: .*tensors differ"):
            learner_of(box_bunch(series), model).export(tmp_path / "x.onecycle")
        assert list(tmp_path.iterdir()) == []


def python(code: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process that finds the modules beside this one."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
