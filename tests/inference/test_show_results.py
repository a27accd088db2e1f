"""Pictures of items with their label and prediction."""

from __future__ import annotations

import pytest

from onecycle.figure import Picture
from onecycle.inference.show_results import spread_rows
from onecycle.train.learner import Learner


class TestPictures:
    @pytest.mark.parametrize("worst", [False, True])
    def test_results_show_label_and_prediction(self, learner: Learner, worst: bool) -> None:
        figure = learner.show_results(4, worst=worst)
        assert isinstance(figure, Picture)
        titles = [axes.get_title() for axes in figure.axes if axes.images]
        assert len(titles) == 4
        assert all("→" in title and "%" in title for title in titles)

    def test_the_worst_are_those_with_the_highest_loss(self, learner: Learner) -> None:
        table = learner.predict_all().worst(2)
        titles = [axes.get_title() for axes in learner.show_results(2, worst=True).axes]
        assert [title.splitlines()[0] for title in titles] == table["label"].to_pylist()

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
