"""Whatever users write for a metric becomes one, or is refused with what would have been right."""

from __future__ import annotations

import functools
import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import onecycle.metrics as metrics
from onecycle import registry
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.plain import TensorTarget
from onecycle.errors import ModelError
from onecycle.metrics import CountMeter, Metric, from_function, from_meter, resolve_metrics

CLASSES, TAGS = Category(("a", "b", "c")), MultiCategory(("x", "y", "z"))
PREDICTIONS, TARGETS = torch.tensor([[1.0], [4.0], [9.0]]), torch.tensor([[1.0], [2.0], [3.0]])


def target_of(kind: str) -> Any:
    return SimpleNamespace(kind=kind, classes=("a", "b", "c"), outputs=3, threshold=0.5, default_metrics=())


def names(*chosen: Any, target: Any = CLASSES) -> list[str]:
    return [metric.name for metric in resolve_metrics(list(chosen), target)]


def value(metric: Metric) -> float:
    meter = metric.meter(target_of("mine"))
    for part in (slice(2), slice(2, None)):
        meter.update(PREDICTIONS[part], TARGETS[part])
    return float(meter.compute())


def middle_error(predictions: Tensor, targets: Tensor) -> Tensor:
    return (predictions - targets).median()


class TestWhatIsAccepted:
    def test_names_metrics_and_functions_that_make_them(self) -> None:
        mine = Metric("mine", metrics.accuracy().meter)
        assert names("f1", mine, metrics.accuracy, metrics.fbeta) == ["f1", "mine", "accuracy", "f1_2"]
        assert resolve_metrics([], TAGS) == ()

    def test_one_by_itself(self) -> None:
        for one in ("f1", metrics.f1, metrics.f1()):
            assert [metric.name for metric in resolve_metrics(one, CLASSES)] == ["f1"]

    def test_none_takes_the_targets_own(self) -> None:
        assert [metric.name for metric in resolve_metrics(None, CLASSES)] == ["accuracy"]
        assert [metric.name for metric in resolve_metrics(None, TAGS)] == ["f1"]

    def test_a_plain_function_is_called_once_with_the_whole_epoch(self) -> None:
        (metric,) = resolve_metrics(middle_error, CLASSES)
        assert metric.name == "middle_error"
        assert metric.higher_is_better
        assert value(metric) == 2  # the means of batches of two and one would give another number

    def test_it_may_return_a_number_of_any_kind(self) -> None:
        from sklearn.metrics import mean_absolute_error

        for function in (lambda p, t: 2, lambda p, t: 2.0, lambda p, t: torch.tensor([2])):
            assert value(from_function(function)) == 2
        assert value(from_function(mean_absolute_error)) == pytest.approx(8 / 3)

    def test_ragged_predictions_are_lists(self) -> None:
        meter = from_function(lambda predictions, targets: len(predictions[0]) + len(targets)).meter(CLASSES)
        meter.update([torch.zeros(2, 4)], [torch.zeros(1, 4)])
        meter.update([torch.zeros(0, 4)], [torch.zeros(3, 4)])
        assert float(meter.compute()) == 4

    def test_its_name_is_the_functions_unless_another_is_given(self) -> None:
        partial = functools.partial(middle_error)
        assert names(middle_error, lambda p, t: 0, partial) == ["middle_error", "metric", "middle_error_2"]
        assert from_function(middle_error, "mine", higher_is_better=False).name == "mine"
        assert not from_function(middle_error, higher_is_better=False).higher_is_better

    def test_a_class_of_metrics_and_a_thing_like_a_metric(self) -> None:
        class Items:
            name = "items"
            higher_is_better = False

            def meter(self, target: Any) -> CountMeter:
                return CountMeter(lambda p, t: torch.tensor(len(t)), lambda count: count)

        for one in (Items, Items()):
            (metric,) = resolve_metrics([one], CLASSES)
            assert (metric.name, metric.higher_is_better, value(metric)) == ("items", False, 3)

    def test_a_subclass_of_metric(self) -> None:
        class Mine(Metric):
            def __init__(self) -> None:
                super().__init__("mine", metrics.accuracy().meter)

        assert names(Mine, Mine()) == ["mine", "mine_2"]

    def test_a_name_that_the_user_registered(self) -> None:
        registry.register("metric", "middle")(middle_error)
        assert names("middle") == ["middle"]
        assert metrics.middle is middle_error
        assert "middle" in dir(metrics)

    def test_a_meter_of_torchmetrics(self) -> None:
        from torchmetrics import MeanAbsoluteError

        for make in (MeanAbsoluteError, lambda: MeanAbsoluteError()):
            metric = from_meter(make, "mae", higher_is_better=False)
            assert value(metric) == value(metric) == pytest.approx((0 + 2 + 6) / 3)
            assert not metric.higher_is_better

    def test_those_of_one_name_get_names_of_their_own(self) -> None:
        assert names("f2", metrics.f2(threshold=0.2), metrics.fbeta(2)) == ["f2", "f2_2", "f2_3"]
        taken = Metric("f1_2", metrics.f1().meter)
        assert names("f1", "f1", taken) == ["f1", "f1_3", "f1_2"]


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("asked", "near"), [("acuracy", "accuracy"), ("f_2", "f2"), ("error-rate", "error_rate"), ("miou", "mean_iou")]
    )
    def test_an_unknown_name_with_a_suggestion(self, asked: str, near: str) -> None:
        with pytest.raises(ModelError, match=rf"Unknown metric '{asked}'[\s\S]*Did you mean '{near}'"):
            resolve_metrics([asked], CLASSES)

    @pytest.mark.parametrize("metric", [None, 3, CLASSES, dict], ids=str)
    def test_what_is_no_metric(self, metric: Any) -> None:
        with pytest.raises(
            ModelError,
            match=r"A metric is [\s\S]*\.\nExpected a name such as 'accuracy', a Metric such as metrics\.fbeta\(2\), "
            r"or a function of predictions and targets\.\nFix: pass one of these\.",
        ):
            resolve_metrics([metric], CLASSES)

    def test_a_function_that_needs_other_arguments(self) -> None:
        with pytest.raises(
            ModelError,
            match=r"The metric iou can be called neither without arguments nor with two\.\nExpected [\s\S]*\n"
            r"Fix: call it with its arguments, iou\(\.\.\.\), if that makes a metric\.",
        ):
            resolve_metrics([metrics.iou], CLASSES)

    def test_a_function_without_arguments_that_makes_no_metric(self) -> None:
        with pytest.raises(
            ModelError,
            match=r"The metric metric returned 3 \(int\) when called without arguments\.\nExpected [\s\S]*\n"
            r"Fix: let it take two arguments and return a number\.",
        ):
            resolve_metrics([lambda: 3], CLASSES)

    def test_a_meter_without_a_name(self) -> None:
        from torchmetrics import MeanAbsoluteError

        for meter in (MeanAbsoluteError(), MeanAbsoluteError):
            for given in (meter, [meter]):
                with pytest.raises(
                    ModelError,
                    match=r"A metric is [\s\S]*, which counts but has no name\.\nExpected a name, a Metric, or a "
                    r'function\.\nFix: write metrics\.from_meter\(lambda: \.\.\., "name"\), with the meter',
                ):
                    resolve_metrics(given, CLASSES)

    def test_a_meter_where_a_function_makes_one(self) -> None:
        from torchmetrics import MeanAbsoluteError

        with pytest.raises(
            ModelError,
            match=r"from_meter got [\s\S]*\.\nExpected a class, or a function that makes a fresh meter\.\n"
            r"Fix: write from_meter\(lambda: \.\.\., name\), with the meter in place of the dots\.",
        ):
            from_meter(MeanAbsoluteError(), "mae")

    def test_what_is_no_meter(self) -> None:
        with pytest.raises(
            ModelError,
            match=r"The meter of 'mine' is 3 \(int\)\.\nExpected an object with update\(predictions, targets\) and "
            r"compute\(\)\.\nFix: return such an object from the function that is given to from_meter\.",
        ):
            resolve_metrics([from_meter(lambda: 3, "mine")], CLASSES)

    @pytest.mark.parametrize(
        ("found", "received"),
        [(None, "None (NoneType)"), (torch.zeros(2), "a tensor of shape (2,)"), ("good", "'good' (str)")],
    )
    def test_a_function_that_returns_no_number(self, found: Any, received: str) -> None:
        with pytest.raises(
            ModelError,
            match=re.escape(
                f"The metric 'mine' returned {received}.\nExpected a single number: a float, or a tensor with one "
                "element.\nFix: return one number, such as the mean; several values are several metrics."
            ),
        ):
            value(from_function(lambda p, t: found, "mine"))


