"""The items that an exported file is compared on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import onecycle as oc
from learners import photo_bunch, plain_model, tiny
from onecycle.data.plain import Tensors
from onecycle.errors import ModelError
from onecycle.ship.exports import check_items
from onecycle.ship.exports.check_items import drawn_items, items_given, items_of_learner
from onecycle.text.texts import Texts
from onecycle.vision.images import Images


def test_a_learner_s_validation_items_with_their_files(photos: Path) -> None:
    learner = tiny(photo_bunch(photos))
    items = items_of_learner(learner.state)
    dataset = learner.data.valid.dataset
    assert (items.what, len(items)) == ("validation items", 6)
    assert list(items.names) == [dataset.name(row) for row in range(6)]
    np.testing.assert_array_equal(items.inputs[2], dataset.modality.read(items.sources[2], training=False).input)


def test_few_of_many_are_spread(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = tiny(photo_bunch(photos))
    assert len(items_of_learner(learner.state, "train", 5)) == 5
    monkeypatch.setattr(check_items, "MOST_BYTES", 3 * 32 * 32 * 3)
    items = items_of_learner(learner.state)
    assert list(items.names) == [learner.data.valid.dataset.name(row) for row in (0, 2, 5)]


def test_plain_loaders_give_their_first_items() -> None:
    pixels, labels = torch.rand(10, 3, 8, 8), torch.arange(10) % 2
    loader = [(pixels[:4], labels[:4]), (pixels[4:8], labels[4:8]), (pixels[8:], labels[8:])]
    learner = oc.Learner.from_loaders(loader, loader, plain_model(2), loss=torch.nn.CrossEntropyLoss(), progress=False)
    items = items_of_learner(learner.state, count=6)
    torch.testing.assert_close(items.inputs, pixels[:6])
    assert (items.names, items.sources) == ([f"item {number}" for number in range(6)], ())


def test_given_files(photos: Path) -> None:
    items = items_given([photos / "red" / "red_0.jpg"], Images((16, 16)), oc.Category(("a", "b")))
    assert (items.what, items.inputs.shape) == ("given items", (1, 16, 16, 3))


def test_items_are_drawn_where_there_are_none() -> None:
    images = drawn_items(Images((16, 24)), 4)
    assert (images.inputs.shape, images.inputs.dtype) == ((4, 16, 24, 3), torch.uint8)
    assert images.inputs.float().std() > 20
    texts = drawn_items(Texts(oc.Tokenizer("all-MiniLM-L6-v2"), max_length=8), 5).inputs
    assert ((texts != 0).sum(1).tolist(), texts[:, 0].tolist()) == ([3, 4, 5, 6, 8], [101] * 5)
    with pytest.raises(
        ModelError, match=r"items of tensors cannot be drawn\.\nExpected some items\.\nFix: pass items="
    ):
        drawn_items(Tensors())
