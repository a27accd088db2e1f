"""Calibration of a learner: on which items, what changes, where it goes, and when it is void."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import onecycle as oc
from learners import photo_bunch, plain_model, tag_bunch, tiny
from onecycle.errors import BundleError, ModelError
from onecycle.inference.calibration import Calibration
from onecycle.train.calibrate import halves
from onecycle.train.learner import Learner
from patches import make_camvid, mask_bunch, tiny_unet

FEW = "ignore:Sets of classes come from"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 noisy pictures of two colours."""
    root, generator = tmp_path_factory.mktemp("noisy"), np.random.default_rng(0)
    for name, channel in (("green", 1), ("red", 0)):
        (root / name).mkdir()
        for number in range(80):
            pixels = generator.integers(0, 200, (16, 16, 3)).astype(np.uint8)
            pixels[..., channel] += np.uint8(generator.integers(0, 50))
            Image.fromarray(pixels).save(root / name / f"{name}_{number}.png")
    return root


def noisy(folder: Path, **options: Any) -> Learner:
    images = oc.ImageList.from_folder(folder).split_random(0.5, seed=1, stratify="folder").label_from_folder()
    bunch = images.transform(16, augment=oc.augment.none()).databunch(32)
    return tiny(bunch, hidden=0, metrics=["accuracy"], **options)


@pytest.fixture(scope="module")
def trained(folder: Path) -> Learner:
    learner = noisy(folder)
    learner.fit(3, 1e-2)
    with torch.no_grad():
        learner.model.head[-1].weight.mul_(10)  # type: ignore[index, union-attr, operator]
    return learner


@pytest.fixture
def learner(trained: Learner) -> Iterator[Learner]:
    """Far too sure; not calibrated yet."""
    trained.state.forget_calibration()
    yield trained
    trained.state.forget_calibration()


def test_halves_are_the_same_in_any_order_and_disjoint() -> None:
    names = [f"{number}/image.jpg" for number in range(11)]
    first, second = (set(half.tolist()) for half in halves(names))
    assert (len(first), len(second), first & second) == (5, 6, set())
    turned = {10 - row for row in halves(names[::-1])[0].tolist()}
    assert turned == first


