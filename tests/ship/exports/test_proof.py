"""A file that predicts something else is refused, with the worst item named; each rule of the comparison by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import onecycle as oc
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.numbers import Numbers
from onecycle.errors import ModelError
from onecycle.ship.exports.check_items import CheckItems, drawn_items
from onecycle.ship.exports.proof import BATCH_SIZES, Proof, prove
from onecycle.ship.exports.served import ServedModel
from onecycle.text.texts import Texts
from onecycle.vision.images import Images
from onecycle.vision.masks import Mask

COLOURS = Category(("red", "green", "blue"))
IMAGES = drawn_items(Images((4, 4)), 60)


class Means(nn.Module):
    """Pixels to the mean of each colour."""

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.mean(dim=(2, 3)) / 10


class Planes(nn.Module):
    def forward(self, pixels: Tensor) -> Tensor:
        return pixels / 10


def served(target: Any, model: nn.Module | None = None) -> ServedModel:
    return ServedModel(model or Means(), Images((4, 4)), target)


def outputs(of: ServedModel, batch: Any) -> Any:
    with torch.no_grad():
        return of(torch.from_numpy(batch)).numpy().copy()


def test_a_proof_says_what_was_compared() -> None:
    seen: list[int] = []
    model = served(COLOURS)

    def run(batch: Any) -> Any:
        seen.append(len(batch))
        return outputs(model, batch)

    proof = prove(model, run, IMAGES, "x.onnx")
    assert sorted(set(seen)) == list(BATCH_SIZES)
    assert sum(seen) >= 60
    assert proof == Proof(60, "drawn items", 0.0, BATCH_SIZES)
    assert str(proof) == ("proved on 60 drawn items: same labels, largest difference 0 (batches of 1, 2, 3, 17, 33)")
    assert proof.to_config()["largest_difference"] == 0


def test_few_items_are_predicted_in_all_batch_sizes() -> None:
    seen: list[int] = []
    model, few = served(COLOURS), CheckItems("validation items", ["a", "b"], IMAGES.inputs[:2])

    def run(batch: Any) -> Any:
        seen.append(len(batch))
        return outputs(model, batch)

    assert prove(model, run, few, "x").items == 2
    assert seen == list(BATCH_SIZES)


@pytest.mark.parametrize(("target", "model"), [
    (COLOURS, Means()), (MultiCategory(("a", "b", "c"), 0.4), Means()), (Mask(("a", "b", "c"), (0, 1, 2)), Planes()),
])  # fmt: skip
def test_another_label_is_refused_even_within_the_tolerance(target: Any, model: nn.Module) -> None:
    """The 20th item has another label by a hair more than the margin; less than that is no other label."""
    true = served(target, model)
    item = true(IMAGES.inputs[20:21]).numpy()[0]

    def shifted(by: float) -> Any:
        def run(batch: Any) -> Any:
            found = outputs(true, batch)
            for row in np.flatnonzero([np.array_equal(one, item) for one in found]):
                if isinstance(target, MultiCategory):
                    found[row] += np.where(found[row] > 0.4, -by, by) * (np.abs(found[row] - 0.4).min() < 2)
                else:
                    flat = found[row].reshape(3, -1)
                    first, second = flat[:, 0].argsort()[::-1][:2]
                    flat[second, 0] = flat[first, 0] + by
            return found

        return run

    with pytest.raises(
        ModelError, match=r"x\.onnx was not written: it has another label for drawn item 20 \(probabilities differ by"
    ):
        prove(true, shifted(0.9 if isinstance(target, MultiCategory) else 1e-6), IMAGES, "x.onnx", tolerance=9)


def test_a_tie_may_be_broken_either_way() -> None:
    """In the model all three probabilities are equal but for a part in a million."""
    model = served(COLOURS, nn.Sequential(Means(), nn.Linear(3, 3)))
    nn.init.zeros_(model.model[1].weight)
    model.model[1].bias.data = torch.tensor([1e-6, 0.0, 0.0])
    proof = prove(model, lambda batch: outputs(model, batch)[:, ::-1], IMAGES, "x")
    assert 0 < proof.difference < 1e-5


@pytest.mark.parametrize(("target", "change", "difference"), [
    (COLOURS, lambda y: y * 0.99 + 0.01 / 3, "0.00"), (oc.Points(("a",)), lambda y: y * np.nan, "inf"),
    (Numbers(("a", "b", "c"), (5.0,) * 3, (10.0,) * 3), lambda y: y + 0.02, "0.002"),
    (oc.Points(("a",)), lambda y: y + 0.002, "0.002"),
])  # fmt: skip
def test_predictions_that_differ_are_refused_with_the_worst_item(target: Any, change: Any, difference: str) -> None:
    model = served(target, nn.Sequential(Means(), nn.Linear(3, target.outputs)))
    with pytest.raises(
        ModelError,
        match=rf"x was not written: its prediction for drawn item \d+ differs by {difference}.*\n"
        r"Expected the model's labels on all drawn items, and predictions within 0\.001\.\nFix: export a bundle",
    ):
        prove(model, lambda batch: change(outputs(model, batch)), IMAGES, "x")


def test_numbers_are_compared_in_standard_deviations() -> None:
    model = served(Numbers(("a", "b", "c"), (5.0,) * 3, (10.0,) * 3))
    assert prove(model, lambda batch: outputs(model, batch) + 0.005, IMAGES, "x").difference == pytest.approx(5e-4, 0.1)


def test_a_file_for_one_batch_size_is_refused() -> None:
    model = served(COLOURS)

    def run(batch: Any) -> Any:
        if len(batch) != 1:
            raise RuntimeError(f"Got: {len(batch)} Expected: 1")
        return outputs(model, batch)

    with pytest.raises(ModelError, match=r"it does not compute a batch of shape \(2, 4, 4, 3\): RuntimeError: Got: 2"):
        prove(model, run, IMAGES, "x")
    with pytest.raises(ModelError, match=r"its predictions have the shape \(1, 3\), the model's \(2, 3\)"):
        prove(model, lambda batch: outputs(model, batch)[:1], IMAGES, "x")


def test_an_item_that_is_read_differently_is_refused() -> None:
    items = CheckItems("validation items", IMAGES.names, IMAGES.inputs, IMAGES.inputs.numpy())
    model = served(COLOURS)
    assert prove(model, lambda batch: outputs(model, batch), items, "x", read=lambda item: item).read == 32
    with pytest.raises(ModelError, match=r"x was not written: drawn item 0 is read differently without PyTorch\."):
        prove(model, lambda batch: outputs(model, batch), items, "x", read=lambda item: item[::-1])


def test_texts_are_predicted_at_lengths_around_the_window() -> None:
    class Windowed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Identity()
            self.body.window = 5  # type: ignore[assignment]

        def forward(self, token_ids: Tensor) -> Tensor:
            return token_ids.float().mean(1, keepdim=True) / torch.tensor([50.0, 100.0, 150.0])

    texts = Texts(oc.Tokenizer("all-MiniLM-L6-v2"), max_length=8)
    model, items = ServedModel(Windowed(), texts, COLOURS), drawn_items(texts, 6)
    assert prove(model, lambda batch: outputs(model, batch), items, "x").lengths == (1, 2, 4, 5, 6, 8, 11)

    def cut(batch: Any) -> Any:
        return outputs(model, batch[:, :9])

    with pytest.raises(ModelError, match=r"prediction for a text of (1 token beside one of 11|11 tokens)"):
        prove(model, cut, items, "x")


def test_in_fewer_bits_labels_may_differ_within_the_tolerance_and_the_fix_works() -> None:
    model = served(oc.Points(("a",)), nn.Sequential(Means(), nn.Linear(3, 2)))

    def run(batch: Any) -> Any:
        return outputs(model, batch) + 0.04

    with pytest.raises(
        ModelError, match=r"differs by 0\.04\.\n.*\nFix: leave precision='fp16' out, or .*tolerance=0\.3\."
    ):
        prove(model, run, IMAGES, "x", tolerance=0.03, precision="fp16")
    proof = prove(model, run, IMAGES, "x", tolerance=0.3, precision="fp16")
    assert (proof.margin, proof.precision) == (0.3, "fp16")
    assert str(proof).startswith("fp16, proved on 60 drawn items")


def test_the_tolerance_that_the_fix_names_allows_the_difference() -> None:
    model = served(oc.Points(("a",)), nn.Sequential(Means(), nn.Linear(3, 2)))
    with pytest.raises(ModelError, match=r"differs by 0\.42\.\n.*\nFix: .*, or allow more: tolerance=0\.84") as refused:
        prove(model, lambda batch: outputs(model, batch) + 0.42, IMAGES, "x", tolerance=0.03, precision="fp16")
    enough = float(refused.value.fix.split("tolerance=")[1].rstrip("."))
    prove(model, lambda batch: outputs(model, batch) + 0.42, IMAGES, "x", tolerance=enough, precision="fp16")
    with pytest.raises(ModelError, match=r"differs by inf\.\n.*\nFix: leave precision='fp16' out\.$"):
        prove(model, lambda batch: outputs(model, batch) * np.nan, IMAGES, "x", tolerance=0.03, precision="fp16")
