from __future__ import annotations

from pathlib import Path

import pytest
import torch

from learners import photo_bunch, tiny
from onecycle.metrics.reliability import CalibrationReport, Reliability, reliability
from onecycle.ship.report.blocks import Chart, Note, as_sentence
from onecycle.ship.report.calibration import calibration_section, measured_calibration, verdict


def report(before: float, after: float, items: int = 300) -> CalibrationReport:
    table = reliability(torch.tensor([[0.9, 0.1]]), torch.tensor([0])).table
    first, second = Reliability(before, 0.2, table), Reliability(after, 0.1, table)
    return CalibrationReport(first, second, items, "valid", ("noted",))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (0.115, 0.033, "Calibration brought the expected calibration error (ECE) from 0.115 to 0.033"),
        (0.025, 0.024, "Calibration did not help: it left the expected calibration error (ECE) at 0.024"),
        (0.02, 0.05, "Calibration did not help: it raised the expected calibration error (ECE) from 0.020 to 0.050"),
    ],
)
def test_it_says_whether_calibration_helped(before: float, after: float, told: str) -> None:
    where = "validation items that it was not fitted to."
    assert verdict(report(before, after)) == f"{told}, on 300 {where}"
    chance = "" if after < before - 0.01 else " With so few items that may be chance."
    assert verdict(report(before, after, 60)) == f"{told}, on 60 {where}{chance}"


def test_where_no_temperature_was_found_nothing_has_changed() -> None:
    assert verdict(report(0.085, 0.085)).startswith("Calibration changed nothing: the expected calibration error (ECE)")


def test_what_was_done_is_told_after_a_checkpoint_was_loaded_too(photos: Path, tmp_path: Path) -> None:
    learner = tiny(photo_bunch(photos))
    notes = learner.calibrate().notes
    learner.save(tmp_path / "last.ckpt")
    other = tiny(photo_bunch(photos))
    other.load(tmp_path / "last.ckpt")
    measured = measured_calibration(other.state, other.interpret())
    assert measured is not None
    assert measured.notes == notes


def test_both_diagrams_are_shown_with_what_was_done(photos: Path) -> None:
    learner = tiny(photo_bunch(photos))
    found = learner.interpret()
    assert measured_calibration(learner.state, found) is None
    alone = calibration_section(found, None)
    assert alone is not None
    assert [type(block) for block in alone.blocks] == [Chart, Note, Note]
    assert "learner.calibrate() makes them as sure as they are right" in alone.blocks[2].text  # type: ignore[union-attr]
    learner.calibrate()
    found = learner.interpret()
    measured = measured_calibration(learner.state, found)
    assert measured == learner.calibration()
    section = calibration_section(found, measured)
    assert section is not None
    titles = [block.title for block in section.blocks if isinstance(block, Chart)]
    assert [title.partition(":")[0] for title in titles] == ["Before", "After"]
    assert [block.text for block in section.blocks if isinstance(block, Note)][1:] == [
        as_sentence(note) for note in learner.calibration().notes
    ]


def test_masks_that_are_calibrated_have_it_too(photos: Path) -> None:
    found = tiny(photo_bunch(photos)).interpret()
    found.available = ("per_class",)  # type: ignore[misc]
    assert calibration_section(found, None) is None
    assert calibration_section(found, report(0.1, 0.05)) is not None
