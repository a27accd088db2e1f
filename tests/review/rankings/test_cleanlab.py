"""Doubtful labels beside cleanlab's ranking of the same probabilities (Northcutt 2021, arXiv:1911.00068)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import onecycle as oc
from onecycle.review.rankings.doubtful_labels import label_doubts
from ranked_items import clusters, item_features, random_hashes

rank = pytest.importorskip("cleanlab.rank", reason="cleanlab is a reference only, and in no extra")


def test_planted_errors_are_found_at_least_as_well() -> None:
    vectors, labels = clusters()
    vectors += 3 * torch.randn(vectors.shape, generator=torch.Generator().manual_seed(1))  # they overlap
    target = oc.Category(("cat", "dog", "owl"))
    wrong = np.random.default_rng(0).permutation(len(labels))[:12]
    for place in wrong:
        labels[place] = target.classes[(target.position[labels[place]] + 1) % 3]
    doubts = label_doubts(item_features(vectors, labels, hashes=random_hashes(len(labels))), target)
    encoded = torch.stack([target.encode(label) for label in labels]).numpy()
    quality = rank.get_label_quality_scores(encoded, doubts.probabilities.numpy())
    ours = np.isin(doubts.score.argsort(descending=True)[:12], wrong).mean()
    theirs = np.isin(quality.argsort()[:12], wrong).mean()
    assert ours >= theirs > 0.5
