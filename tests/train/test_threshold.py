"""The threshold above which a tag is predicted, and the metrics that go with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import onecycle as oc
from learners import photo_bunch, plain_model, tag_bunch, tiny
from onecycle import metrics
from onecycle.errors import ModelError
from onecycle.train.export import training_card
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def tags(tagged: Path) -> Learner:
    learner = tiny(tag_bunch(tagged))
    learner.fit(2, 1e-2)
    return learner


class Script(nn.Module):
    """Returns the same probabilities for any inputs."""

    def __init__(self, probabilities: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("probabilities", probabilities)
        self.unused = nn.Linear(1, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.probabilities.logit()[: len(inputs)]


class TestThreshold:
    @pytest.fixture
    def scripted(self, tagged: Path) -> Learner:
        """Five validation items: a present tag has a probability of 0.3, an absent one 0.2."""
        bunch = tag_bunch(tagged)
        labels = bunch.valid.dataset.labels()
        assert labels is not None
        truth = torch.stack([bunch.target.encode(label) for label in labels])
        probabilities = truth * 0.3 + (1 - truth) * 0.2
        return Learner(bunch, Script(probabilities), metrics=["f2"], progress=False)

    def test_the_middle_of_the_best_thresholds_is_found_and_used(self, scripted: Learner) -> None:
        assert scripted.tune_threshold() == pytest.approx(0.25, abs=0.011)
        assert scripted.target.threshold == scripted.tune_threshold()  # type: ignore[attr-defined]
        assert scripted.validate()["f2"] == 1.0
        labels = scripted.predict_all().table.select(["label", "prediction"]).to_pylist()
        assert all(set(row["label"]) == set(row["prediction"]) for row in labels)

    def test_on_which_items_it_was_chosen_is_said_until_it_is_set(self, scripted: Learner, tmp_path: Path) -> None:
        scripted.tune_threshold()
        scripted.tune_threshold()
        note = "is the best for f2 on the 5 validation items: scores on them are a little too good"
        assert [note in one for one in scripted.history.notes] == [True]
        assert scripted.history.notes[0][:22] == f"the threshold of {scripted.threshold:.2f} "
        assert note in scripted.report(tmp_path / "report.html", explain=False).read_text()
        scripted.threshold = 0.3
        assert scripted.history.notes == []

    def test_the_metric_decides(self, scripted: Learner) -> None:
        # Present tags have 0.6, in the first item 0.3; absent ones 0.4. Recall needs the first item too.
        truth = scripted.model.probabilities > 0.25
        scripted.model.probabilities = torch.where(truth, 0.6, 0.4)  # type: ignore[assignment]
        scripted.model.probabilities[0, truth[0]] = 0.3  # type: ignore[index, operator]
        assert scripted.tune_threshold(metrics.fbeta(10)) < 0.3
        assert 0.4 <= scripted.tune_threshold(metrics.fbeta(0.1)) < 0.6

    def test_a_metric_that_is_better_when_lower_is_minimised(self, scripted: Learner) -> None:
        assert scripted.tune_threshold("error_rate") == pytest.approx(0.25, abs=0.011)

    def test_it_is_exported_with_the_model(
        self, tags: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tags.state, "data", tags.data.with_target(replace(tags.target, threshold=0.37)))
        model = oc.load_model(tags.export(tmp_path / "tags.onecycle"))
        assert model.target.threshold == 0.37  # type: ignore[attr-defined]

    def test_a_single_class_an_item_has_no_threshold(self, photos: Path) -> None:
        learner = Learner(photo_bunch(photos), plain_model(), progress=False)
        with pytest.raises(ModelError, match=r"Only tags have a threshold, and .*\nExpected a MultiCategory target"):
            learner.tune_threshold()

    def test_an_unknown_metric_is_refused(self, tags: Learner) -> None:
        with pytest.raises(ModelError, match=r"Unknown metric 'f3'"):
            tags.tune_threshold("f3")

    def test_the_record_and_the_card_have_the_metrics_at_the_tuned_threshold(self, tagged: Path) -> None:
        learner = tiny(tag_bunch(tagged), metrics=["f1", "accuracy"])
        learner.fit(2, 1e-2)
        before = learner.history[-1]
        learner.tune_threshold()
        values = learner.validate()
        card = training_card(learner.state)
        assert card["metrics"] == pytest.approx({name: values[name] for name in ("f1", "accuracy")})
        assert card["valid_loss"] == pytest.approx(values["valid_loss"], rel=1e-2)
        assert learner.history[-1] == before, "the history keeps what was measured in the epoch"

    def test_the_learner_its_data_and_its_predictions_have_one_threshold(self, scripted: Learner) -> None:
        tuned = scripted.tune_threshold()
        assert scripted.target.threshold == scripted.data.target.threshold == tuned  # type: ignore[attr-defined]
        assert scripted.predictor().target.threshold == tuned  # type: ignore[attr-defined]

    def test_without_an_epoch_there_is_no_record_to_change(self, scripted: Learner) -> None:
        scripted.tune_threshold()
        assert scripted.state.weights_record is None
