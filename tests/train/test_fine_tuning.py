"""The stages of `fine_tune`: which layers learn in each, at which rates, sizes and for how many epochs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import pytest
import torch

from learners import Grouped, Record, photo_bunch, plain_model, tiny
from onecycle.data.batch import Reading
from onecycle.data.bunch import DataBunch
from onecycle.data.modality import Description, Modality
from onecycle.errors import ModelError
from onecycle.train.fine_tuning import Stage, stages_of, unfrozen_lrs
from onecycle.train.layer_groups import FineTuning
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def bunch(photos: Path) -> DataBunch:
    return photo_bunch(photos)


def grouped(**fine_tuning: Any) -> Grouped:
    model = Grouped()
    model.fine_tuning = FineTuning(**fine_tuning)
    return model


ASKED: dict[str, Any] = {"frozen_epochs": None, "freeze_to": None, "sizes": None}


class TestStages:
    @pytest.mark.parametrize(
        ("fine_tuning", "options", "epochs", "stages"),
        [
            ({}, {}, 3, [("frozen", 1, -1), ("main", 3, 0)]),
            ({"frozen_epochs": 2, "freeze_to": 1}, {}, 3, [("frozen", 2, -1), ("main", 3, 1)]),
            ({"frozen_epochs": 0}, {}, 3, [("main", 3, 0)]),
            ({"frozen_epochs": 0}, {"frozen_epochs": 4}, 3, [("frozen", 4, -1), ("main", 3, 0)]),
            ({}, {"frozen_epochs": 0, "freeze_to": 2}, 3, [("main", 3, 2)]),
            ({"freeze_to": 1}, {"freeze_to": 0}, 3, [("frozen", 1, -1), ("main", 3, 0)]),
            ({}, {}, 0, [("frozen", 1, -1)]),
            ({}, {"frozen_epochs": 0}, 0, []),
            ({"smaller_epochs": 1}, {}, 3, [("frozen", 1, -1), ("main", 3, 0)]),  # images of 32 pixels are small enough
        ],
    )
    def test_the_model_decides_what_the_arguments_leave_open(
        self, bunch: DataBunch, fine_tuning: Any, options: Any, epochs: int, stages: Any
    ) -> None:
        found = stages_of(bunch, grouped(**fine_tuning), epochs, **{**ASKED, **options})
        assert [(stage.kind, stage.epochs, stage.freeze_to) for stage in found] == stages

    def test_a_plain_model_has_no_head_to_train_alone(self, bunch: DataBunch) -> None:
        assert stages_of(bunch, plain_model(), 2, **ASKED) == [Stage("main", 2, 0)]

    def test_each_size_has_its_stages(self, bunch: DataBunch) -> None:
        found = stages_of(bunch, grouped(smaller_epochs=1), [1, 0], **{**ASKED, "sizes": [24, (32, 40)]})
        assert found == [
            Stage("frozen", 1, -1, 24), Stage("main", 1, 0, 24), Stage("frozen", 1, -1, (32, 40)),
        ]  # fmt: skip

    def test_the_main_stage_has_lower_rates_than_the_frozen_one(self) -> None:
        assert unfrozen_lrs(0.01) == slice(0.002 / 100, 0.002)
        assert unfrozen_lrs(None) == unfrozen_lrs(1e-2)


@dataclass(frozen=True)
class Waves(Modality):
    """Inputs that are neither images nor texts: `length` numbers of a wave."""

    length: int = 64
    kind = "waves"

    def read(self, item: Any, *, training: bool) -> Reading:
        return Reading(torch.linspace(0, len(str(item)), self.length))

    def smaller(self) -> Self | None:
        return replace(self, length=self.length // 2) if self.length > 32 else None

    def describe(self) -> Description:
        return Description("a wave", "no augmentation", f"{self.length} numbers")


class Wave(Grouped):
    """Takes the mean of a wave, whatever its length."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(inputs.mean(1, keepdim=True).repeat(1, 16))  # type: ignore[no-any-return]


