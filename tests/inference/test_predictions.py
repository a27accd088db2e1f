"""Predictions of many items as a table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from onecycle.data.categories import Category, MultiCategory
from onecycle.data.numbers import Numbers
from onecycle.errors import DataError
from onecycle.inference.predictions import Predictions, concatenate, predictions_table
from toy_parts import Boxes

TAGS = MultiCategory(("cloud", "road", "water"))


class TestPredictions:
    @pytest.fixture
    def tags(self) -> Predictions:
        probabilities = torch.tensor([[0.9, 0.6, 0.1], [0.2, 0.3, 0.4]])
        names = ["a/file_1.jpg", "file_2.jpg"]
        return predictions_table(
            names, probabilities, TAGS, labels=[["cloud"], ["road"]], losses=torch.tensor([0.5, 2.5])
        )

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

    def test_a_notebook_shows_the_first_rows_escaped(self) -> None:
        target = Category(("<b>cat", "dog"))
        names = [f"<i>{number}.png" for number in range(7)]
        html = predictions_table(names, torch.tensor([[0.9, 0.1]] * 7), target)._repr_html_()
        assert html.count("<tr>") == 6
        assert "<td>&lt;i&gt;0.png</td><td>&lt;b&gt;cat</td><td>0.9</td>" in html
        assert "<i>" not in html
        assert "and 2 more items" in html

    def test_csv_is_in_the_shape_that_competitions_want(self, tags: Predictions, tmp_path: Path) -> None:
        tags.to_csv(tmp_path / "submission.csv")
        assert (tmp_path / "submission.csv").read_text().splitlines() == [
            "image_name,tags",
            "file_1,cloud road",
            "file_2,",
        ]

    def test_csv_may_have_other_headers_and_whole_names(self, tags: Predictions, tmp_path: Path) -> None:
        tags.to_csv(tmp_path / "x.csv", name="file", label="prediction", suffix=True)
        with (tmp_path / "x.csv").open(newline="") as file:
            assert [row["file"] for row in csv.DictReader(file)] == ["file_1.jpg", "file_2.jpg"]

    def test_csv_holds_one_class_an_item(self, tmp_path: Path) -> None:
        predictions = predictions_table(["x.png"], torch.tensor([[0.1, 0.9]]), Category(("cat", "dog")))
        predictions.to_csv(tmp_path / "x.csv", label="label")
        assert (tmp_path / "x.csv").read_text().splitlines() == ["image_name,label", "x,dog"]

    def test_mistakes_are_those_whose_tags_differ_in_whatever_order(self, tags: Predictions) -> None:
        assert tags.mistakes().table["item"].to_pylist() == ["a/file_1.jpg", "file_2.jpg"]
        swapped = predictions_table(
            ["x", "y"], torch.tensor([[0.9, 0.6, 0.1]] * 2), TAGS, labels=[["road", "cloud"], ["road"]]
        )
        assert swapped.mistakes().table["item"].to_pylist() == ["y"]

    def test_of_numbers_all_are_mistakes_and_without_labels_none_are_known(self) -> None:
        numbers = predictions_table(["x"], torch.tensor([[0.1]]), Numbers(("age",), (0.0,), (1.0,)), labels=[[0.1]])
        assert len(numbers.mistakes()) == 1
        unlabelled = predictions_table(["x"], torch.tensor([[0.1, 0.9]]), Category(("cat", "dog")))
        with pytest.raises(DataError, match=r"no labels\.[\s\S]*use the validation items"):
            unlabelled.mistakes()

    def test_worst_comes_first(self, tags: Predictions) -> None:
        assert tags.worst(1)["item"].to_pylist() == ["file_2.jpg"]
        assert tags.worst()["loss"].to_pylist() == [2.5, 0.5]

    def test_without_labels_there_is_no_worst(self) -> None:
        predictions = predictions_table(["x"], torch.tensor([[1.0, 0.0]]), Category(("a", "b")))
        with pytest.raises(DataError, match=r"These items have no labels\.\nExpected labelled items"):
            predictions.worst()


def test_what_has_no_classes_has_no_probabilities() -> None:
    boxes = predictions_table(["x"], [torch.zeros(0, 4)], Boxes())
    with pytest.raises(DataError) as error:
        _ = boxes.probabilities
    assert str(error.value) == (
        "Predictions of toy_boxes are no probabilities.\nExpected categories or tags.\nFix: use table."
    )


def test_a_table_without_rows_is_written_with_its_headers(tmp_path: Path) -> None:
    for target, headers in ((TAGS, "image_name,tags"), (Boxes(), "image_name,label")):
        concatenate([], target).to_csv(tmp_path / "empty.csv")
        assert (tmp_path / "empty.csv").read_text() == f"{headers}\n"


def test_the_worst_mistakes_are_mistakes(tmp_path: Path) -> None:
    """Seen: right answers among them, where there are fewer mistakes than pictures."""
    classes = Category(("a", "b"))
    probabilities = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    losses = torch.tensor([0.1, 0.9, 0.4])
    found = predictions_table(["1", "2", "3"], probabilities, classes, labels=["a", "b", "b"], losses=losses)
    assert found.worst(mistakes=True)["item"].to_pylist() == ["2"]
    assert found.worst()["item"].to_pylist() == ["2", "3", "1"]
    labels = [["road", "cloud"], [], ["water"]]
    tags = torch.tensor([[0.9, 0.8, 0.1], [0.2, 0.3, 0.4], [0.1, 0.2, 0.3]])
    several = predictions_table(["1", "2", "3"], tags, TAGS, labels=labels, losses=losses)
    assert several.worst(mistakes=True)["item"].to_pylist() == ["3"]
