"""Heads that judge what they have not seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from onecycle.train import linear_heads as heads
from onecycle.train.linear_heads import fitted, out_of_fold
from ranked_items import clusters

NAMES = ("cat", "dog", "owl")


def numbered() -> tuple[torch.Tensor, torch.Tensor]:
    vectors, labels = clusters()
    return vectors, torch.tensor([NAMES.index(label) for label in labels])


def test_a_head_is_scikit_learn_s_logistic_regression(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "STEPS", 200)
    vectors, targets = numbered()
    scaled = ((vectors - vectors.mean(0)) / (vectors.std(0, unbiased=False) + 1e-6)).numpy()
    # C weighs the sum of the losses, and weight decay their mean.
    reference = LogisticRegression(C=1 / (heads.WEIGHT_DECAY * len(vectors)), tol=1e-8, max_iter=5000)
    expected = reference.fit(scaled, targets.numpy()).predict_proba(scaled)
    assert fitted(vectors, targets, 3, vectors).numpy() == pytest.approx(expected, abs=2e-4)


def test_an_item_s_own_label_and_those_of_its_group_say_nothing_of_it() -> None:
    vectors, targets = numbered()
    groups = np.arange(120)
    groups[80:84] = 80  # four copies
    vectors[81:84] = vectors[80]
    before = out_of_fold(vectors, targets, 3, groups)
    changed = targets.clone()
    changed[80:84] = 0
    after = out_of_fold(vectors, changed, 3, groups)
    assert torch.allclose(after[80:84], before[80:84], atol=2e-3)  # one line search for all heads
    assert not torch.allclose(after, before, atol=1e-2)
    alone = out_of_fold(vectors, changed, 3, np.arange(120))
    assert float(alone[80:84, 0].min()) > 3 * float(after[80:84, 0].max())  # with copies in other folds, it is believed


def test_tags_are_judged_each_by_itself() -> None:
    vectors, targets = numbered()
    tags = torch.stack([targets == 0, targets != 1], 1).float()
    said = out_of_fold(vectors, tags, 2, np.arange(120)) > 0.5
    assert float((said == tags.bool()).float().mean()) > 0.95


def test_the_same_seed_gives_the_same_and_inference_mode_does_not_matter() -> None:
    vectors, targets = numbered()
    first = out_of_fold(vectors, targets, 3, np.arange(120), seed=3)
    with torch.inference_mode():
        second = out_of_fold(vectors, targets, 3, np.arange(120), seed=3)
    assert torch.equal(first, second)
    assert not torch.equal(first, out_of_fold(vectors, targets, 3, np.arange(120), seed=4))
