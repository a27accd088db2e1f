from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onecycle.cli.run_folder import RunFolder, numbered_folder
from onecycle.errors import DataError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_run(path: str, *, finished: bool) -> None:
    Path(path).mkdir(parents=True)
    stored = {"data": "photos", "options": {}, "finished": finished}
    (Path(path) / "run.json").write_text(json.dumps(stored))
    (Path(path) / "last.ckpt").touch()


def folder(data: str = "photos", **how: Any) -> str:
    return numbered_folder(Path(data), **{"resume": False, "overwrite": False, **how}).as_posix()


@pytest.mark.parametrize(("option", "given"), [
    ("labels", "tables/ages.csv"), ("corrections", "tables/ages.csv"), ("masks", "tables/{stem}.png"),
])  # fmt: skip
def test_files_outside_of_the_data_are_found_again_from_anywhere(tmp_path: Path, option: str, given: str) -> None:
    for name in ("photos", "tables"):
        Path(name).mkdir()
    Path("tables/ages.csv").touch()
    run = RunFolder(Path("run"))
    with run.used(Path("photos"), {option: given}):
        run.checkpoint.touch()
    assert run.read_options()[1] == {option: str(tmp_path / given)}
    run.stored_options(Path("photos"), {option: given})


@pytest.mark.parametrize("given", ["inside.csv", "/whole/path.csv", "0.2", "0,0,0;" * 99, "s3://bucket/a.csv", None])
def test_other_options_stay_as_they_are_given(given: str | None) -> None:
    Path("photos").mkdir()
    for place in ("inside.csv", "photos/inside.csv"):
        Path(place).touch()
    run = RunFolder(Path("run"))
    with run.used(Path("photos"), {"labels": given, "backbone": "photos"}):
        run.checkpoint.touch()
    assert run.read_options()[1] == {"labels": given, "backbone": "photos"}


class TestNumbered:
    def test_each_run_gets_a_folder_of_its_own(self) -> None:
        assert folder() == "runs/photos"
        write_run("runs/photos", finished=True)
        assert folder() == "runs/photos-2"
        write_run("runs/photos-2", finished=True)
        assert folder() == "runs/photos-3"
        assert folder("other") == "runs/other"

    def test_an_empty_folder_is_taken(self) -> None:
        Path("runs/photos").mkdir(parents=True)
        assert folder() == "runs/photos"

    def test_a_table_gives_its_name_without_suffix(self) -> None:
        Path("tweets.csv").touch()
        assert folder("tweets.csv") == "runs/tweets"

    def test_the_folder_where_one_stands_has_a_name(self, tmp_path: Path) -> None:
        assert folder(".") == f"runs/{tmp_path.name}"

    def test_a_run_that_is_not_finished_is_told_and_resume_finds_it(self, capsys: pytest.CaptureFixture[str]) -> None:
        write_run("runs/photos", finished=True)
        write_run("runs/photos-2", finished=False)
        write_run("runs/photos-3", finished=True)
        assert folder() == "runs/photos-4"
        assert capsys.readouterr().err == (
            "Note: runs/photos-2 has a run that is not finished; --resume goes on with it.\n"
        )
        assert folder(resume=True) == "runs/photos-2"

    def test_overwrite_takes_the_first(self) -> None:
        write_run("runs/photos", finished=True)
        assert folder(overwrite=True) == "runs/photos"


class TestOut:
    def test_a_finished_run_or_other_files_are_not_overwritten_unless_asked(self) -> None:
        write_run("here", finished=True)
        message = (
            r"^here exists, with last\.ckpt, run\.json in it\.\nExpected a new folder, since no run is "
            r"overwritten unless that is asked for\.\nFix: pass another --out, leave it out for a numbered folder, or "
            r"add --overwrite\.$"
        )
        with pytest.raises(DataError, match=message):
            RunFolder(Path("here")).check(resume=False, overwrite=False)
        RunFolder(Path("here")).check(resume=False, overwrite=True)
        RunFolder(Path("there")).check(resume=False, overwrite=False)
        Path("notes").mkdir()
        Path("notes/a.txt").touch()
        with pytest.raises(DataError, match=r"^notes exists, with a\.txt in it"):
            RunFolder(Path("notes")).check(resume=False, overwrite=False)


class TestPreviousRun:
    def test_it_is_the_finished_one_of_the_same_name_before(self) -> None:
        write_run("runs/photos", finished=True)
        write_run("runs/photos-2", finished=False)
        write_run("runs/photos-3", finished=True)
        previous = RunFolder(Path("runs/photos-3")).previous_run({"lr": "0.1"})
        assert previous is not None
        assert Path(previous.name) == Path("runs/photos")
        assert previous.options == {"data": "photos"}
        assert previous.own_options == {"data": "photos", "lr": "0.1"}

    @pytest.mark.parametrize("name", ["photos", "photos-1", "photos-", "2"])
    def test_the_first_has_none(self, name: str) -> None:
        write_run(f"runs/{name}", finished=True)
        assert RunFolder(Path("runs") / name).previous_run({}) is None

    def test_the_end_of_a_run_is_noted_with_its_scores(self) -> None:
        write_run("runs/photos", finished=False)
        RunFolder(Path("runs/photos")).finish({"accuracy": 0.9}, 12.5)
        stored = json.loads(Path("runs/photos/run.json").read_text())
        assert (stored["finished"], stored["scores"], stored["seconds"]) == (True, {"accuracy": 0.9}, 12.5)
