"""k-means."""

from __future__ import annotations

import torch

from onecycle.review.rankings.clusters import k_means
from ranked_items import clusters


def test_what_lies_together_is_one_cluster() -> None:
    units = torch.nn.functional.normalize(clusters()[0], dim=1)
    found = k_means(units, 3)
    assert [len(set(part.tolist())) for part in found.split(40)] == [1, 1, 1]
    assert len(set(found.tolist())) == 3


def test_there_are_no_more_clusters_than_items_and_copies_do_not_stop_it() -> None:
    assert k_means(torch.eye(3), 10).sort().values.tolist() == [0, 1, 2]
    assert set(k_means(torch.ones(5, 2), 3).tolist()) <= {0, 1, 2}


def test_the_same_seed_gives_the_same() -> None:
    units = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(k_means(units, 6, seed=1), k_means(units, 6, seed=1))
