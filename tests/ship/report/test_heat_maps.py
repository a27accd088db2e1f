from __future__ import annotations

import base64
import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learners import photo_bunch, plain_model, tiny
from onecycle.ship.report import heat_maps
from onecycle.ship.report.blocks import Card
from onecycle.ship.report.findings import HEATED, findings
from onecycle.ship.report.heat_maps import with_heat_maps
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def learner(photos: Path) -> Learner:
    return tiny(photo_bunch(photos))


@pytest.fixture(autouse=True)
def _however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat_maps, "SECONDS", math.inf)


def cards(learner: Learner, count: int = 3) -> list[Card]:
    dataset = learner.data.valid.dataset
    made = [Card(dataset.name(row), [], picture="data:image/webp;base64,") for row in range(count)]
    return with_heat_maps(learner.state, dataset, range(count), made)


def test_each_picture_has_a_map_of_its_size_beside_it(learner: Learner) -> None:
    for row, card in enumerate(cards(learner)):
        with Image.open(io.BytesIO(base64.b64decode(card.beside.partition(",")[2]))) as image:
            assert image.size == (32, 32)
            assert np.asarray(image).std() > 0
        predicted = learner.predict(learner.data.valid.dataset.item(row)).label
        assert card.beside_name == f"where it saw {predicted}"


def test_after_its_time_no_further_map_is_begun(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat_maps, "SECONDS", 0)
    dataset = learner.data.valid.dataset
    made = with_heat_maps(learner.state, dataset, [0, 1], [Card("a", [], "x"), Card("b", [], "y")])
    assert [bool(card.beside) for card in made] == [True, False]


def test_a_model_without_stages_has_none(photos: Path) -> None:
    learner = Learner(photo_bunch(photos), plain_model(), progress=False)
    assert not any(card.beside for card in cards(learner))


def test_the_worst_and_the_best_have_them(learner: Learner) -> None:
    found = learner.interpret("train")
    worst, best = findings(learner.state, found)[-1].blocks
    places = {"worst": found.places_by_loss(12), "best": found.places_by_loss(6, best=True)}
    assert [card.name for card in worst.cards] == [found.name(place) for place in places["worst"]]  # type: ignore[union-attr]
    assert sum(bool(card.beside) for card in worst.cards) == min(HEATED, len(places["worst"]))  # type: ignore[union-attr]
    assert sum(bool(card.beside) for card in best.cards) == min(HEATED // 2, len(places["best"]))  # type: ignore[union-attr]
    assert "where the model saw what it predicts" in worst.note  # type: ignore[union-attr]
