from __future__ import annotations

import pickle

import pytest

from onecycle.cli.shell_words import in_shell_words, shell_advice
from onecycle.errors import DataError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pass missing='drop' to leave them out.", "pass --missing drop to leave them out."),
        ("check masks=.", "check --masks."),
        ("pass sizes=128.", "pass --sizes 128."),
        ("pass header=False: then", "pass --no-header: then"),
        ("pass on_bad_item='skip'.", "pass --on-bad-item skip."),
        ("pass delimiter=' '.", "pass --delimiter ' '."),
        ("masks='labels/{stem}_P.png'.", "--masks 'labels/{stem}_P.png'."),
        ("task='classify' or task='tag'.", "--task classify or --task tag."),
        ("pass values=[0, 255].", "pass --values 0,255."),
        ("pass sets=0.9, or scale=0.5", "pass --sets 0.9, or --scale 0.5"),
        ("pass items=, a list", "pass --items, a list"),
        ("write cache=None", "write cache=None"),
        ("sizes=(24, 32) for texts", "sizes=(24, 32) for texts"),
    ],
)
def test_options_are_written_as_one_types_them(text: str, words: str) -> None:
    assert in_shell_words(text) == words


def test_an_error_may_have_advice_of_its_own_for_the_shell() -> None:
    error = DataError("suffix='.jpg'.", "another.", "call f(x).", shell_fix="pass --suffix .png.")
    assert shell_advice(error) == "--suffix .jpg.\nExpected another.\nFix: pass --suffix .png."
    assert str(error) == "suffix='.jpg'.\nExpected another.\nFix: call f(x)."


def test_what_can_be_skipped_is_offered_where_one_trains() -> None:
    error = DataError("a.jpg is damaged.", "a complete image file.", "replace it.", can_skip=True)
    skipped = "Fix: replace it, or pass --on-bad-item skip to leave it out."
    assert str(error).endswith("Fix: replace it, or pass on_bad_item='skip' to leave it out.")
    assert shell_advice(error).endswith(skipped)
    assert shell_advice(error, is_training=False).endswith("Fix: replace it.")
    assert shell_advice(pickle.loads(pickle.dumps(error))).endswith(skipped)  # as workers send it
