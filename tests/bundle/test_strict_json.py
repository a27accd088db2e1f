"""JSON of strangers: bounded, and refused with a ValueError."""

from __future__ import annotations

import json

import pytest

from onecycle.bundle import strict_json
from onecycle.bundle.strict_json import count_values, parse_json


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"9" * 41, "a number of 41 digits"),
        (b'{"a": 1, "a": 2}', "a name twice"),
        (b"\xff", "can't decode"),
        ('{"a": 1}'.encode("utf-16"), "can't decode"),
        (b"[1, 2", "delimiter"),
    ],
)
def test_refused(text: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_json(text)


def test_too_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "MOST_VALUES", 5)
    assert parse_json(b"[1,2,3,4,5]") == [1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="more than 5 values"):
        parse_json(b"[1,2,3,4,5,6]")


@pytest.mark.parametrize("value", [[], {}, [1, [2, {}]], {"a": [None] * 3, "b": "x,y"}, 3, [[[]]]])
def test_no_fewer_values_are_counted_than_there_are(value: object) -> None:
    def count(one: object) -> int:
        inner = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        return 1 + sum(map(count, inner))

    text = json.dumps(value).encode()
    assert parse_json(text) == value
    assert count_values(text) >= count(value) - 1
