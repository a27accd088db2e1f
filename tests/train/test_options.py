from __future__ import annotations

import dataclasses
import subprocess
import sys
from functools import partial
from typing import Any

import pytest
import torch

import onecycle as oc
from onecycle.errors import ModelError
from onecycle.train.options import TrainOptions, adamw

FIELDS = dataclasses.fields(TrainOptions)


class TestFields:
    @pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
    def test_each_has_a_help_text_of_whole_sentences(self, field: dataclasses.Field[Any]) -> None:
        text = field.metadata["help"]
        assert text[0].isupper() or text[0] == "`"
        assert text.endswith(".")

    @pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
    def test_the_docstring_lists_it_with_that_text(self, field: dataclasses.Field[Any]) -> None:
        listed = " ".join((TrainOptions.__doc__ or "").split())
        assert f"{field.name}: {field.metadata['help']}" in listed

    @pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
    def test_its_default_and_the_example_of_its_rule_are_valid(self, field: dataclasses.Field[Any]) -> None:
        TrainOptions(**{field.name: field.default})
        rule = field.metadata["rule"]
        if rule is not None and "(" not in rule.example:
            TrainOptions(**{field.name: eval(rule.example, {"torch": torch})})

    def test_options_cannot_be_changed(self) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            TrainOptions().clip = 1.0  # type: ignore[misc]

    def test_importing_them_imports_nothing_heavy(self) -> None:
        code = (
            "import sys, onecycle.train.options, onecycle.recipes.options\n"
            "print([name for name in ('torch', 'numpy', 'pyarrow', 'accelerate') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


class TestValues:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"accumulate": 0}, "accumulate=0.\nExpected a whole number of at least 1.\nFix: pass accumulate=2."),
            ({"accumulate": 1.5}, "accumulate=1.5.\nExpected a whole number of at least 1.\nFix: pass accumulate=2."),
            ({"accumulate": True}, "accumulate=True.\nExpected a whole number of at least 1.\nFix: pass accumulate=2."),
            ({"accumulate": None}, "accumulate=None.\nExpected a whole number of at least 1.\nFix: pass accumulate=2."),
            ({"ema": 1.0}, "ema=1.0.\nExpected a number between 0 and 1.\nFix: pass ema=0.99."),
            ({"ema": 0}, "ema=0.\nExpected a number between 0 and 1.\nFix: pass ema=0.99."),
            ({"clip": 0}, "clip=0.\nExpected a number above 0.\nFix: pass clip=1.0."),
            ({"clip": float("nan")}, "clip=nan.\nExpected a number above 0.\nFix: pass clip=1.0."),
            (
                {"label_smoothing": 1},
                "label_smoothing=1.\nExpected a number from 0 to below 1.\nFix: pass label_smoothing=0.1.",
            ),
            (
                {"weight_decay": -0.1},
                "weight_decay=-0.1.\nExpected a number of at least 0.\nFix: pass weight_decay=0.01.",
            ),
            (
                {"weight_decay": "0.1"},
                "weight_decay='0.1'.\nExpected a number of at least 0.\nFix: pass weight_decay=0.01.",
            ),
            (
                {"metrics": "accuracy"},
                "metrics='accuracy'.\nExpected a list of metrics.\nFix: pass metrics=[\"accuracy\"].",
            ),
            (
                {"callbacks": 5},
                'callbacks=5.\nExpected a list of callbacks.\nFix: pass callbacks=[KeepBest("accuracy")].',
            ),
        ],
        ids=lambda value: str(value) if isinstance(value, dict) else "",
    )
    def test_an_invalid_value_is_an_error(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ModelError) as caught:
            TrainOptions(**options)
        assert str(caught.value) == message

    def test_valid_values_are_kept(self) -> None:
        options = TrainOptions(accumulate=4, ema=0.9, clip=1, label_smoothing=0.0, weight_decay=0)
        assert (options.accumulate, options.ema, options.clip, options.weight_decay) == (4, 0.9, 1, 0)

    def test_the_default_optimizer_is_adamw(self) -> None:
        import torch

        parameter = torch.nn.Parameter(torch.zeros(1))
        optimizer = TrainOptions().optimizer([{"params": [parameter], "lr": 0.5}])
        assert TrainOptions().optimizer is adamw
        assert isinstance(optimizer, torch.optim.AdamW)
        assert optimizer.param_groups[0]["lr"] == 0.5


class TestFromKeywords:
    def test_known_names(self) -> None:
        assert TrainOptions.from_keywords("Learner", clip=2.0) == TrainOptions(clip=2.0)

    def test_an_old_name_is_accepted_with_a_warning(self) -> None:
        with pytest.warns(
            DeprecationWarning, match=r"^Learner\(keep_features=\) is deprecated, use cache_features=\.$"
        ):
            options = TrainOptions.from_keywords("Learner", keep_features=False)
        assert options == TrainOptions(cache_features=False)

    def test_an_old_name_beside_the_new_one_is_an_error(self) -> None:
        message = (
            r"^Learner\(\) got keep_features= and cache_features=, which are one option\.\n"
            r"Expected one of them\.\nFix: remove keep_features=, its old name\.$"
        )
        with pytest.raises(ModelError, match=message):
            TrainOptions.from_keywords("Learner", keep_features=False, cache_features=False)

    def test_values_are_checked(self) -> None:
        with pytest.raises(ModelError, match=r"^ema=2\."):
            TrainOptions.from_keywords("Learner", ema=2)

    def test_an_option_called_caller_is_unknown_like_any_other(self) -> None:
        with pytest.raises(ModelError, match=r"^Learner\(\) has no option caller="):
            TrainOptions.from_keywords("Learner", caller=1)


@pytest.mark.parametrize(
    "optimizer", ["sgd", torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1), partial(torch.optim.SGD, lr=1.0),
                  partial(torch.optim.AdamW, weight_decay=0.1)]
)  # fmt: skip
def test_an_optimizer_whose_rates_would_not_be_the_learners_is_refused(optimizer: Any) -> None:
    with pytest.raises(ModelError, match=r"without lr and weight_decay[\s\S]*optimizer=torch\.optim\.SGD"):
        TrainOptions(optimizer=optimizer)
    TrainOptions(optimizer=partial(torch.optim.SGD, momentum=0.9))


def test_a_mix_is_an_instance() -> None:
    with pytest.raises(ModelError, match=r"mix=[\s\S]*an instance[\s\S]*Mixup\(\)"):
        TrainOptions(mix=oc.Mixup)  # type: ignore[arg-type]
    TrainOptions(mix=oc.Mixup())


def test_label_smoothing_beside_a_loss_of_ones_own_is_refused() -> None:
    with pytest.raises(ModelError, match=r"label_smoothing=0\.1 with a loss=[\s\S]*CrossEntropy\(smoothing=0\.1\)"):
        TrainOptions(label_smoothing=0.1, loss=oc.losses.CrossEntropy())
    TrainOptions(loss=oc.losses.CrossEntropy(smoothing=0.1))
