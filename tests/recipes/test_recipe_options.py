from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args

import pytest

from onecycle.cli.parsing import VALUE_TYPES
from onecycle.errors import DataError, ModelError
from onecycle.recipes.options import FineTuneOptions, Precision, Task, choices
from onecycle.recipes.task import TASK_DEFAULTS
from onecycle.train.options import TrainOptions

FIELDS = dataclasses.fields(FineTuneOptions)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_each_has_a_help_text_which_the_docstring_shows(field: dataclasses.Field[Any]) -> None:
    text = field.metadata["help"]
    assert text.endswith(".")
    assert f"{field.name}: {text}" in " ".join((FineTuneOptions.__doc__ or "").split())


def test_all_options_of_training_are_options_of_the_recipe() -> None:
    assert {field.name for field in dataclasses.fields(TrainOptions)} < {field.name for field in FIELDS}


def test_options_of_the_command_line_have_types_that_it_reads() -> None:
    plain = (int, float, bool, str, Path, type(None))
    for field in FIELDS:
        if field.metadata["shell"]:
            members = get_args(field.type) or (field.type,)
            assert field.type in VALUE_TYPES or choices(field.type) or set(members) <= set(plain), field.name


def test_every_task_has_defaults() -> None:
    assert {"auto", *TASK_DEFAULTS} == set(get_args(Task))


def test_choices_are_the_words_of_a_literal() -> None:
    assert choices(Precision) == choices(Precision | None) == ("fp32", "bf16", "fp16")
    assert choices(int | str) == choices(str) == choices(str | None) == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"task": "clasify"},
            "task='clasify'.\n"
            "Expected one of: auto, classify, tag, segment, points, numbers, text, sentiment.\n"
            "Fix: check the spelling. Did you mean 'classify'?",
        ),
        ({"task": None}, "task=None.\nExpected one of: auto, "),
        (
            {"precision": "fp61"},
            "precision='fp61'.\nExpected one of: fp32, bf16, fp16.\nFix: check the spelling. Did you mean 'fp16'?",
        ),
        ({"missing": "keep"}, "missing='keep'.\nExpected one of: raise, drop.\nFix: check the spelling."),
        ({"on_bad_item": "drop"}, "on_bad_item='drop'.\nExpected one of: raise, skip.\nFix: check the spelling."),
        ({"sizes": []}, "sizes= is empty.\nExpected at least one size.\nFix: pass sizes=[128]."),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_an_invalid_value_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        FineTuneOptions(**options)
    assert str(caught.value).startswith(message)


def test_values_for_training_are_checked_too() -> None:
    with pytest.raises(ModelError, match=r"^accumulate=0\."):
        FineTuneOptions(accumulate=0)


def test_the_old_name_of_freeze_to_is_accepted_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match=r"^fine_tune\(first_tuned=\) is deprecated, use freeze_to=\.$"):
        assert FineTuneOptions.from_keywords("fine_tune", first_tuned=0) == FineTuneOptions(freeze_to=0)
