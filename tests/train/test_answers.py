from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import onecycle as oc
from learners import Break, photo_bunch, plain_model, tag_bunch, tiny
from onecycle.data.figure import Picture
from onecycle.errors import DataError, ModelError
from onecycle.train import metrics
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def learner(photos: Path) -> Learner:
    """With a test set and augmentation."""
    bunch = photo_bunch(photos, augment=oc.augment.default())
    labelled: Any = bunch.labelled.add_test(oc.ImageList.from_folder(photos / "red"))
    learner = tiny(labelled.databunch(8), metrics=["accuracy"])
    learner.fit(2, 1e-3)
    return learner


@pytest.fixture(scope="module")
def tags(tagged: Path) -> Learner:
    learner = tiny(tag_bunch(tagged))
    learner.fit(2, 1e-2)
    return learner


class TestPredictAll:
    def test_validation_items_come_with_labels_and_losses(self, learner: Learner) -> None:
        table = learner.predict_all("valid").table
        assert table.num_rows == 6
        labels, losses = table["label"].to_pylist(), table["loss"].to_pylist()
        assert labels == learner.data.valid.dataset.labels()
        own = [table[f"p({label})"][row].as_py() for row, label in enumerate(labels)]
        assert losses == pytest.approx((-np.log(own)).tolist(), rel=1e-4)
        assert np.mean(losses) == pytest.approx(learner.validate()["valid_loss"], rel=1e-4)

    def test_the_loss_of_tags_is_the_mean_over_tags(self, tags: Learner) -> None:
        answers = tags.predict_all("valid")
        truth = torch.stack([tags.target.encode(label) for label in answers.table["label"].to_pylist()])
        chance = torch.where(truth == 1, answers.probabilities, 1 - answers.probabilities)
        assert answers.table["loss"].to_pylist() == pytest.approx((-chance.log()).mean(1).tolist(), rel=1e-4)

    def test_training_items_come_once_each_in_order(self, learner: Learner) -> None:
        table = learner.predict_all("train").table
        assert table["item"].to_pylist() == learner.data.train.dataset.part.names()

    def test_test_items_come_without_labels(self, learner: Learner) -> None:
        table = learner.predict_all("test").table
        assert table.num_rows == 10
        assert not {"label", "loss"} & set(table.column_names)

    def test_new_items_are_answered_as_one_by_one(self, learner: Learner, photos: Path) -> None:
        answers = learner.predict_all(oc.ImageList.from_folder(photos / "blue"))
        first = learner.predict(photos / "blue" / answers.table["item"][0].as_py())
        assert answers.probabilities[0].tolist() == pytest.approx(list(first.probabilities.values()), abs=1e-5)

    def test_a_part_that_is_not_there_is_an_error(self, tags: Learner) -> None:
        for part in ("test", "vaild"):
            with pytest.raises(DataError, match=f"This bunch has no part '{part}'"):
                tags.predict_all(part)

    def test_it_repeats(self, learner: Learner) -> None:
        assert learner.predict_all("valid").table.equals(learner.predict_all("valid").table)


class TestTta:
    def test_half_the_weight_is_the_item_as_it_is_and_half_the_mean_of_its_views(self, learner: Learner) -> None:
        views = []
        for view in (1, 2, 3):
            with torch.no_grad():
                learner.model.eval()
                views.append(
                    torch.cat([learner.model(b.inputs).softmax(1) for b in learner.plain_batches("valid", view)])
                )
        expected = (learner.predict_all("valid").probabilities + sum(views) / 3) / 2
        torch.testing.assert_close(learner.tta("valid", views=3).probabilities, expected, rtol=1e-4, atol=1e-5)
        assert not torch.equal(views[0], views[1])

    def test_without_augmentation_it_changes_nothing(self, tags: Learner) -> None:
        torch.testing.assert_close(
            tags.tta(views=2).probabilities, tags.predict_all().probabilities, rtol=1e-4, atol=1e-5
        )

    def test_no_views_are_the_items_as_they_are(self, learner: Learner) -> None:
        assert torch.equal(learner.tta(views=0).probabilities, learner.predict_all().probabilities)

    def test_it_answers_for_new_items_too(self, learner: Learner, photos: Path) -> None:
        assert len(learner.tta(oc.ImageList.from_folder(photos / "blue"), views=1)) == 10