FITTING = {
    "category": ("accuracy", "auroc", "average_precision", "error_rate", "f1", "f2", "top_5"),
    "multi_category": ("accuracy", "auroc", "average_precision", "error_rate", "f1", "f2"),
    "mask": ("dice", "mean_iou", "pixel_accuracy"),
    "numbers": ("mae", "r2", "rmse"),
    "points": ("nme", "pixel_error"),
    "next_token": ("perplexity", "token_accuracy"),
    "masked_token": ("perplexity", "token_accuracy"),
}


class TestWhatFits:
    def test_every_built_in_metric_and_target_is_tested_here(self) -> None:
        assert {name for fitting in FITTING.values() for name in fitting} == set(registry.BUILT_IN["metric"])
        assert set(FITTING) == set(registry.BUILT_IN["target"]) - {"tensor"}

    def test_no_metric_is_refused_for_plain_tensors(self) -> None:
        assert resolve_metrics("accuracy", TensorTarget())[0].name == "accuracy"

    @pytest.mark.parametrize("kind", FITTING)
    @pytest.mark.parametrize("name", registry.BUILT_IN["metric"])
    def test_a_metric_fits_its_targets_and_is_refused_for_others(self, name: str, kind: str) -> None:
        if name in FITTING[kind]:
            (metric,) = resolve_metrics(name, target_of(kind))
            assert metric.name == name
            return
        with pytest.raises(
            ModelError,
            match=rf"{name} does not fit a target of kind '{kind}'\.\nExpected a metric that fits it: "
            rf"{', '.join(FITTING[kind])}\.\nFix: use for example '{FITTING[kind][0]}'\.",
        ):
            resolve_metrics(name, target_of(kind))

    def test_the_targets_own_metrics_are_named_first(self) -> None:
        with pytest.raises(ModelError, match=r"fits it: f1, accuracy, [\s\S]*Fix: use for example 'f1'\."):
            resolve_metrics("mae", TAGS)

    @pytest.mark.parametrize(
        "metric", [metrics.fbeta(2, average="micro"), metrics.top_k(3), metrics.iou("a")], ids=lambda m: m.name
    )
    def test_those_with_arguments_are_refused_too(self, metric: Metric) -> None:
        with pytest.raises(ModelError, match=rf"{metric.name} does not fit a target of kind 'points'"):
            resolve_metrics(metric, target_of("points"))

    @pytest.mark.parametrize("name", registry.BUILT_IN["metric"])
    def test_a_kind_of_target_that_is_the_users_own_takes_what_suits_it(self, name: str) -> None:
        assert names(name, target=target_of("boxes")) == [name]


class TestTheModule:
    def test_every_public_name_is_there(self) -> None:
        assert [name for name in metrics.__all__ if not hasattr(metrics, name)] == []
        assert set(registry.BUILT_IN["metric"]) - {"top_5"} <= set(metrics.__all__) <= set(dir(metrics))
        assert metrics.top_5 is metrics.top_k

    def test_a_name_that_is_not_there_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match=r"module 'onecycle\.metrics' has no attribute 'mean_ious'"):
            metrics.mean_ious  # noqa: B018

    def test_it_does_not_import_masks_points_and_tokens(self) -> None:
        import subprocess
        import sys

        code = (
            "import sys, onecycle.metrics\n"
            "assert not [name for name in sys.modules if name.startswith(('onecycle.vision.', 'onecycle.text.'))]\n"
            "onecycle.metrics.mean_iou; assert 'onecycle.vision.mask_metrics' in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