class TestSmallerInputs:
    @pytest.fixture
    def waves(self, bunch: DataBunch) -> DataBunch:
        return DataBunch(replace(bunch.labelled, modality=Waves()), replace(bunch.options, cache=None, workers=0))

    @pytest.fixture
    def model(self) -> Wave:
        model = Wave()
        model.fine_tuning = FineTuning(frozen_epochs=0, smaller_epochs=2)
        return model

    def test_the_first_stage_trains_on_smaller_inputs_of_any_modality(self, waves: DataBunch, model: Wave) -> None:
        record = Record()
        learner = Learner(waves, model, callbacks=[record], progress=False)
        learner.fine_tune(1, 1e-3)
        lengths = [event.batch.inputs.shape[1] for name, event in record.log if name == "on_batch_end"]
        assert lengths == [32] * 6 + [64] * 3
        assert [epoch.trained_on for epoch in learner.history] == ["32 numbers"] * 2 + [""]
        shown = [epoch.cells()["inputs"] for epoch in learner.history]
        assert shown == ["32 numbers, validated on 64 numbers"] * 2 + ["64 numbers"]
        assert [stage for _, _, stage in learner.history.stages()] == [f"all, {shown[0]}", "all, 64 numbers"]
        assert [epoch.inputs for epoch in learner.history] == ["64 numbers"] * 3  # validated at the full length

    def test_the_data_is_as_before_after_an_interruption(self, waves: DataBunch, model: Wave) -> None:
        class Interrupt(Record):
            def on_batch_end(self, state: Any, event: Any) -> None:
                raise KeyboardInterrupt

        learner = Learner(waves, model, callbacks=[Interrupt()], progress=False)
        with pytest.raises(KeyboardInterrupt):
            learner.fine_tune(1, 1e-3)
        assert learner.data.train.dataset.modality == Waves()

    @pytest.mark.parametrize("options", [{"frozen_epochs": 1}, {"frozen_epochs": 0}])
    def test_it_is_left_out_where_the_first_stage_is_chosen(
        self, waves: DataBunch, model: Wave, options: dict[str, Any]
    ) -> None:
        assert "smaller" not in {stage.kind for stage in stages_of(waves, model, 1, **{**ASKED, **options})}


class TestFineTune:
    def test_it_trains_the_head_and_then_all_layers_at_a_lower_rate(self, bunch: DataBunch) -> None:
        learner = tiny(bunch)
        learner.fine_tune(2, 1e-2, frozen_epochs=1)
        assert [(record.stage, record.lr) for record in learner.history] == [
            ("head", 1e-2), ("all", pytest.approx(2e-3)), ("all", pytest.approx(2e-3)),
        ]  # fmt: skip

    def test_the_first_group_of_the_main_stage_is_the_models_or_the_users_choice(self, bunch: DataBunch) -> None:
        learner = tiny(bunch)
        learner.model.fine_tuning = FineTuning(freeze_to=1)  # type: ignore[assignment]
        learner.fine_tune(1, 1e-2)
        learner.fine_tune(1, 1e-2, freeze_to=0)
        assert [record.stage for record in learner.history] == ["head", "from group 1", "head", "all"]

    def test_without_epochs_of_the_main_stage_the_head_alone_is_trained(self, bunch: DataBunch) -> None:
        learner = tiny(bunch)
        learner.fine_tune(0, 1e-2, frozen_epochs=2)
        assert [record.stage for record in learner.history] == ["head", "head"]

    def test_progressive_resizing_runs_both_stages_at_each_size(self, bunch: DataBunch) -> None:
        learner = tiny(bunch)
        learner.fine_tune([1, 2], 1e-2, sizes=[24, 32])
        assert [(record.inputs, record.stage) for record in learner.history] == [
            ("24x24 pixels", "head"), ("24x24 pixels", "all"),
            ("32x32 pixels", "head"), ("32x32 pixels", "all"), ("32x32 pixels", "all"),
        ]  # fmt: skip

    def test_a_slice_is_used_in_both_stages(self, bunch: DataBunch) -> None:
        learner = tiny(bunch)
        learner.fine_tune(1, slice(1e-5, 1e-3))
        assert [record.lr for record in learner.history] == [1e-3, 1e-3]

    def test_auto_finds_the_rates_of_both_stages(self, bunch: DataBunch) -> None:
        learner = tiny(bunch)
        learner.fine_tune(1)
        assert learner.lr_finder_results
        assert len(learner.history) == 2

    @pytest.mark.parametrize(("epochs", "sizes"), [([1, 2], [32]), ([1], [24, 32]), ([1, 2], None)])
    def test_epochs_and_sizes_must_match(self, bunch: DataBunch, epochs: Any, sizes: Any) -> None:
        with pytest.raises(ModelError, match=r"epochs=\[.*\nExpected an epoch count for each size"):
            tiny(bunch).fine_tune(epochs, 1e-3, sizes=sizes)

    @pytest.mark.parametrize("lr", [1e-3, slice(1e-4, 1e-3), "auto"])
    def test_a_model_without_a_frozen_stage_trains_all_layers_at_once(self, bunch: DataBunch, lr: Any) -> None:
        learner = tiny(bunch)
        learner.model.fine_tuning = FineTuning(frozen_epochs=0)  # type: ignore[assignment]
        learner.fine_tune(1, lr)
        assert [record.stage for record in learner.history] == ["all"]
        learner.fine_tune(1, 1e-3, frozen_epochs=1)
        assert [record.stage for record in learner.history] == ["all", "head", "all"]

    def test_the_old_name_of_freeze_to_is_accepted_with_a_warning(self, bunch: DataBunch) -> None:
        learner = tiny(bunch)
        with pytest.warns(
            DeprecationWarning, match=r"Learner\.fine_tune\(first_tuned=\) is deprecated, use freeze_to=\."
        ):
            learner.fine_tune(1, 1e-3, first_tuned=1)  # type: ignore[call-arg]
        assert [record.stage for record in learner.history] == ["head", "from group 1"]