class TestClasses:
    def test_it_is_less_sure_and_predicts_the_same(self, learner: Learner) -> None:
        before = learner.predict_all()
        report = learner.calibrate()
        after = learner.predict_all()
        assert after.table["prediction"] == before.table["prediction"]
        assert learner.target.temperatures[0] > 1.2
        assert float(after.probabilities.max(1).values.mean()) < float(before.probabilities.max(1).values.mean())
        assert report.after.ece < report.before.ece
        assert report.items == 40

    def test_the_report_is_of_items_that_no_temperature_was_fitted_to(self, learner: Learner) -> None:
        report = learner.calibrate()
        predictions = learner.predict_all()
        rows = halves(predictions.table["item"].to_pylist())[1]
        truth = torch.stack([learner.target.encode(one) for one in predictions.table["label"].to_pylist()])
        distances = predictions.probabilities - torch.nn.functional.one_hot(truth, 2)
        assert report.after.brier == pytest.approx(float(distances[rows].square().sum(1).mean()), abs=1e-6)
        assert learner.calibration() is report
        assert learner.calibration("train").items == 80

    def test_without_calibration_both_are_the_same(self, learner: Learner) -> None:
        report = learner.calibration()
        assert (report.before, report.items) == (report.after, 80)
        assert "learner.calibrate() does that" in repr(report)

    def test_what_is_not_promised_is_said(self, learner: Learner) -> None:
        notes = "\n".join(learner.calibrate().notes)
        assert "found on 40 other items; as these are fewer than 200, taken closer to 1" in notes
        assert "on average and not for each class, from 40 items, fewer than 400" in notes
        with pytest.warns(UserWarning, match=r"Sets of classes come from 40 held-back items, fewer than 400"):
            learner.predict_all(sets=0.9)

    def test_too_few_items_for_sets_are_said(self, photos: Path) -> None:
        learner = tiny(photo_bunch(photos))
        notes = learner.calibrate().notes
        assert notes == (
            "3 items are too few to find a temperature: it stays 1",
            "3 items are too few for sets for 90%: they hold all classes; at least 9 are needed, and 400 to rely on",
        )
        with pytest.warns(UserWarning, match="every set holds all classes, and says nothing"):
            assert all(len(one) == 3 for one in learner.predict_all(sets=0.9).table["set"].to_pylist())

    def test_tags_have_no_sets_and_the_fix_works(self, tagged: Path) -> None:
        learner = tiny(tag_bunch(tagged))
        learner.calibrate()
        with pytest.raises(ModelError, match=r"for one class an item, and this.*multi_category\.\n.*\nFix: l"):
            learner.predict_all(sets=0.9)
        assert len(learner.predict_all())

    @pytest.mark.filterwarnings(FEW)
    def test_every_way_gives_the_same_sets(self, learner: Learner, tmp_path: Path) -> None:
        learner.calibrate()
        paths = learner.data.valid.dataset.rows.located()[:6]
        table = learner.predict_all(sets=0.8).table.slice(0, 6).to_pylist()
        model = oc.load_model(learner.export(tmp_path / "noisy.onecycle"))
        singles = [learner.predict(path, sets=0.8) for path in paths]
        for row, single, loaded, many in zip(
            table, singles, model.predict_many(paths, sets=0.8), learner.predict_many(paths, sets=0.8), strict=True
        ):
            assert tuple(row["set"]) == single.label_set == loaded.label_set == many.label_set
            assert row["set"][0] == row["prediction"]
            assert row["unfamiliarity"] == pytest.approx(single.unfamiliarity, abs=1e-5)
            assert loaded.unfamiliarity == pytest.approx(single.unfamiliarity, abs=1e-5)
            assert loaded.unfamiliar == single.unfamiliar == row["unfamiliar"]
            assert loaded.probabilities == pytest.approx(single.probabilities, abs=1e-6)
        assert model.predict_all(paths, sets=0.8).table["set"].to_pylist() == [row["set"] for row in table]
        assert model.card["calibration"]["measured_on"] == 40

    def test_the_outputs_are_bit_for_bit_those_without_features(self, learner: Learner) -> None:
        before = learner.predict_all().probabilities
        learner.state.calibration = Calibration(None, None)
        learner.calibrate()
        learner.state.data = learner.data.with_target(learner.target.with_temperatures(None))
        assert torch.equal(learner.predict_all().probabilities, before)

    def test_an_input_beyond_the_threshold_is_called_unfamiliar(self, learner: Learner) -> None:
        learner.calibrate()
        held = halves(learner.predict_all().table["item"].to_pylist())[1]
        known = learner.predict_all().table["unfamiliar"].to_numpy()[held.numpy()]
        assert known.sum() == 2, "a twentieth of 40"
        calibration = learner.state.calibration
        assert calibration is not None
        assert calibration.familiarity is not None
        learner.state.calibration = replace(calibration, familiarity=replace(calibration.familiarity, threshold=-1.0))
        white = learner.predict(np.full((16, 16, 3), 255, np.uint8))
        assert white.unfamiliar
        assert "unlike the training items" in repr(white)

    def test_too_few_items_leave_the_probabilities_as_they_are(self, photos: Path) -> None:
        learner = tiny(photo_bunch(photos))
        report = learner.calibrate()
        assert learner.target.temperatures is None
        assert report.notes[0] == "3 items are too few to find a temperature: it stays 1"

    def test_a_plain_module_has_no_features_to_compare(self, photos: Path) -> None:
        learner = Learner(photo_bunch(photos), plain_model(), progress=False)
        learner.calibrate()
        assert learner.state.calibration is not None
        assert learner.state.calibration.familiarity is None
        assert learner.predict_all().table.column_names[:4] == ["item", "label", "prediction", "confidence"]

    def test_sets_of_a_learner_that_is_not_calibrated_are_refused_and_the_fix_helps(self, learner: Learner) -> None:
        with pytest.raises(ModelError, match=r"no held-back items.*\n.*\nFix: call learner\.calibrate\(\)"):
            learner.predict_all(sets=0.9)
        learner.calibrate()
        with pytest.warns(UserWarning, match="40 held-back items"):
            assert learner.predict_all(sets=0.9).table["set"][0]


