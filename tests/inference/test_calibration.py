"""Sets of classes cover what they say, unfamiliar inputs are found, and what a file says is not trusted."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from onecycle.errors import DataError, ModelError
from onecycle.inference.calibration import Calibration, Familiarity, coverage_range, few_for_sets, fewest_for_sets


def exchangeable(seed: int, count: int = 800) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities of an overconfident model, and the true classes."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, 5, generator=generator) * 2
    truth = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return (logits * 3).softmax(1), truth


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_have_the_right_class_as_often_as_they_say(coverage: float) -> None:
    found = []
    for seed in range(20):
        probabilities, truth = exchangeable(seed)
        scores = 1 - probabilities.gather(1, truth[:, None])[:, 0]
        sets = Calibration(scores[:400].sort().values).sets(probabilities[400:], coverage)
        assert bool(sets.gather(1, probabilities[400:].argmax(1, keepdim=True)).all()), "the likeliest is in it"
        found.append(float(sets.gather(1, truth[400:, None]).double().mean()))
    assert sum(found) / len(found) == pytest.approx(coverage, abs=0.02)


def test_too_few_items_give_all_classes_and_say_so() -> None:
    sets = Calibration(torch.tensor([0.1, 0.2])).sets(torch.tensor([[0.98, 0.01, 0.01]]), 0.9)
    assert sets.tolist() == [[True, True, True]]
    assert few_for_sets(400, 0.9) is None
    assert few_for_sets(100, 0.9) == (
        "Sets of classes come from 100 held-back items, fewer than 400: those for 90% have the right class in 84% to "
        "96% of all cases."
    )
    assert coverage_range(10, 0.99)[1] == 1.0


@pytest.mark.parametrize("wrong", [0, 1, 90, -0.1, "0.9", True])
def test_a_coverage_that_is_no_share_is_refused(wrong: Any) -> None:
    with pytest.raises(DataError, match=r"sets=.*\nExpected the share .*\nFix: pass sets=0\.9"):
        Calibration(torch.zeros(1)).sets(torch.zeros(1, 2), wrong)


def test_sets_need_held_back_items() -> None:
    with pytest.raises(ModelError, match=r"no held-back items.*\n.*\n.*learner\.calibrate\(\)"):
        Calibration().sets(torch.zeros(1, 2), 0.9)


def test_what_lies_elsewhere_is_unfamiliar() -> None:
    generator = torch.Generator().manual_seed(0)
    inside = torch.randn(300, 16, generator=generator) * 0.1 + 1
    outside = torch.randn(50, 16, generator=generator)
    known = Familiarity.of(inside[:200], inside[200:])
    assert float((known.unfamiliarity(inside[200:]) > known.threshold).double().mean()) == pytest.approx(0.05, abs=0.01)
    assert bool((known.unfamiliarity(outside) > known.threshold).all())
    cosines = torch.nn.functional.cosine_similarity(outside[:1], inside[:200])
    assert float(known.unfamiliarity(outside[:1])) == pytest.approx(1 - float(cosines.topk(5).values.mean()), abs=1e-3)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_fewer_items_than_are_needed_give_sets_of_all_classes(coverage: float) -> None:
    needed, likely = fewest_for_sets(coverage), torch.tensor([[0.98, 0.02]])
    enough = Calibration(torch.linspace(0.1, 0.5, needed))
    assert enough.sets(likely, coverage).tolist() == [[True, False]]
    assert "in " in str(few_for_sets(needed, coverage))
    if needed > 1:
        few = Calibration(torch.linspace(0.1, 0.5, needed - 1))
        assert few.sets(likely, coverage).tolist() == [[True, True]]
        assert f"every set holds all classes, and says nothing. At least {needed} are" in str(
            few_for_sets(needed - 1, coverage)
        )


def test_one_item_is_one_item() -> None:
    assert str(few_for_sets(1, 0.9)).startswith("Sets of classes come from 1 held-back item, too few for 90%")


def test_it_comes_back_as_it_was_kept() -> None:
    kept = Calibration(torch.tensor([0.1, 0.5]), Familiarity(torch.eye(3).half(), 0.25), {"items": 2})
    again = Calibration.from_state_dict(kept.state_dict())
    assert torch.equal(again.scores, kept.scores)  # type: ignore[arg-type]
    assert again.familiarity is not None
    assert torch.equal(again.familiarity.features, torch.eye(3).half())
    assert (again.familiarity.threshold, again.card) == (0.25, {"items": 2})
    assert Calibration.from_state_dict(Calibration().state_dict()).scores is None


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"scores": torch.zeros(2, 2)}, "scores of another shape"),
        ({"scores": torch.tensor([float("nan")])}, "scores that are not finite"),
        ({"scores": "many"}, "scores of another shape"),
        ({"features": torch.zeros(3000, 2), "threshold": 0.1}, "features of another shape"),
        ({"features": torch.zeros(3, 2), "threshold": None}, "the threshold None"),
    ],
)
def test_a_damaged_one_is_refused(state: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=rf"{message}.*\n.*\n.*calibrate and export the model again"):
        Calibration.from_state_dict(state)
