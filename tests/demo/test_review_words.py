"""The vocabulary of generated reviews."""

import string

import pytest

from onecycle.demo import review_words as words

FIELDS = {"agree", "agree2", "oppose", "aspect", "aspect2", "kind", "no", "very", "name", "name2", "place", "time"}


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_positive_and_negative_words_are_as_many_and_disjoint() -> None:
    assert len(set(words.POSITIVE)) == len(set(words.NEGATIVE)) == len(words.POSITIVE)
    assert not set(words.POSITIVE) & set(words.NEGATIVE)


@pytest.mark.parametrize("form", ["DIRECT", "NEGATED", "CONTRASTING", "FACTS"])
def test_templates_use_known_fields_only(form: str) -> None:
    assert all(fields(template) <= FIELDS for template in getattr(words, form))


def test_each_form_contains_the_words_that_define_it() -> None:
    assert all("agree" in fields(template) and "oppose" not in fields(template) for template in words.DIRECT)
    assert all("oppose" in fields(template) and "agree" not in fields(template) for template in words.NEGATED)
    contrasting = [template for template in words.CONTRASTING if {"agree", "oppose"} <= fields(template)]
    assert len(contrasting) == len(words.CONTRASTING)
    assert not any({"agree", "oppose"} & fields(template) for template in words.FACTS)