class TestOthers:
    def test_tags_get_a_temperature_each_and_their_threshold_again(
        self, tagged: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onecycle.train.calibrate.FEWEST", 2)
        learner = tiny(tag_bunch(tagged), metrics=["f1"])
        learner.fit(1, 1e-2)
        learner.threshold = 0.9
        learner.calibrate()
        assert len(learner.target.temperatures) == 3
        assert learner.threshold == learner.tune_threshold() != 0.9
        assert learner.state.weights_record.metrics["f1"] == pytest.approx(learner.validate()["f1"])  # type: ignore[union-attr]
        with pytest.raises(ModelError, match="one class an item"):
            learner.predict_all(sets=0.9)

    def test_masks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("onecycle.train.calibrate.FEWEST", 1)
        learner = tiny_unet(mask_bunch(make_camvid(tmp_path / "camvid")))
        before = learner.validate()
        report = learner.calibrate()
        assert len(learner.target.temperatures) == 1
        assert report.items >= 1
        assert learner.validate() == pytest.approx(before)
        model = oc.load_model(learner.export(tmp_path / "masks.onecycle"))
        assert model.target.temperatures == learner.target.temperatures

    def test_what_has_no_probabilities_is_refused(self, photos: Path) -> None:
        bunch = (
            oc.ImageList.from_folder(photos)
            .split_random(0.2)
            .label_numbers(lambda path: len(path.name) / 2)
            .transform(32)
            .databunch(8)
        )
        with pytest.raises(ModelError, match=r"have no probabilities.*\nExpected categories, tags or masks"):
            Learner(bunch, plain_model(1), progress=False).calibrate()

    @pytest.mark.filterwarnings("ignore:split_none")
    def test_no_items_are_refused(self, photos: Path) -> None:
        bunch = oc.ImageList.from_folder(photos).split_none().label_from_folder().transform(32).databunch(8)
        learner = Learner(bunch, plain_model(), progress=False)
        fix = r"\nFix: hold some back, as split_random\(valid=0\.2\) does, or add_test\(\.\.\., labelled=True\)"
        with pytest.raises(ModelError, match=rf"There are no validation items\.\nExpected labelled items.*{fix}"):
            learner.calibrate()
        with pytest.raises(ModelError, match=rf'calibrate\("train"\): of items that it was trained on.*\n.*{fix}'):
            learner.calibrate("train")
        labelled: Any = bunch.labelled.add_test(oc.ImageList.from_folder(photos), labelled=True)
        assert Learner(labelled.databunch(8), plain_model(), progress=False).calibrate("test").split == "test"

    def test_training_items_are_refused_and_the_fix_works(self, learner: Learner) -> None:
        with pytest.raises(ModelError, match=r'calibrate\("train"\)[\s\S]*Fix: call calibrate\(\), which takes'):
            learner.calibrate("train")
        assert learner.calibrate().split == "valid"


class TestKept:
    def test_training_on_makes_it_void(self, folder: Path) -> None:
        learner = noisy(folder)
        learner.calibrate()
        learner.fit(1, 1e-4)
        assert (learner.target.temperatures, learner.state.calibration) == (None, None)

    @pytest.mark.parametrize(
        "change",
        [
            lambda learner: setattr(learner, "data", learner.data.resize(24)),
            lambda learner: learner.load_weights({n: t + 1 for n, t in learner.copy_weights().items()}),
        ],
        ids=["other inputs", "other weights"],
    )
    def test_other_inputs_and_weights_make_it_void(self, folder: Path, change: Callable[[Learner], None]) -> None:
        learner = noisy(folder)
        learner.calibrate()
        learner.load_weights(learner.copy_weights())
        assert learner.state.calibration is not None
        change(learner)
        assert (learner.target.temperatures, learner.state.calibration) == (None, None)

    def test_a_checkpoint_has_it(self, learner: Learner, folder: Path, tmp_path: Path) -> None:
        report = learner.calibrate()
        learner.save(tmp_path / "last.ckpt")
        other = noisy(folder)
        other.load(tmp_path / "last.ckpt")
        assert other.target.temperatures == learner.target.temperatures
        assert other.calibration().after.ece == pytest.approx(report.after.ece, abs=1e-6)
        assert other.calibration().items == report.items
        assert torch.equal(other.predict_all().probabilities, learner.predict_all().probabilities)

    def test_a_bundle_with_a_forged_one_is_refused(
        self, learner: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        learner.calibrate()
        state = {**learner.state.calibration.state_dict(), "scores": torch.zeros(2, 2)}  # type: ignore[union-attr]
        monkeypatch.setattr(Calibration, "state_dict", lambda self: state)
        path = learner.export(tmp_path / "forged.onecycle")
        with pytest.raises(BundleError, match="The calibration has scores of another shape"):
            oc.load_model(path)

    def test_a_bundle_of_a_learner_that_is_not_calibrated_says_nothing(self, learner: Learner, tmp_path: Path) -> None:
        model = oc.load_model(learner.export(tmp_path / "plain.onecycle"))
        assert "calibration" not in json.loads(json.dumps(model.config)).keys() - {"card"}
        assert model.card["calibration"] is None
        assert model.predict(np.zeros((16, 16, 3), np.uint8)).unfamiliar is None
