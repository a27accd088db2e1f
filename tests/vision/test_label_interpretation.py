"""Interpretation of masks and points, against counts by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import onecycle as oc
from learners import tiny
from onecycle.demo import make_camvid
from onecycle.train.learner import Learner
from task_data import dots as dots


@pytest.fixture(scope="module")
def mask_learner(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    root = make_camvid(tmp_path_factory.mktemp("masks") / "camvid", train=4, valid=3, size=(45, 60))
    bunch = (
        oc.ImageList.from_folder(root / "images")
        .split_from_file(root / "valid.txt")
        .label_masks(root / "labels" / "{stem}_P.png", classes=root / "codes.txt", ignore="Void")
        .transform(32, augment=oc.augment.none())
        .databunch(2)
    )
    return oc.unet_learner(bunch, "test_efficientnet", pretrained=False, progress=False)


@pytest.fixture(scope="module")
def point_learner(dots: Path) -> Learner:
    images = oc.ImageList.from_csv(dots / "points.csv", folder=dots).split_random(0.25, seed=1)
    columns = ["left_x", "left_y", "right_x", "right_y"]
    bunch = images.label_points(columns, names=["left", "right"]).transform(32, augment=oc.augment.none()).databunch(4)
    return tiny(bunch, frozen=False)


class TestMasks:
    def test_iou_of_each_class_is_that_of_the_metric(self, mask_learner: Learner) -> None:
        found = mask_learner.interpret()
        assert found.scores == mask_learner.validate()
        ious = [row["iou"] for row in found.per_class().table.to_pylist() if row["iou"] is not None]
        assert np.mean(ious) == pytest.approx(found.scores["mean_iou"])
        accuracy = found.matrix.diagonal().sum() / found.matrix.sum()
        assert accuracy == pytest.approx(found.scores["pixel_accuracy"])

    def test_the_hardest_image_has_the_lowest_iou(self, mask_learner: Learner) -> None:
        found = mask_learner.interpret()
        table = found.hardest(3)
        assert table.table["mean_iou"].to_pylist() == sorted(found.ious.tolist())
        assert len(table.plot().axes) >= 6
        assert len(found.top_losses(2)) == 2

    def test_the_most_confused_classes_have_the_most_pixels(self, mask_learner: Learner) -> None:
        found = mask_learner.interpret()
        wrong = found.matrix - np.diag(found.matrix.diagonal())
        assert found.most_confused(1).table["pixels"].to_pylist() == [wrong.max()]
        assert found.confusion_matrix().plot().axes


class TestPoints:
    def test_errors_are_in_pixels_of_the_original(self, point_learner: Learner) -> None:
        found, rows = point_learner.interpret(), point_learner.predict_all().table.to_pylist()
        expected = [np.linalg.norm(np.subtract(row["prediction"], row["label"]), axis=1) for row in rows]
        assert found.distances == pytest.approx(np.array(expected), rel=1e-3)
        means = [row["error"] for row in found.per_class().table.to_pylist()]
        assert np.mean(means) == pytest.approx(found.scores["pixel_error"], rel=1e-4)
        assert found.errors().table.column_names == ["item", "left", "right"]
        assert found.errors().plot().axes
        assert "pixels off" in found.top_losses(1).table["prediction"][0].as_py()
