"""Which version of a run's model counts."""

from __future__ import annotations

from pathlib import Path

import pytest

import onecycle as oc
from onecycle.review.journal import journal_beside
from onecycle.review.versions import current_version, next_version, undo_version


def test_the_newest_that_was_not_taken_back_counts(tmp_path: Path) -> None:
    (tmp_path / "model.onecycle").touch()
    assert current_version(tmp_path).name == "model.onecycle"
    for number in (2, 3, 10):
        (tmp_path / f"model-{number}.onecycle").touch()
    (tmp_path / "model-99.bundle").touch()
    assert current_version(tmp_path).name == "model-10.onecycle"
    assert [path.name for path in undo_version(tmp_path)] == ["model-10.undone.onecycle", "model-3.onecycle"]
    assert next_version(tmp_path).name == "model-11.onecycle"
    assert undo_version(tmp_path)[1].name == "model-2.onecycle"
    assert undo_version(tmp_path)[1].name == "model.onecycle"
    with pytest.raises(oc.DataError, match="has no version to take back"):
        undo_version(tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_all_versions_have_one_journal(tmp_path: Path) -> None:
    journals = {journal_beside(tmp_path / name) for name in ("model.onecycle", "model-2.onecycle", "model-30.onecycle")}
    assert journals == {tmp_path / "model.journal"}
    assert journal_beside(tmp_path / "photos-2.onecycle") == tmp_path / "photos-2.journal"
