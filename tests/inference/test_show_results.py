"""Pictures of items with their label and prediction."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onecycle.figure import Picture
from onecycle.inference.predictions import Predictions
from onecycle.inference.show_results import spread_rows
from onecycle.train.learner import Learner


class TestPictures:
    def test_results_show_label_and_prediction(self, learner: Learner) -> None:
        figure = learner.show_results(4)
        assert isinstance(figure, Picture)
        titles = [axes.get_title() for axes in figure.axes if axes.images]
        assert len(titles) == 4
        assert all("→" in title and "%" in title for title in titles)

    def test_names_and_losses_stand_below_the_items(self, learner: Learner) -> None:
        table = learner.predict_all().table.select(["item", "loss"]).to_pylist()
        figure = learner.show_results(12)
        below = [axes.texts[0].get_text() for axes in figure.axes if axes.images]
        assert below == [f"{row['item']}\nloss {row['loss']:.2f}" for row in table]
        assert figure.items == tuple(row["item"] for row in table)

    def test_the_worst_are_the_mistakes_with_the_highest_loss(self, learner: Learner) -> None:
        learner.model.head[-1].bias.data[0] += 50  # type: ignore[index, union-attr]  # one class is predicted for all
        try:
            predictions = learner.predict_all()
            figure = learner.show_results(12, worst=True)
        finally:
            learner.model.head[-1].bias.data[0] -= 50  # type: ignore[index, union-attr]
        wrong = [row for row in predictions.table.to_pylist() if row["label"] != row["prediction"]]
        assert 0 < len(wrong) < len(predictions)
        assert figure.items == tuple(row["item"] for row in sorted(wrong, key=lambda row: -row["loss"]))
        assert all(axes.title.get_color() == "tab:red" for axes in figure.axes if axes.images)

    def test_without_mistakes_it_says_so(self, learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Predictions, "mistakes", lambda self: replace(self, table=self.table.slice(0, 0)))
        assert learner.show_results(worst=True).axes[0].get_title().startswith("No mistakes: all 6 items")

    def test_right_predictions_are_green_and_wrong_ones_red(self, learner: Learner) -> None:
        for axes in learner.show_results(6).axes:
            if axes.images:
                label, prediction = axes.get_title().splitlines()
                assert (axes.title.get_color() == "tab:green") == (label in prediction)

    def test_results_of_tags_are_shown_and_more_than_there_are_is_all(self, tags: Learner) -> None:
        figure = tags.show_results(50)
        assert sum(bool(axes.images) for axes in figure.axes) == 5
        figure._repr_png_()


@pytest.mark.parametrize(
    ("count", "wanted", "rows"), [(10, 3, [0, 4, 9]), (3, 12, [0, 1, 2]), (1, 4, [0]), (0, 4, []), (100, 1, [0])]
)
def test_rows_are_spread_over_the_whole_set(count: int, wanted: int, rows: list[int]) -> None:
    assert list(spread_rows(count, wanted)) == rows
