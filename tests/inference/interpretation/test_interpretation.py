"""One pass over a split gives the scores of `validate`, and tables that agree with a count by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onecycle as oc
from learners import photo_bunch, tag_bunch, tiny
from onecycle.errors import DataError, MissingAttributeError, ModelError, OnecycleError
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def photo_learner(photos: Path) -> Learner:
    return tiny(photo_bunch(photos))


@pytest.fixture(scope="module")
def tag_learner(tagged: Path) -> Learner:
    learner = tiny(tag_bunch(tagged))
    learner.threshold = 0.45
    return learner


@pytest.fixture(scope="module")
def number_learner(photos: Path) -> Learner:
    images = oc.ImageList.from_folder(photos).split_random(0.2, seed=1)
    bunch = images.label_numbers(lambda path: float(sum(path.name.encode())), names=["size"])
    return tiny(bunch.transform(32, augment=oc.augment.none()).databunch(8))


class TestClasses:
    def test_the_scores_are_those_of_validate(self, photo_learner: Learner) -> None:
        assert photo_learner.interpret().scores == photo_learner.validate()
        assert photo_learner.interpret("train").scores == photo_learner.validate("train")

    def test_every_table_agrees_with_a_count_of_the_predictions(self, photo_learner: Learner) -> None:
        found, rows = photo_learner.interpret("train"), photo_learner.predict_all("train").table.to_pylist()
        pairs = Counter((row["label"], row["prediction"]) for row in rows)
        counted = {
            (row["label"], row["prediction"]): row["items"] for row in found.confusion_matrix().table.to_pylist()
        }
        assert counted == pairs
        wrong = {pair: count for pair, count in pairs.items() if pair[0] != pair[1]}
        confused = found.most_confused(20).table.to_pylist()
        assert {(row["label"], row["prediction"]): row["count"] for row in confused} == wrong
        assert [row["count"] for row in confused] == sorted(wrong.values(), reverse=True)
        assert all(len(row["items"]) == row["count"] for row in confused)
        for row in found.per_class().table.to_pylist():
            own = [one for one in rows if one["label"] == row["class"]]
            right = sum(one["prediction"] == row["class"] for one in own)
            assert row["items"] == len(own)
            assert row["recall"] == pytest.approx(right / len(own))
            assert row["recall_low"] < row["recall_high"]

    def test_the_worst_are_mistakes_and_the_best_are_right(self, photo_learner: Learner) -> None:
        found, rows = photo_learner.interpret("train"), photo_learner.predict_all("train").table.to_pylist()
        wrong = sorted((row for row in rows if row["label"] != row["prediction"]), key=lambda row: -row["loss"])
        right = sorted((row for row in rows if row["label"] == row["prediction"]), key=lambda row: row["loss"])
        assert found.top_losses(5).table["item"].to_pylist() == [row["item"] for row in wrong[:5]]
        assert found.top_losses(5, best=True).table["item"].to_pylist() == [row["item"] for row in right[:5]]
        with pytest.raises(DataError, match=r"count=0\.\nExpected 1 or more items\.\nFix: pass count=12\."):
            found.top_losses(0)
        assert len(found.top_losses(count=12)) <= 12

    def test_the_calibration_is_that_of_a_count_by_hand(self, photo_learner: Learner) -> None:
        calibration = photo_learner.interpret("train").calibration()
        rows = photo_learner.predict_all("train").table.to_pylist()
        confidence = np.array([row["confidence"] for row in rows])
        right = np.array([row["label"] == row["prediction"] for row in rows])
        bins = np.minimum((confidence * 15).astype(int), 14)
        gaps = [
            abs(confidence[bins == one].mean() - right[bins == one].mean()) * (bins == one).mean() for one in set(bins)
        ]
        assert calibration.ece == pytest.approx(sum(gaps), abs=1e-6)
        assert "With fewer than 200" in calibration.note

    def test_pictures_are_drawn(self, photo_learner: Learner) -> None:
        found = photo_learner.interpret("train")
        tables = [found.confusion_matrix(), found.most_confused(2), found.per_class(), found.calibration()]
        for table in (*tables, found.top_losses(2)):
            assert table.plot().axes


class TestTags:
    def test_the_scores_of_a_tag_are_those_at_the_threshold(self, tag_learner: Learner) -> None:
        found, rows = tag_learner.interpret("train"), tag_learner.predict_all("train").table.to_pylist()
        for row in found.per_class().table.to_pylist():
            both = sum(row["class"] in one["label"] and row["class"] in one["prediction"] for one in rows)
            said = sum(row["class"] in one["prediction"] for one in rows)
            there = sum(row["class"] in one["label"] for one in rows)
            assert row["items"] == there
            assert row["precision"] == (pytest.approx(both / said) if said else None)
            assert row["f1"] == (pytest.approx(2 * both / (said + there)) if said + there else None)

    def test_a_low_threshold_finds_all_and_a_high_one_none(self, tag_learner: Learner) -> None:
        table = tag_learner.interpret("train").thresholds()
        rows = table.table.to_pylist()
        assert (rows[0]["threshold"], rows[0]["recall"]) == (0.02, 1.0)
        assert rows[-1]["recall"] == 0
        assert "use 0.45" in table.note
        assert table.plot().axes

    def test_what_does_not_fit_is_refused_and_the_fix_works(self, tag_learner: Learner) -> None:
        found = tag_learner.interpret()
        with pytest.raises(
            ModelError,
            match=r"confusion_matrix\(\) does not fit multi_category labels\.[\s\S]*Fix: call top_losses\(\)\.",
        ):
            found.confusion_matrix()
        assert found.top_losses().table.column_names == ["item", "label", "prediction", "loss"]


class TestNumbers:
    def test_errors_are_in_the_columns_unit(self, number_learner: Learner) -> None:
        found, rows = number_learner.interpret("train"), number_learner.predict_all("train").table.to_pylist()
        residuals = np.array([row["prediction"][0] - row["label"][0] for row in rows])
        (scores,) = found.per_class().table.to_pylist()
        assert scores["mae"] == pytest.approx(np.abs(residuals).mean(), rel=1e-4)
        assert scores["mae_low"] < scores["mae"] < scores["mae_high"]
        assert scores["rmse"] == pytest.approx(np.sqrt((residuals**2).mean()), rel=1e-4)
        shown = found.residuals().table
        assert shown["size residual"].to_pylist() == pytest.approx(residuals.tolist(), rel=1e-3, abs=1e-3)
        assert len(found.residuals().plot().axes) == 2


class TestOpenParts:
    def test_a_target_of_one_s_own_has_its_worst_items(self, photos: Path) -> None:
        import torch

        loader = [(torch.randn(4, 3), torch.randn(4, 2))] * 2
        learner = oc.Learner.from_loaders(loader, loader, torch.nn.Linear(3, 2), loss=torch.nn.functional.mse_loss)
        found = learner.interpret()
        assert len(found.top_losses(3)) == 3
        with pytest.raises(ModelError, match=r"per_class\(\) does not fit tensor labels"):
            found.per_class()


def test_a_result_shows_itself(photo_learner: Learner) -> None:
    table: Any = photo_learner.interpret("train").per_class()
    assert repr(table).splitlines()[0] == "Per class, with 95% intervals"
    assert "<table>" in table._repr_html_()
    assert "has confusion_matrix()" in repr(photo_learner.interpret())


@pytest.mark.parametrize("method", ["hardest", "errors", "residuals", "thresholds"])
def test_a_method_of_other_labels_is_told_and_the_fix_works(photo_learner: Learner, method: str) -> None:
    found = photo_learner.interpret()
    with pytest.raises(ModelError, match=rf"{method}\(\) does not fit category.*\nExp.*\nFix: call top_losses"):
        getattr(found, method)()
    assert found.top_losses() is not None


def test_a_method_that_no_interpretation_has_is_told(photo_learner: Learner) -> None:
    with pytest.raises(MissingAttributeError, match=r"has no per_clas[\s\S]*Did you mean 'per_class'"):
        photo_learner.interpret().per_clas()
    assert len(photo_learner.interpret().per_class()) == 3


@pytest.mark.parametrize("method", ["most_confused", "top_losses"])
@pytest.mark.parametrize("count", [0, -1])
def test_a_table_of_nothing_is_refused_and_the_fix_works(photo_learner: Learner, method: str, count: int) -> None:
    found = photo_learner.interpret()
    with pytest.raises(DataError, match=rf"count={count}\.\nExpected 1 or more \w+\.\nFix: pass count=12\."):
        getattr(found, method)(count)
    assert getattr(found, method)(count=10) is not None
    with pytest.raises(OnecycleError, match=r"count='a'"):
        getattr(found, method)("a")
    with pytest.raises(DataError, match=rf"count={count}\.\nExpected 1 or more classes"):
        found.confusion_matrix().of_most_confused(count)
    with pytest.raises(DataError, match=rf"count={count}\.\nExpected 1 or more items"):
        photo_learner.predict_all().worst(count)