class Script(nn.Module):
    """Gives what it is told, whatever it is given."""

    def __init__(self, probabilities: torch.Tensor) -> None:
        super().__init__()
        self.probabilities = probabilities
        self.unused = nn.Linear(1, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.probabilities.logit()[: len(inputs)]


class TestThreshold:
    @pytest.fixture
    def scripted(self, tagged: Path) -> Learner:
        """Five validation items: a tag that is there has 0.30 or more, one that is not 0.20 or less."""
        bunch = tag_bunch(tagged)
        labels = bunch.valid.dataset.labels()
        assert labels is not None
        truth = torch.stack([bunch.target.encode(label) for label in labels])
        probabilities = truth * 0.3 + (1 - truth) * 0.2
        return Learner(bunch, Script(probabilities), metrics=["f2"], progress=False)

    def test_the_middle_of_the_best_is_found_and_kept(self, scripted: Learner) -> None:
        assert scripted.tune_threshold() == pytest.approx(0.25, abs=0.011)
        assert scripted.target.threshold == scripted.tune_threshold()  # type: ignore[attr-defined]
        assert scripted.validate()["f2"] == 1.0
        labels = scripted.predict_all().table.select(["label", "prediction"]).to_pylist()
        assert all(set(row["label"]) == set(row["prediction"]) for row in labels)

    def test_the_metric_decides(self, scripted: Learner) -> None:
        # What is there has 0.6, but in the first item 0.3; what is not has 0.4. Recall wants all, precision only those.
        truth = scripted.model.probabilities > 0.25
        scripted.model.probabilities = torch.where(truth, 0.6, 0.4)  # type: ignore[assignment]
        scripted.model.probabilities[0, truth[0]] = 0.3  # type: ignore[index, operator]
        assert scripted.tune_threshold(metrics.fbeta(10)) < 0.3
        assert 0.4 <= scripted.tune_threshold(metrics.fbeta(0.1)) < 0.6

    def test_a_metric_that_should_fall_is_tuned_the_other_way(self, scripted: Learner) -> None:
        assert scripted.tune_threshold("error_rate") == pytest.approx(0.25, abs=0.011)

    def test_it_travels_with_the_model(self, tags: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tags, "target", replace(tags.target, threshold=0.37))  # type: ignore[type-var]
        model = oc.load_model(tags.export(tmp_path / "tags.onecycle"))
        assert model.target.threshold == 0.37  # type: ignore[attr-defined]

    def test_one_class_an_item_has_no_threshold(self, learner: Learner) -> None:
        with pytest.raises(ModelError, match=r"Only tags have a threshold\.\nExpected a MultiCategory target"):
            learner.tune_threshold()

    def test_an_unknown_metric_is_refused(self, tags: Learner) -> None:
        with pytest.raises(ModelError, match=r"Unknown metric 'f3'"):
            tags.tune_threshold("f3")


class TestPictures:
    @pytest.mark.parametrize("worst", [False, True])
    def test_results_show_label_and_answer(self, learner: Learner, worst: bool) -> None:
        figure = learner.show_results(4, worst=worst)
        assert isinstance(figure, Picture)
        titles = [axes.get_title() for axes in figure.axes if axes.images]
        assert len(titles) == 4
        assert all("→" in title and "%" in title for title in titles)

    def test_the_worst_are_those_with_the_highest_loss(self, learner: Learner) -> None:
        table = learner.predict_all().worst(2)
        titles = [axes.get_title() for axes in learner.show_results(2, worst=True).axes]
        assert [title.splitlines()[0] for title in titles] == table["label"].to_pylist()

    def test_right_answers_are_green_and_wrong_ones_red(self, learner: Learner) -> None:
        for axes in learner.show_results(6).axes:
            if axes.images:
                label, answer = axes.get_title().splitlines()
                assert (axes.title.get_color() == "tab:green") == (label in answer)

    def test_results_of_tags_are_shown_and_more_than_there_are_is_all(self, tags: Learner) -> None:
        figure = tags.show_results(50)
        assert sum(bool(axes.images) for axes in figure.axes) == 5
        figure._repr_png_()


def test_answers_after_an_interruption_are_those_of_the_best(photos: Path) -> None:
    learner = Learner(photo_bunch(photos), plain_model(), callbacks=[oc.KeepBest(), Break(1, KeyboardInterrupt())], progress=False)  # fmt: skip  # noqa: E501
    with pytest.raises(KeyboardInterrupt):
        learner.fit(3, 1e-2)
    best = min(record.valid_loss for record in learner.history)
    assert learner.validate()["valid_loss"] == pytest.approx(best, rel=1e-5)
