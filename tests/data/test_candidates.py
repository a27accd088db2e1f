from __future__ import annotations

import pytest

from onecycle.data.candidates import Candidate, choose
from onecycle.errors import DataError


def chosen(*scores: float) -> str:
    candidates = [Candidate(name, score, f"{score:.0%}") for name, score in zip("abcdef", scores, strict=False)]
    return choose("Which one?", candidates, expected="one.", option="which").name


def test_the_best_is_taken() -> None:
    assert chosen(0.2, 0.9, 0.5) == "b"


def test_of_two_that_fit_about_as_well_none_is_taken() -> None:
    message = (
        r"^Which one\? 'b' \(100%\), 'a' \(95%\) fit about as well\.\nExpected one\.\n"
        r"Fix: pass which='b' or which='a'\.$"
    )
    with pytest.raises(DataError, match=message):
        chosen(0.95, 1.0, 0.3)


def test_without_a_candidate_the_question_is_asked() -> None:
    with pytest.raises(DataError, match=r"^Which one\?\nExpected one\.\nFix: pass which=\.$"):
        chosen(0.0)
