"""Pairs of copies and their groups, against all pairs one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onecycle.review.rankings import copies
from onecycle.review.rankings.copies import components, find_copies
from ranked_items import clusters, item_features, random_hashes


def test_the_rule_needs_both_the_hash_and_the_features() -> None:
    """(pHash <= 10 and cosine >= 0.8) or (pHash <= 14 and cosine >= 0.9)."""
    base = random_hashes(1)[0]
    cases = [(10, 0.81, True), (10, 0.79, False), (11, 0.89, False), (14, 0.91, True), (15, 0.99, False)]
    for bits, cosine, alike in cases:
        other = base.clone()
        other[:bits] = ~other[:bits]
        vectors = torch.tensor([[1.0, 0.0], [cosine, (1 - cosine**2) ** 0.5]])
        found = find_copies(item_features(vectors, ["a", "b"], hashes=torch.stack([base, other])))
        assert (len(found.first) == 1) is alike, (bits, cosine)
        assert (found.groups[0] == found.groups[1]) == alike


def test_blocks_find_the_same_as_all_pairs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = clusters()
    hashes = random_hashes(8).repeat_interleave(15, 0)
    hashes ^= torch.rand(hashes.shape, generator=torch.Generator().manual_seed(1)) < 0.08
    features = item_features(vectors, labels, hashes=hashes)
    whole = find_copies(features)
    monkeypatch.setattr(copies, "ROWS", 7)
    parts = find_copies(features)
    differing, cosines = (hashes[:, None] != hashes).sum(2), features.units @ features.units.T
    alike = ((differing <= 10) & (cosines >= 0.8)) | ((differing <= 14) & (cosines >= 0.9))
    expected = {(one, two) for one, two in alike.nonzero().tolist() if one < two}
    assert len(expected) > 20
    for found in (whole, parts):
        assert set(zip(found.first.tolist(), found.second.tolist(), strict=True)) == expected
    assert (whole.groups == parts.groups).all()
    assert parts.similarity[0] == pytest.approx(float(cosines[parts.first[0], parts.second[0]]), abs=1e-5)


def test_texts_are_copies_only_where_they_are_the_same() -> None:
    vectors, labels = clusters()
    vectors[5], vectors[77] = vectors[3], vectors[3] * 1.00001
    found = find_copies(item_features(vectors, labels))
    assert sorted(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [(3, 5), (3, 77), (5, 77)]


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_components_are_what_pairs_connect(pairs: list[tuple[int, int]]) -> None:
    groups = components(np.array([one for one, _ in pairs]), np.array([two for _, two in pairs]), 20)
    reached = np.eye(20, dtype=bool)
    for one, two in pairs:
        reached[one, two] = reached[two, one] = True
    for _ in range(5):
        reached = (reached.astype(int) @ reached.astype(int)) > 0
    assert ((groups[:, None] == groups) == reached).all()
