"""Calibration errors and Brier scores, against hand calculations and torchmetrics."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from onecycle.metrics.reliability import BINS, CalibrationReport, reliability


def test_a_hand_calculation() -> None:
    found = reliability(torch.tensor([[0.7, 0.3], [0.7, 0.3], [0.2, 0.8], [0.1, 0.9]]), torch.tensor([0, 1, 1, 1]))
    assert found.ece == pytest.approx((2 * 0.2 + 0.2 + 0.1) / 4)
    assert found.brier == pytest.approx(2 * (0.09 + 0.49 + 0.04 + 0.01) / 4)
    assert found.table.to_pylist()[0] == pytest.approx(
        {"low": 10 / BINS, "high": 11 / BINS, "confidence": 0.7, "accuracy": 0.5, "count": 2}
    )


def test_the_error_is_that_of_torchmetrics() -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.randn(500, 5, generator=generator).softmax(1)
    truth = torch.randint(5, (500,), generator=generator)
    expected = multiclass_calibration_error(probabilities, truth, 5, n_bins=BINS)
    assert reliability(probabilities, truth).ece == pytest.approx(float(expected), abs=1e-6)


def test_each_tag_of_each_item_counts() -> None:
    found = reliability(torch.tensor([[0.2, 0.9], [0.2, 0.9]]), torch.tensor([[0.0, 1.0], [1.0, 1.0]]))
    assert found.ece == pytest.approx((2 * 0.3 + 2 * 0.1) / 4)
    assert found.brier == pytest.approx((0.04 + 0.64 + 0.01 + 0.01) / 4)


def test_a_report_says_both_and_draws_them(tmp_path: Path) -> None:
    truth = torch.tensor([0, 1])
    before, after = reliability(torch.eye(2)[[0, 0]], truth), reliability(torch.full((2, 2), 0.5), truth)
    report = CalibrationReport(before, after, 2, "valid", ("temperature 2",))
    assert repr(report).splitlines() == [
        "Calibration on 2 validation items: ECE 0.500 before, 0.000 after, Brier score 1.000 before, 0.500 after",
        "temperature 2",
    ]
    assert report.table["calibrated"].to_pylist() == ["before", "after"]
    report.plot().savefig(tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").stat().st_size > 1000
