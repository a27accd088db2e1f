"""A run that is interrupted goes on where it stopped."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from learners import tiny
from onecycle.bundle import read_bundle
from onecycle.cli import main, run_items
from onecycle.cli.run_folder import RunFolder
from onecycle.errors import DataError

pytestmark = pytest.mark.slow

QUICK = ("--sizes", "32", "--epochs", "2", "--batch-size", "8")


class Stop(oc.Callback):
    """Sends a signal to this process in the middle of a step, counted over all fits."""

    def __init__(self, step: int, number: int) -> None:
        self.left, self.number = step, number

    def on_backward_end(self, state: Any, event: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make `train` use a tiny model that gets a signal at a step; 0 for none."""

    def use(step: int, number: int = signal.SIGTERM) -> None:
        def make(bunch: Any, *arguments: Any, callbacks: Any, **options: Any) -> Any:
            return tiny(bunch, *arguments, callbacks=[*callbacks, Stop(step, number)], **options)

        monkeypatch.setattr(oc, "vision_learner", make, raising=False)

    return use


def weights(path: Path) -> dict[str, Any]:
    return read_bundle(path, "model")[0]


def assert_same_model(one: Path, two: Path) -> None:
    first, second = weights(one), weights(two)
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)


@pytest.fixture(scope="module")
def straight(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a run that was not interrupted."""
    out = tmp_path_factory.mktemp("straight")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oc, "vision_learner", tiny, raising=False)
        command = ["train", str(photos), *QUICK, "--out", str(out)]
        with pytest.raises(SystemExit) as caught:
            main(command)
    assert not caught.value.code
    return out / "model.onecycle"


@pytest.mark.parametrize("step", [1, 15], ids=["first stage", "second stage"])
def test_after_sigterm_a_run_goes_on_to_the_same_model(
    shell: Any, photos: Path, tmp_path: Path, stop_at: Any, straight: Path, step: int
) -> None:
    stop_at(step)
    stopped = shell("train", photos, *QUICK, "--out", "run")
    assert stopped.code == 143
    assert f"Stopped by SIGTERM. To go on: onecycle train {photos} --out run --resume" in stopped.err
    assert not (tmp_path / "run" / "model.onecycle").exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    stop_at(0)
    done = shell("train", photos, "--out", "run", "--resume")
    assert done.code == 0, done.err
    assert_same_model(tmp_path / "run" / "model.onecycle", straight)
    again = shell("train", photos, "--out", "run", "--resume")
    assert again.code == 2
    assert again.err == (
        "The run in run is finished.\nExpected a run that was interrupted.\n"
        "Fix: leave --resume out, or pass the --out of another run.\n"
    )


def test_after_ctrl_c_there_is_a_model_and_a_way_to_go_on(
    shell: Any, photos: Path, tmp_path: Path, stop_at: Any, straight: Path
) -> None:
    stop_at(17, signal.SIGINT)
    stopped = shell("train", photos, *QUICK, "--out", "run")
    assert stopped.code == 130
    assert f"Stopped by Ctrl-C. To go on: onecycle train {photos} --out run --resume" in stopped.err
    assert oc.load_model(tmp_path / "run" / "model.onecycle").predict(next(photos.rglob("*.jpg")))
    stop_at(0)
    assert shell("train", photos, *QUICK, "--out", "run", "--resume").code == 0
    assert_same_model(tmp_path / "run" / "model.onecycle", straight)


def test_an_unfinished_run_is_not_overwritten_unless_asked(shell: Any, photos: Path, stop_at: Any) -> None:
    stop_at(17)
    assert shell("train", photos, *QUICK, "--out", "run").code == 143
    stop_at(0)
    refused = shell("train", photos, *QUICK, "--out", "run")
    assert refused.code == 2
    assert refused.err == (
        "run has a run that is not finished.\nExpected a new folder, or a decision about that run.\n"
        "Fix: add --resume to go on with it, --overwrite to begin anew, or pass another --out.\n"
    )
    assert shell("train", photos, *QUICK, "--out", "run", "--overwrite").code == 0


def test_other_options_or_data_are_refused(shell: Any, photos: Path, tagged: Path, stop_at: Any) -> None:
    stop_at(17)
    assert shell("train", photos, *QUICK, "--out", "run").code == 143
    other = shell("train", photos, "--out", "run", "--resume", "--epochs", "3", "--batch-size", "8")
    assert other.code == 2
    assert other.err == (
        "The run in run was started in another way: epochs is 3, and was 2.\nExpected the same data and options.\n"
        "Fix: leave the options out, they are taken from the run, or start a new run with another --out.\n"
    )
    assert "DATA is" in shell("train", tagged, "--out", "run", "--resume").err
    stop_at(0)
    assert shell("train", photos, "--out", "run", "--resume").code == 0  # the fix that the error names


def test_without_a_checkpoint_it_begins_from_the_start(shell: Any, photos: Path, tmp_path: Path, stop_at: Any) -> None:
    stop_at(0)
    done = shell("train", photos, *QUICK, "--out", "run", "--resume")
    assert done.code == 0, done.err
    assert "Note: run has no run yet: it begins with the options of this call." in done.err
    assert "Note: run has no checkpoint yet, so training begins from the start." in done.err
    assert (tmp_path / "run" / "model.onecycle").exists()


def test_where_the_newest_checkpoint_is_damaged_the_one_before_it_is_used(
    shell: Any, photos: Path, tmp_path: Path, stop_at: Any, straight: Path
) -> None:
    stop_at(17)
    shell("train", photos, *QUICK, "--out", "run")
    newest = tmp_path / "run" / "last.ckpt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    stop_at(0)
    done = shell("train", photos, "--out", "run", "--resume")
    assert done.code == 0, done.err
    assert "Going on from the one before it." in done.err
    assert_same_model(tmp_path / "run" / "model.onecycle", straight)


def test_two_runs_do_not_share_a_folder(photos: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with run.used(photos, {"epochs": 2}):
        with pytest.raises(DataError) as caught, run.used(photos, {}):
            pass
        assert str(caught.value) == (
            f"{tmp_path / 'run'} is used by another run.\nExpected a folder of its own for each run.\n"
            "Fix: pass another --out."
        )
    assert json.loads((tmp_path / "run" / "run.json").read_text())["options"] == {"epochs": 2}
    with run.used(photos, {}):
        pass


def test_killed_while_the_data_is_read_a_run_keeps_its_options(
    shell: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, straight: Path
) -> None:
    monkeypatch.setattr(oc, "vision_learner", tiny, raising=False)
    with monkeypatch.context() as patch:
        patch.setattr("onecycle.recipes.task.prepare", lambda pipeline: signal.raise_signal(signal.SIGINT))
        assert shell("train", photos, *QUICK, "--out", "run").code == 130
    assert shell("train", photos, "--out", "run", "--resume").code == 0
    assert_same_model(tmp_path / "run" / "model.onecycle", straight)


@pytest.mark.parametrize("damage", ["{", None], ids=["damaged", "missing"])
def test_without_its_record_a_run_is_neither_resumed_nor_lost(
    shell: Any, photos: Path, tmp_path: Path, stop_at: Any, damage: str | None
) -> None:
    stop_at(17)
    shell("train", photos, *QUICK, "--out", "run")
    record, checkpoint = tmp_path / "run" / "run.json", tmp_path / "run" / "last.ckpt"
    saved = checkpoint.read_bytes()
    record.unlink() if damage is None else record.write_text(damage)
    stop_at(0)
    resumed = shell("train", photos, "--out", "run", "--resume")
    assert resumed.code == 2
    assert resumed.err == (
        "run has checkpoints, but its run.json, which says how the run was started, is missing or damaged.\n"
        "Expected run.json as onecycle train wrote it.\n"
        "Fix: restore it, add --overwrite instead of --resume to begin anew, or pass another --out.\n"
    )
    assert "has a run that is not finished" in shell("train", photos, *QUICK, "--out", "run").err
    assert checkpoint.read_bytes() == saved
    assert shell("train", photos, *QUICK, "--out", "run", "--overwrite").code == 0  # the fix that the error names


def test_ctrl_c_while_the_report_is_written_says_how_to_go_on(
    shell: Any, photos: Path, tmp_path: Path, stop_at: Any, monkeypatch: pytest.MonkeyPatch, straight: Path
) -> None:
    stop_at(0)
    with monkeypatch.context() as patch:
        patch.setattr("onecycle.ship.report.results.write_report", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        stopped = shell("train", photos, *QUICK, "--out", "run")
    assert stopped.code == 130
    assert f"Stopped by Ctrl-C. To go on: onecycle train {photos} --out run --resume" in stopped.err
    assert shell("train", photos, "--out", "run", "--resume").code == 0
    assert_same_model(tmp_path / "run" / "model.onecycle", straight)


class TestReport:
    def test_where_the_newest_checkpoint_is_damaged_it_is_made_of_the_one_before_it(
        self, shell: Any, photos: Path, tmp_path: Path, stop_at: Any
    ) -> None:
        stop_at(17)
        shell("train", photos, *QUICK, "--out", "run")
        newest = tmp_path / "run" / "last.ckpt"
        newest.write_bytes(newest.read_bytes()[:-1000])
        done = shell("report", "run")
        assert done.code == 0, done.err
        assert "Going on from the one before it." in done.err

    def test_it_is_made_of_an_unfinished_run(self, shell: Any, photos: Path, tmp_path: Path, stop_at: Any) -> None:
        stop_at(17)
        shell("train", photos, *QUICK, "--out", "run")
        done = shell("report", "run")
        assert done.code == 0, done.err
        written = {path.name for path in (tmp_path / "run" / "report").iterdir()}
        assert written >= {"model.onecycle", "history.csv", "history_picture.png", "worst_mistakes.png"}
        assert RunFolder(tmp_path / "run").unfinished
        page = (tmp_path / "run" / "report" / "report.html").read_text()
        command = re.search(r"The command that repeats it</h3><pre>(.*?)</pre>", page)
        assert command is not None
        words = shlex.split(html.unescape(command[1]))
        assert words[:3] == ["onecycle", "train", str(photos)]
        assert dict(zip(words[3::2], words[4::2], strict=True)) == dict(zip(QUICK[::2], QUICK[1::2], strict=True))

    def test_one_that_had_reached_a_second_size_is_reported_at_it(
        self, shell: Any, photos: Path, tmp_path: Path, stop_at: Any
    ) -> None:
        stop_at(30)
        shell("train", photos, "--sizes", "24,40", "--epochs", "1,2", "--batch-size", "8", "--out", "run")
        assert RunFolder(tmp_path / "run").unfinished
        done = shell("report", "run")
        assert done.code == 0, done.err
        assert oc.load_model(tmp_path / "run/report/model.onecycle").modality.to_config()["size"] == [40, 40]

    def test_without_a_run_there_is_nothing_to_report(self, shell: Any) -> None:
        done = shell("report", "nothing")
        assert done.code == 2
        assert done.err == (
            "nothing has no run.\n"
            "Expected a folder that onecycle train wrote, with run.json and last.ckpt in it.\n"
            "Fix: pass the --out of a run, such as runs/photos.\n"
        )

    def test_before_the_first_epoch_there_is_nothing_to_report(self, shell: Any, photos: Path, stop_at: Any) -> None:
        stop_at(1)
        shell("train", photos, *QUICK, "--out", "run")
        done = shell("report", "run")
        assert done.code == 2
        assert "run/last.ckpt was saved before the first epoch was complete." in done.err


def test_a_model_that_cannot_be_written_is_written_elsewhere(
    shell: Any, photos: Path, tmp_path: Path, stop_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: what was trained is not lost."""
    from onecycle.errors import BundleError
    from onecycle.ship.report import results as report

    def full(*_: Any, **__: Any) -> Any:
        raise BundleError("Cannot write run/model.onecycle: No space left on device.", "room.", "free some room.")

    stop_at(0)
    monkeypatch.setattr(report, "write_report", full)
    done = shell("train", photos, *QUICK, "--out", "run")
    assert done.code == 2
    elsewhere = tmp_path / "run-model.onecycle"
    assert f"The model could not be written to run, and is at {elsewhere}." in done.err
    assert oc.load_model(elsewhere).classes == ("blue", "green", "red")
    assert (tmp_path / "run" / "run.json").exists()
    assert RunFolder(tmp_path / "run").unfinished  # --resume makes the report, once there is room


def test_stopped_before_its_first_checkpoint_a_run_keeps_its_options(
    shell: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, straight: Path
) -> None:
    """Ctrl-C while cached features are computed."""

    def stop(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(oc, "vision_learner", tiny, raising=False)
    with monkeypatch.context() as patch:
        patch.setattr("onecycle.train.lr_find.compute_features", stop)
        assert shell("train", photos, *QUICK, "--out", "run").code == 130
    done = shell("train", photos, "--out", "run", "--resume")
    assert done.code == 0, done.err
    assert_same_model(tmp_path / "run" / "model.onecycle", straight)


def test_stopped_after_its_last_checkpoint_a_run_is_finished_by_resuming(
    shell: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, straight: Path
) -> None:
    """Killed when everything is written but that it is finished."""
    monkeypatch.setattr(oc, "vision_learner", tiny, raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "finish", lambda *_: signal.raise_signal(signal.SIGINT))
        assert shell("train", photos, *QUICK, "--out", "run").code == 130
    done = shell("train", photos, "--out", "run", "--resume")
    assert done.code == 0, done.err
    assert_same_model(tmp_path / "run" / "model.onecycle", straight)
    assert "is finished" in shell("train", photos, "--out", "run", "--resume").err


def test_items_that_differ_are_named(shell: Any, photos: Path, tmp_path: Path, stop_at: Any, straight: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(photos, data)
    stop_at(15)
    assert shell("train", data, *QUICK, "--out", "run").code == 143
    (data / "red" / "red_3.jpg").rename(tmp_path / "red_3.jpg")
    refused = shell("train", data, "--out", "run", "--resume")
    assert refused.code == 2
    assert refused.err.endswith(
        "The items differ from those that run was interrupted on: 1 item is gone: red/red_3.jpg.\n"
        "Expected the same items, so that training ends as if it had not been interrupted.\n"
        "Fix: bring back what is gone, or add --overwrite instead of --resume to begin anew.\n"
    )
    (tmp_path / "red_3.jpg").rename(data / "red" / "red_3.jpg")  # as the fix says
    assert shell("train", data, "--out", "run", "--resume").code == 0
    assert_same_model(tmp_path / "run" / "model.onecycle", straight)


def test_items_that_are_new_or_moved_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {"a.jpg": "train", "b.jpg": "valid"}
    monkeypatch.setattr(run_items, "read_items", lambda folder: before)
    now = {**before, "c.jpg": "train"}
    monkeypatch.setattr(run_items, "splits_of", lambda labelled: now)
    with pytest.raises(DataError, match=r"1 item is new: c\.jpg\.\nExpected.*\nFix: take out what is new, or add"):
        run_items.check_items(tmp_path, None)
    now = {"a.jpg": "train", "b.jpg": "train"}
    with pytest.raises(DataError, match=r"in another split: b\.jpg\.\nExpected .*\nFix: split them as they were, or"):
        run_items.check_items(tmp_path, None)
    now = before
    run_items.check_items(tmp_path, None)
