"""What a target of the user's own has without a line: every default of the base class."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from onecycle.data.categories import Category, MultiCategory
from onecycle.data.numbers import Numbers
from onecycle.data.target import Target, same_label_configs, same_labels, show_captions
from onecycle.errors import DataError, ModelError
from onecycle.figure import grid


@dataclass(frozen=True)
class Sign(Target):
    """The smallest target there is."""

    scale: float = 1.0
    names: tuple[str, ...] = ("x",)
    kind = "toy_sign"

    def encode(self, label: Any) -> Tensor:
        return torch.tensor([float(label) * self.scale])


def test_a_target_needs_no_more_than_a_kind_and_encode() -> None:
    with pytest.raises(TypeError, match="abstract"):
        type("Empty", (Target,), {"kind": "empty"})()
    sign = Sign()
    assert (sign.classes, sign.outputs, sign.default_metrics, sign.mixable, sign.side_by_side) == (
        (),
        0,
        (),
        False,
        False,
    )
    assert sign.summary == "Sign"
    assert (Sign.label_type, Sign.contiguous) == (None, False)


def test_labels_are_stacked_and_predictions_are_the_outputs_in_float32() -> None:
    sign = Sign()
    encoded = sign.collate([sign.encode(1), sign.encode(-1)])
    assert encoded.tolist() == [[1.0], [-1.0]]
    outputs = sign.activate(torch.tensor([[0.5]], dtype=torch.bfloat16))
    assert (outputs.dtype, outputs.tolist()) == (torch.float32, [[0.5]])
    assert sign.activate([1, 2]) == [1, 2]
    assert sign.decode(outputs[0]) == [0.5]
    assert sign.decode("anything") == "anything"
    assert sign.to_probabilities(encoded) is encoded
    assert sign.metric_inputs(outputs, encoded, None) == (outputs, encoded)
    assert sign.scores(outputs[0]) == {}


def test_tables_and_captions_have_defaults() -> None:
    sign = Sign()
    assert sign.columns(None, [[0.5], [1.0]])["prediction"].to_pylist() == [[0.5], [1.0]]
    assert sign.caption([0.5]) == "[0.5]"
    assert sign.cells([0.5]) == {"label": "[0.5]"}


def test_a_label_and_a_prediction_are_drawn_as_a_title() -> None:
    figure, axes = grid(1, 1)
    one = next(axes)
    Sign().show(one, torch.tensor([1.0]), torch.tensor([0.5]))
    assert one.get_title() == "[1.0]\n→ [0.5]"
    Sign().show(one, None, torch.tensor([0.5]))
    assert one.get_title() == "→ [0.5]"
    Sign().legend(figure)
    show_captions(one, "a_b $", None, colour="red")
    assert (one.get_title(), one.title.get_color()) == ("a_b $", "red")


def test_without_a_loss_of_its_own_one_must_be_passed() -> None:
    with pytest.raises(ModelError) as error:
        Sign().loss()
    assert str(error.value) == (
        "Sign has no loss of its own.\nExpected a loss between the model's outputs and the encoded labels.\n"
        "Fix: pass loss= to the learner, or define loss() in the target."
    )


def test_what_has_no_classes_cannot_be_balanced() -> None:
    for balance in (Sign().item_weights, Sign().weighted):
        with pytest.raises(DataError, match=r"balance= does not fit toy_sign\.\nExpected a category or tags\.\nFix: l"):
            balance([1, 2])


def test_a_dataclass_comes_back_from_its_config() -> None:
    sign = Sign(2.0, ("a", "b"))
    config = json.loads(json.dumps(sign.to_config()))
    assert config == {"kind": "toy_sign", "scale": 2.0, "names": ["a", "b"]}
    assert Sign.from_config(config) == sign


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Category(("a", "b")), Category(("a", "b"), (1.0, 2.0)), True),
        (Category(("a", "b")), Category(("b", "a")), False),
        (MultiCategory(("a",), 0.3), MultiCategory(("a",), 0.7), True),
        (Category(("a",)), MultiCategory(("a",)), False),
        (Numbers(("a",), (0.0,), (1.0,)), Numbers(("a",), (0.0,), (2.0,)), False),
        (Sign(1.0), Sign(2.0), False),
    ],
)
def test_targets_are_the_same_where_they_encode_alike(one: Target, other: Target, same: bool) -> None:
    assert same_labels(one, other) == same
    assert same_label_configs(one.to_config(), other.to_config()) == same


@pytest.mark.parametrize(
    ("encoded", "what"),
    [([torch.zeros(2), torch.zeros(3)], r"shapes \(2,\), \(3,\)"), ([{"a": torch.zeros(1)}], "one is of type dict")],
)
def test_labels_that_cannot_be_stacked_are_refused(encoded: list[Any], what: str) -> None:
    with pytest.raises(ModelError, match=rf"encoded by Sign, cannot be stacked: {what}[\s\S]*define collate"):
        Sign().collate(encoded)
