from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from learners import photo_bunch, tag_bunch, tiny
from onecycle.inference import predictor
from onecycle.train import kept_outputs
from onecycle.train.learner import Learner


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """An entry for each pass of a model over items: whether it gave the body's outputs too."""
    counted: list[bool] = []
    run = predictor.run_model

    def counting(*given: Any, features: bool = False, **options: Any) -> Iterator[Any]:
        counted.append(features)
        return run(*given, features=features, **options)

    monkeypatch.setattr(predictor, "run_model", counting)
    return counted


@pytest.fixture
def learner(tagged: Path) -> Learner:
    return tiny(tag_bunch(tagged), metrics=["f1"])


def test_calibration_and_interpretation_look_at_the_items_once(learner: Learner, passes: list[bool]) -> None:
    learner.calibrate()
    assert passes == [True, True], "validation items, and training items to compare with"
    found = learner.interpret()
    assert len(passes) == 2
    learner.state.kept_outputs.forget()
    again = learner.interpret()
    assert len(passes) == 3
    assert found.scores == again.scores == learner.validate()
    assert torch.equal(found.probabilities, again.probabilities)
    assert torch.equal(found.evaluated.losses, again.evaluated.losses)


def test_a_threshold_that_is_set_later_counts(learner: Learner) -> None:
    before = learner.interpret().predicted
    learner.threshold = 0.01
    assert learner.interpret().predicted.sum() > before.sum()


def halve(learner: Learner) -> None:
    with torch.no_grad():
        next(iter(learner.model.parameters())).mul_(0.5)


def halve_data(learner: Learner) -> None:
    next(iter(learner.model.parameters())).data.mul_(0.5)


def others(learner: Learner) -> dict[str, Any]:
    return {name: tensor + 1 for name, tensor in learner.model.state_dict().items()}


CHANGES: dict[str, Callable[[Learner], Any]] = {
    "a weight": halve,
    "a fit": lambda learner: learner.fit(1, 1e-2),
    "a weight that PyTorch does not count as changed": halve_data,
    "weights that are loaded": lambda learner: learner.model.load_state_dict(others(learner)),
    "precision": lambda learner: learner.to_bf16(force=True),
    "size": lambda learner: setattr(learner, "data", learner.data.resize(24)),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_whatever_changes_outputs_makes_them_void(learner: Learner, passes: list[bool], change: str) -> None:
    learner.interpret()
    CHANGES[change](learner)
    passes.clear()
    learner.interpret()
    assert len(passes) == 1


def test_another_split_is_looked_at(learner: Learner, passes: list[bool]) -> None:
    learner.interpret()
    assert len(learner.interpret("train")) == 19
    assert len(passes) == 2


def test_without_features_calibration_needs_a_pass_of_its_own(learner: Learner, passes: list[bool]) -> None:
    learner.interpret()
    learner.calibrate()
    assert passes == [False, True, True]


def test_large_outputs_are_computed_again(photos: Path, passes: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_outputs, "MOST_BYTES", 10)
    learner = tiny(photo_bunch(photos))
    learner.interpret()
    learner.interpret()
    assert len(passes) == 2
    assert not learner.state.kept_outputs._outputs
