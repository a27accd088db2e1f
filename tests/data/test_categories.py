"""What is predicted: encoding and back, order of classes, losses and weights."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onecycle.data.categories import Category, MultiCategory, in_natural_order
from onecycle.data.target import Target, same_label_configs
from onecycle.errors import DataError, ModelError

names = st.lists(st.text("abc019 _é", min_size=1, max_size=4), min_size=2, max_size=8, unique=True).map(tuple)
few = settings(max_examples=50, deadline=None)

TARGETS: list[tuple[Target, list]] = [
    (Category(("a", "b", "c")), ["a", "a", "b", "c"]),
    (MultiCategory(("a", "b", "c")), [["a", "b"], ["a"], [], ["c"]]),
]
every_target = pytest.mark.parametrize(("target", "labels"), TARGETS, ids=["category", "multi_category"])


@few
@given(names, st.data())
def test_category_decodes_what_it_encodes(classes: tuple[str, ...], data: st.DataObject) -> None:
    target = Category(classes)
    label = data.draw(st.sampled_from(classes))
    encoded = target.encode(label)
    assert encoded.dtype == torch.int64
    assert target.decode(target.to_probabilities(encoded[None])[0]) == label


@few
@given(names, st.data())
def test_multi_category_decodes_what_it_encodes(classes: tuple[str, ...], data: st.DataObject) -> None:
    target = MultiCategory(classes)
    tags = data.draw(st.lists(st.sampled_from(classes), unique=True))
    encoded = target.encode(tags)
    assert encoded.dtype == torch.float32
    assert encoded.sum() == len(tags)
    assert target.decode(encoded) == tuple(tag for tag in classes if tag in tags)


@few
@given(st.sets(st.integers(0, 10_000), min_size=1))
def test_numbers_sort_as_numbers(numbers: set[int]) -> None:
    assert in_natural_order({str(number) for number in numbers}) == tuple(str(number) for number in sorted(numbers))
    assert in_natural_order({f"n{number}.x" for number in numbers}) == tuple(
        f"n{number}.x" for number in sorted(numbers)
    )


@few
@given(st.sets(st.text("ab012²", max_size=5)))
def test_any_names_have_one_order(texts: set[str]) -> None:
    ordered = in_natural_order(texts)
    assert sorted(ordered) == sorted(texts)
    assert in_natural_order(set(ordered)) == ordered


def test_mixed_names_sort_numbers_first() -> None:
    assert in_natural_order({"cat", "n10", "n9", "2"}) == ("2", "cat", "n9", "n10")


@every_target
def test_every_target_fulfils_the_protocol(target: Target, labels: list) -> None:
    assert isinstance(target, Target)
    assert target.outputs == len(target.classes)
    encoded = torch.stack([target.encode(label) for label in labels])
    softened = target.to_probabilities(encoded)
    assert softened.shape == (len(labels), target.outputs)
    outputs = torch.randn(len(labels), target.outputs, generator=torch.Generator().manual_seed(0))
    assert target.loss()(outputs, encoded).shape == ()
    torch.testing.assert_close(target.loss()(outputs, encoded), target.loss()(outputs, softened))
    probabilities = target.activate(outputs.half())
    assert probabilities.dtype == torch.float32
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert type(target).from_config(target.to_config()) == target
    assert same_label_configs(target.to_config(), target.to_config())


@every_target
def test_an_unknown_label_is_an_error(target: Target, labels: list) -> None:
    label = "d" if isinstance(target, Category) else ["a", "d"]
    with pytest.raises(
        DataError, match=r"The label 'd' is not one of the classes.\nExpected one of: a, b, c.\nFix: check"
    ):
        target.encode(label)


def test_the_threshold_decides_and_is_kept() -> None:
    target = MultiCategory(("a", "b"), threshold=0.2)
    assert target.decode(torch.tensor([0.3, 0.2])) == ("a",)
    assert MultiCategory.from_config(target.to_config()) == target
    assert same_label_configs(target.to_config(), replace(target, threshold=0.9).to_config())
    assert not same_label_configs(target.to_config(), replace(target, classes=("a", "c")).to_config())


def test_captions_read_well() -> None:
    assert Category(("a", "b")).caption("a") == "a"
    assert MultiCategory(("a", "b")).caption(["a", "b"]) == "a b"
    assert MultiCategory(("a", "b")).caption([]) == "–"


def test_cross_entropy_by_hand() -> None:
    """Two equal outputs: ln 2; smoothing by 0.2 of outputs (ln 3, 0): 0.9 * ln(4/3) + 0.1 * ln 4."""
    target = Category(("a", "b"))
    assert target.loss()(torch.zeros(1, 2), torch.tensor([0])).item() == pytest.approx(math.log(2))
    smooth = target.loss(smoothing=0.2)(torch.tensor([[math.log(3), 0.0]]), torch.tensor([0])).item()
    assert smooth == pytest.approx(0.9 * math.log(4 / 3) + 0.1 * math.log(4))


def test_tag_loss_by_hand() -> None:
    """Output ln 3 is probability 3/4; smoothing by 0.2 makes 1 into 0.9; weight 2 doubles what is present."""
    outputs, present = torch.tensor([[math.log(3)]]), torch.ones(1, 1)
    target = MultiCategory(("a",))
    assert target.loss()(outputs, present).item() == pytest.approx(math.log(4 / 3))
    smooth = target.loss(smoothing=0.2)(outputs, present).item()
    assert smooth == pytest.approx(0.9 * math.log(4 / 3) + 0.1 * math.log(4))
    weighted = MultiCategory(("a",), positive_weights=(2.0,)).loss()(outputs, present).item()
    assert weighted == pytest.approx(2 * math.log(4 / 3))


def test_category_weights_by_hand() -> None:
    target, labels = TARGETS[0]
    np.testing.assert_allclose(target.item_weights(labels), [1 / 2, 1 / 2, 1, 1])
    assert target.weighted(labels).class_weights == pytest.approx((4 / 3 / 2, 4 / 3, 4 / 3))
    assert np.mean([dict(zip("abc", target.weighted(labels).class_weights, strict=True))[x] for x in labels]) == 1
    assert target.class_weights is None, "the target itself stays as it was"


def test_a_class_without_items_keeps_a_finite_weight() -> None:
    assert all(math.isfinite(w) for w in Category(("a", "b", "c")).weighted(["a", "b"]).class_weights)
    assert MultiCategory(("a", "b")).weighted([["a"]] * 30).positive_weights == (0.05, 20.0)


def test_tag_weights_by_hand() -> None:
    target, labels = TARGETS[1]
    np.testing.assert_allclose(target.item_weights(labels), [1, 1 / 2, 1 / 4, 1])
    assert target.weighted(labels).positive_weights == pytest.approx((2 / 2, 3 / 1, 3 / 1))


def test_class_weights_balance_the_loss() -> None:
    """With inverse frequencies, a rare class counts as much as a common one: scikit-learn's "balanced" formula."""
    labels = ["a"] * 9 + ["b"]
    target = Category(("a", "b")).weighted(labels)
    assert target.class_weights == pytest.approx((10 / (2 * 9), 10 / (2 * 1)))
    assert target.loss().class_weights.tolist() == pytest.approx(target.class_weights)


@pytest.mark.parametrize("target", [Category(("a", "b", "c")), MultiCategory(("a", "b", "c"))])
@pytest.mark.parametrize("outputs", [torch.zeros(2, 4), torch.zeros(2), (torch.zeros(2, 3),), None])
def test_outputs_that_are_not_one_a_class_are_refused(target: Target, outputs: object) -> None:
    with pytest.raises(ModelError, match=r"for 3 classes\.\nExpected a tensor \(batch, 3\)[\s\S]*head 3 outputs"):
        target.activate(outputs)
    assert target.activate(torch.zeros(2, 3)).shape == (2, 3)
