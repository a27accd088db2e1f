from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import onecycle as oc
from onecycle.errors import ModelError
from onecycle.foreign_names import PLACES
from onecycle.recipes.options import FineTuneOptions
from onecycle.train.options import TrainOptions


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("wd", "use weight_decay= instead of wd=."),
        ("opt_func", "use optimizer= instead of opt_func=."),
        ("loss_func", "use loss= instead of loss_func=."),
        ("criterion", "use loss= instead of criterion=."),
        ("cbs", "use callbacks= instead of cbs=."),
        ("gradient_accumulation_steps", "use accumulate= instead of gradient_accumulation_steps=."),
        ("bs", "pass batch_size= to databunch()."),
        ("batch_size", "pass batch_size= to databunch()."),
        ("num_workers", "pass workers= to databunch()."),
        ("moms", "pass schedule=OneCycle(momentum_high=0.95, momentum_low=0.85) to fit_one_cycle()."),
        ("pct_start", "pass schedule=OneCycle(warmup=0.3) to fit_one_cycle()."),
        ("drop_mult", "pass dropout= to vision_learner() or text_learner()."),
        ("learning_rate", "pass lr= to fit() or fine_tune()."),
        ("epochs", "pass epochs= to fit() or fine_tune()."),
        ("size", "pass size= to transform()."),
        ("mixed_precision", "call learner.to_bf16() instead."),
        ("weigth_decay", "check the spelling of weigth_decay= (did you mean weight_decay=?)."),
        ("corrections", "call corrected(...) on the list of items instead."),
        ("zzz", "remove zzz=."),
    ],
)
def test_an_unknown_name_is_an_error_that_says_what_to_write(name: str, fix: str) -> None:
    with pytest.raises(ModelError) as caught:
        TrainOptions.from_keywords("vision_learner", **{name: 1})
    what, expected, last = str(caught.value).split("\n")
    assert what == f"vision_learner() has no option {name}=."
    assert expected.startswith("Expected one of: accelerator, accumulate, cache_features, ")
    assert last == f"Fix: {fix}"


def test_all_unknown_names_are_reported_together() -> None:
    with pytest.raises(ModelError) as caught:
        TrainOptions.from_keywords("Learner", bs=64, wd=0.1)
    assert caught.value.what == "Learner() has no options bs=, wd=."
    assert caught.value.fix == "pass batch_size= to databunch(); use weight_decay= instead of wd=."


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("bs", "use batch_size= instead of bs=."),
        ("size", "use sizes= instead of size=."),
        ("arch", "use backbone= instead of arch=."),
        ("learning_rate", "use lr= instead of learning_rate=."),
        ("fp16", "use precision= instead of fp16=."),
        ("valid_pct", "use valid= instead of valid_pct=."),
        ("colum", "check the spelling of colum= (did you mean column=?)."),
    ],
)
def test_a_recipe_has_options_of_all_calls(name: str, fix: str) -> None:
    with pytest.raises(ModelError) as caught:
        FineTuneOptions.from_keywords("fine_tune", **{name: 1})
    assert caught.value.what == f"fine_tune() has no option {name}=."
    assert caught.value.fix == fix


def test_what_is_for_the_learner_is_one_of_its_options() -> None:
    known = {field.name for field in dataclasses.fields(TrainOptions)}
    assert {ours for ours, place in PLACES.values() if place == "Learner()"} <= known


@pytest.mark.parametrize("make", [oc.vision_learner, oc.unet_learner, oc.text_learner, oc.language_model_learner])
def test_a_typo_is_told_by_the_function_that_was_called(make: Any) -> None:
    """Seen: Learner() has no option pretraind=, remove it."""
    with pytest.raises(ModelError) as caught:
        make(None, pretraind=False)
    assert caught.value.what == f"{make.__name__}() has no option pretraind=."
    assert "pretrained=" in caught.value.fix
    with pytest.raises(ModelError, match=r"did you mean metrics=\?"):
        make(None, metricks=["accuracy"])
