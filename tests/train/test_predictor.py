from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from PIL import Image
from torch import nn

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.data.target import Category, MultiCategory
from onecycle.errors import DataError
from onecycle.train.learner import Learner
from onecycle.train.predictor import Predictions, Predictor, predictions
from onecycle.vision.images import Images

TAGS = MultiCategory(("cloud", "road", "water"))


@pytest.fixture(scope="module")
def learner(photos: Path) -> Learner:
    learner = tiny(photo_bunch(photos))
    learner.fit(2, 1e-2)
    return learner


class Brightness(nn.Module):
    """Three outputs, the mean of each colour in units of 100."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().mean((2, 3)) / 100


@pytest.fixture
def colours() -> Predictor:
    return Predictor(Brightness(), Images((8, 8)), Category(("red", "green", "blue")), torch.device("cpu"))


def solid(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((8, 8, 3), colour, np.uint8)


def test_the_answer_is_the_most_probable_class_and_all_probabilities(colours: Predictor) -> None:
    label, probabilities = colours.predict(solid((0, 200, 100)))
    assert label == "green"
    expected = torch.tensor([0.0, 2.0, 1.0]).softmax(0).tolist()
    assert probabilities == pytest.approx(dict(zip(("red", "green", "blue"), expected, strict=True)))


def test_tags_above_the_threshold_are_the_answer() -> None:
    predictor = Predictor(Brightness(), Images((8, 8)), MultiCategory(("r", "g", "b"), 0.6), torch.device("cpu"))
    # The sigmoid of 0.5 is 0.62, that of 0.4 is 0.599.
    assert predictor.predict(solid((50, 40, 250))).label == ("r", "b")


def test_path_picture_and_array_agree(learner: Learner, photos: Path) -> None:
    path = photos / "red" / "red_0.jpg"
    # An image at the model's own size, so that scaled decoding has no part in it.
    image = Image.open(path).convert("RGB").resize((32, 32))
    image.save(saved := path.parent.parent.parent / f"{path.stem}.png")
    answers = [learner.predict(item) for item in (str(saved), saved, image, np.asarray(image))]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0].label in learner.data.classes


def test_many_are_answered_in_batches_as_one_by_one(learner: Learner, photos: Path) -> None:
    paths = sorted(photos.rglob("*.jpg"))[:7]
    many = learner.predictor().predict_many(paths, batch_size=3)
    for path, answer in zip(paths, many, strict=True):
        assert answer.probabilities == pytest.approx(learner.predict(path).probabilities, abs=1e-5)


def test_none_are_answered_with_none(colours: Predictor) -> None:
    assert colours.predict_many([]) == []
    assert colours.probabilities([]).shape == (0, 3)


@pytest.mark.parametrize("item", ["a.jpg", Path("a.jpg")])
def test_a_single_path_for_a_list_is_refused(colours: Predictor, item: Any) -> None:
    with pytest.raises(DataError, match=r"One path, 'a\.jpg'\.\nExpected a list of inputs"):
        colours.predict_many(item)


def test_a_file_that_is_not_there_is_an_error(colours: Predictor, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jpg"):
        colours.predict(tmp_path / "none.jpg")


class TestPredictions:
    @pytest.fixture
    def tags(self) -> Predictions:
        probabilities = torch.tensor([[0.9, 0.6, 0.1], [0.2, 0.3, 0.4]])
        names = ["a/file_1.jpg", "file_2.jpg"]
        return predictions(names, probabilities, TAGS, [["cloud"], ["road"]], torch.tensor([0.5, 2.5]))

    def test_it_is_a_table_with_a_row_an_item(self, tags: Predictions) -> None:
        assert len(tags) == 2
        assert tags.table.column_names == [
            "item", "label", "prediction", "confidence", "loss", "p(cloud)", "p(road)", "p(water)",
        ]  # fmt: skip
        assert tags.table["prediction"].to_pylist() == [["cloud", "road"], []]
        assert tags.table["confidence"].to_pylist() == pytest.approx([0.9, 0.4])
        assert repr(tags) == "Predictions: 2 items, columns item, label, prediction, confidence, loss, ..."

    def test_probabilities_come_back_as_they_were(self, tags: Predictions) -> None:
        assert torch.equal(tags.probabilities, torch.tensor([[0.9, 0.6, 0.1], [0.2, 0.3, 0.4]]))

    @pytest.mark.parametrize("read", [pa.table, pl.DataFrame, pd.DataFrame.from_arrow if hasattr(pd.DataFrame, "from_arrow") else lambda table: pa.table(table).to_pandas()], ids=["arrow", "polars", "pandas"])  # fmt: skip  # noqa: E501
    def test_others_read_it_as_it_is(self, tags: Predictions, read: Any) -> None:
        table = read(tags)
        assert list(table["item"].to_pylist() if isinstance(table, pa.Table) else table["item"]) == [
            "a/file_1.jpg", "file_2.jpg",
        ]  # fmt: skip

    def test_csv_is_in_the_shape_that_competitions_want(self, tags: Predictions, tmp_path: Path) -> None:
        tags.to_csv(tmp_path / "submission.csv")
        assert (tmp_path / "submission.csv").read_text().splitlines() == [
            "image_name,tags",
            "file_1,cloud road",
            "file_2,",
        ]

    def test_csv_may_have_other_headers_and_whole_names(self, tags: Predictions, tmp_path: Path) -> None:
        tags.to_csv(tmp_path / "x.csv", name="file", label="answer", suffix=True)
        with (tmp_path / "x.csv").open(newline="") as file:
            assert [row["file"] for row in csv.DictReader(file)] == ["file_1.jpg", "file_2.jpg"]

    def test_csv_holds_one_class_an_item(self, tmp_path: Path) -> None:
        answers = predictions(["x.png"], torch.tensor([[0.1, 0.9]]), Category(("cat", "dog")), None, None)
        answers.to_csv(tmp_path / "x.csv", label="label")
        assert (tmp_path / "x.csv").read_text().splitlines() == ["image_name,label", "x,dog"]

    def test_worst_comes_first(self, tags: Predictions) -> None:
        assert tags.worst(1)["item"].to_pylist() == ["file_2.jpg"]
        assert tags.worst()["loss"].to_pylist() == [2.5, 0.5]

    def test_without_labels_there_is_no_worst(self) -> None:
        answers = predictions(["x"], torch.tensor([[1.0, 0.0]]), Category(("a", "b")), None, None)
        with pytest.raises(DataError, match=r"These items have no labels\.\nExpected labelled items"):
            answers.worst()


def test_what_a_learner_and_its_predictor_answer_is_the_same(learner: Learner) -> None:
    table = learner.predict_all("valid").table
    part = learner.data.valid.dataset.part
    one_by_one = learner.predictor().predict_many([part.locate(name) for name in table["item"].to_pylist()])
    assert [answer.label for answer in one_by_one] == table["prediction"].to_pylist()


def test_the_models_mode_does_not_matter(learner: Learner, photos: Path) -> None:
    path = photos / "red" / "red_0.jpg"
    before = learner.predict(path)
    learner.model.train()
    assert learner.predict(path) == before
    assert oc.vision.images.Images is Images  # type: ignore[attr-defined]
