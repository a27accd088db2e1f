"""Frozen dataclasses as JSON and back."""

import json
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pytest

from onecycle.data.categories import Category
from onecycle.data.config import check_fields, fields_from_json, json_fields
from onecycle.errors import DataError


@dataclass(frozen=True)
class Part:
    size: tuple[int, int] = (2, 3)
    names: tuple[tuple[str, ...], ...] = (("a",), ())
    scale: float | None = None
    derived: int = field(default=0, init=False)
    kind: ClassVar[str] = "part"


def test_a_dataclass_comes_back_from_json_as_it_was() -> None:
    part = Part((4, 5), (("a", "b"), ("c",)), 0.5)
    config = json.loads(json.dumps({"kind": "part", **json_fields(part)}))
    assert config == {"kind": "part", "size": [4, 5], "names": [["a", "b"], ["c"]], "scale": 0.5}
    assert Part(**fields_from_json(config)) == part


def test_only_fields_that_the_constructor_takes_are_kept() -> None:
    assert "derived" not in json_fields(Part())


def test_what_is_no_dataclass_has_no_fields() -> None:
    class Plain:
        value: Any = 1

    assert json_fields(Plain()) == {}


@dataclass(frozen=True)
class Fields:
    names: tuple[str, ...] = ()
    pair: tuple[int, int] = (1, 2)
    share: float | None = 0.5
    mode: Literal["a", "b"] = "a"
    on: bool = True
    nested: tuple[tuple[int, str], ...] = ()
    part: Category | None = None
    anything: Any = None


@pytest.mark.parametrize(
    "fields",
    [
        {}, {"names": ("x", "y")}, {"share": None}, {"share": 1}, {"mode": "b"}, {"nested": ((1, "x"), (2, "y"))},
        {"part": Category(("cat",))}, {"anything": [1, "x"]},
    ],
)  # fmt: skip
def test_right(fields: dict[str, Any]) -> None:
    check_fields(Fields(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"names": "xy"}, {"names": (1,)}, {"names": ["x"]}, {"pair": (1,)}, {"pair": (1, 2.5)}, {"pair": (True, 2)},
        {"share": "1"}, {"share": math.nan}, {"share": math.inf}, {"share": True}, {"mode": "c"}, {"mode": []},
        {"on": 1}, {"nested": ((1, 2),)}, {"part": "cat"},
    ],
)  # fmt: skip
def test_wrong(fields: dict[str, Any]) -> None:
    (name,) = fields
    with pytest.raises(DataError, match=rf"Fields has {name}=[\s\S]*, with finite numbers\.\nFix: check {name}"):
        check_fields(Fields(**fields))


def test_what_is_no_dataclass_is_not_looked_at() -> None:
    check_fields(object())
