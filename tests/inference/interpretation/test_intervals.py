"""Intervals against those of the literature, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest

from onecycle.inference.interpretation.intervals import interval_of_counts, interval_of_items


def share(cells: np.ndarray) -> np.ndarray:
    return cells[..., 0] / cells.sum(-1)


@pytest.mark.parametrize(
    ("right", "wrong", "low", "high"),
    # Jeffreys' interval, as SciPy's beta(right + 0.5, wrong + 0.5).ppf([0.025, 0.975]) computes it.
    [(5, 0, 0.6207, 0.9999), (50, 50, 0.4032, 0.5968), (9, 1, 0.6189, 0.9890)],
)
def test_an_interval_of_a_share_is_that_of_jeffreys(right: int, wrong: int, low: float, high: float) -> None:
    found = interval_of_counts(np.array([right, wrong]), share, draws=40_000)
    assert found == pytest.approx((low, high), abs=0.01)


def test_nineteen_of_twenty_intervals_of_a_mean_cover_it() -> None:
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        low, high = interval_of_items(generator.normal(3, 2, size=60), lambda means: means, draws=300)
        covered += low <= 3 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_without_items_there_is_no_interval() -> None:
    low, high = interval_of_items(np.empty((0, 2)), lambda means: means)
    assert np.isnan(low).all()
    assert np.isnan(high).all()
