from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from learners import tiny

PROMISED = {
    "model.onecycle", "history.csv", "history_picture.png", "training_batch.png", "example_predictions.png",
    "worst_mistakes.png", "run.json", "items.parquet", "last.ckpt", "report.html",
}  # fmt: skip
QUICK = ("--sizes", "24", "--epochs", "1", "--lr", "0.002", "--batch-size", "8")


class Interrupt(oc.Callback):
    """Ctrl-C at the start of an epoch, counted from 0 over all fits."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_start(self, learner: Any, event: Any) -> None:
        if len(learner.history) == self.epoch:
            raise KeyboardInterrupt


def interrupt_at(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `train` use a tiny model, and interrupt it."""

    def make(bunch: Any, *arguments: Any, callbacks: Any, **options: Any) -> Any:
        return tiny(bunch, *arguments, callbacks=[*callbacks, Interrupt(epoch)], **options)

    monkeypatch.setattr(oc, "vision_learner", make, raising=False)


class TestTrain:
    @pytest.mark.slow
    def test_end_to_end_with_the_weights_that_come_as_a_package(self, shell: Any, photos: Path, tmp_path: Path) -> None:
        done = shell("train", photos, "--sizes", "32", "--epochs", "1", "--out", "runs/one")
        assert done.code == 0, done.err
        written = {path.name for path in (tmp_path / "runs" / "one").iterdir()}
        assert written >= PROMISED
        assert "learning_rate_1.png" in written
        assert len(done.err.splitlines()) == 2, "one line per epoch, where there is no terminal"
        assert "On 6 validation items: valid_loss" in done.out
        assert f"Next: onecycle predict {Path('runs/one/model.onecycle')} INPUTS..." in done.out
        # The printed code, run as it is, gives the same history.
        names: dict[str, Any] = {"oc": oc}
        exec(done.out.split("\n\n")[0], names)
        with (tmp_path / "runs" / "one" / "history.csv").open(newline="") as file:
            losses = [float(row["valid_loss"]) for row in csv.DictReader(file)]
        assert [record.valid_loss for record in names["learner"].history] == losses
        assert names["learner"].history[-1].metrics["accuracy"] > 0.9

    @pytest.mark.usefixtures("_tiny_models")
    def test_tags_from_a_csv_file_at_two_sizes(self, shell: Any, tagged: Path, tmp_path: Path) -> None:
        done = shell(
            "train", tagged, "--labels", tagged / "labels.csv", "--sizes", "24,32", "--epochs", "1,2", "--lr", "0.002",
            "--metric", "f2", "--augment", "satellite", "--freeze-to", "0",
        )  # fmt: skip
        assert done.code == 0, done.err
        assert "fine_tune([1, 2], lr=0.002, freeze_to=0, sizes=[24, 32])\nlearner.calibrate()\n" in done.out
        out = tmp_path / "runs" / tagged.name
        assert {path.name for path in out.iterdir()} == PROMISED
        page = (out / "report.html").read_text()
        given = ("--sizes 24,32", "--epochs 1,2", "--lr 0.002", "--metric f2", "--augment satellite", "--freeze-to 0")
        assert [option for option in given if option not in page] == []
        assert "learner.calibrate()" in page
        with (out / "history.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["inputs"] for row in rows] == ["24x24 pixels"] * 2 + ["32x32 pixels"] * 3
        assert {"valid_loss", "f2"} <= rows[0].keys()
        assert oc.load_model(out / "model.onecycle").classes == ("blue", "green", "red")

    @pytest.mark.usefixtures("_tiny_models")
    def test_the_reported_scores_are_those_of_the_printed_code(self, shell: Any, tagged: Path) -> None:
        done = shell("train", tagged, "--labels", tagged / "labels.csv", *QUICK, "--seed", "5")
        names: dict[str, Any] = {"oc": oc}
        exec(done.out.split("\n\n")[0], names)
        scores = ", ".join(f"{name} {value:.4f}" for name, value in names["learner"].validate().items())
        assert f"On 5 validation items: {scores}\n" in done.out

    @pytest.mark.usefixtures("_tiny_models")
    def test_options_of_training(self, shell: Any, photos: Path) -> None:
        done = shell(
            "train", photos, *QUICK, "--clip", "0.5", "--ema", "0.9", "--label-smoothing", "0.1", "--weight-decay",
            "0.1", "--accumulate", "2", "--no-cache-features", "--no-progress",
        )  # fmt: skip
        assert done.code == 0, done.err
        for code in (
            "clip=0.5", "ema=0.9", "label_smoothing=0.1", "weight_decay=0.1", "accumulate=2", "cache_features=False",
            "progress=False",
        ):  # fmt: skip
            assert f", {code}" in done.out

    @pytest.mark.usefixtures("_tiny_models")
    def test_the_old_name_of_freeze_to(self, shell: Any, photos: Path) -> None:
        done = shell("train", photos, *QUICK, "--first-tuned", "0")
        assert done.code == 0, done.err
        assert "Note: --first-tuned is now called --freeze-to.\n" in done.err
        assert "freeze_to=0" in done.out

    def test_ctrl_c_saves_the_best_model_so_far(
        self, shell: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        interrupt_at(1, monkeypatch)
        done = shell("train", photos, *QUICK, "--out", "here")
        assert done.code == 130
        assert f"Stopped by Ctrl-C: the best model so far is {Path('here/model.onecycle')}" in done.out
        assert {path.name for path in (tmp_path / "here").iterdir()} == PROMISED | {"last.1.ckpt"}
        assert oc.load_model(tmp_path / "here" / "model.onecycle").card["epochs"] == 1

    def test_ctrl_c_before_the_first_epoch_is_complete_saves_no_model(
        self, shell: Any, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        interrupt_at(0, monkeypatch)
        done = shell("train", photos, *QUICK, "--out", "here")
        assert done.code == 130
        assert f"Stopped by Ctrl-C. To go on: onecycle train {photos} --out here --resume" in done.err
        assert {path.name for path in (tmp_path / "here").iterdir()} == {"run.json", "items.parquet", "last.ckpt"}

    @pytest.mark.filterwarnings("default:Skipped")  # printed as a line, as outside of the tests
    @pytest.mark.usefixtures("_tiny_models")
    def test_a_broken_file_stops_training_or_is_skipped(self, shell: Any, photos: Path, tmp_path: Path) -> None:
        shutil.copytree(photos, data := tmp_path / "data")
        broken = data / "red" / "red_3.jpg"
        broken.write_bytes(broken.read_bytes()[:300])
        stopped = shell("train", data, *QUICK)
        assert stopped.code == 2
        assert "red_3.jpg" in stopped.err
        assert not (tmp_path / "runs").exists()
        skipped = shell("train", data, *QUICK, "--on-bad-item", "skip")
        assert skipped.code == 0, skipped.err
        assert "Note: Skipped red/red_3.jpg" in skipped.err
        assert 'on_bad_item="skip"' in skipped.out

    @pytest.mark.usefixtures("_tiny_models")
    def test_a_folder_that_is_not_writable_is_an_error_before_training(
        self, shell: Any, photos: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        done = shell("train", photos, *QUICK, "--out", tmp_path / "file" / "run")
        assert done.code == 2
        assert f"Cannot write to {tmp_path / 'file' / 'run'}: {tmp_path / 'file'} is a file." in done.err
        assert "Fix: pass another --out." in done.err
        assert "epoch 1" not in done.err


class TestWrongUse:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--lr", "fast"], "--lr fast.\nExpected a number or auto.\nFix: pass --lr 0.003."),
            (["--lr", "-1"], "Learning rate -1.0"),
            (["--sizes", "64;128"], "--sizes 64;128.\nExpected numbers, or height x width, separated by commas."),
            (["--sizes", "0"], "size=0"),
            (["--epochs", "many"], "--epochs many."),
            (["--epochs", "1,2"], "Expected an epoch count for each size"),
            (
                ["--task", "sort"],
                "--task sort.\nExpected one of: auto, classify, tag, segment, points, numbers, text, sentiment.",
            ),
            (["--task", "tag"], "For tags, --labels is missing."),
            (["--metric", "acuracy"], "Did you mean 'accuracy'?"),
            (["--augment", "satelite"], "Did you mean 'satellite'?"),
            (["--on-bad-item", "drop"], "--on-bad-item drop.\nExpected one of: raise, skip."),
            (["--precision", "fp64"], "--precision fp64.\nExpected one of: fp32, bf16, fp16."),
            (["--batch-size", "0"], "--batch-size 0."),
            (["--accumulate", "0"], "--accumulate 0.\nExpected a whole number of at least 1."),
            (["--ema", "2"], "--ema 2.0.\nExpected a number between 0 and 1.\nFix: pass --ema 0.99."),
            (["--labels", "none.csv"], "No such file: none.csv"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else None,
    )
    @pytest.mark.usefixtures("_tiny_models")
    def test_three_lines_say_what_is_wrong(
        self, shell: Any, photos: Path, tmp_path: Path, options: list[str], message: str
    ) -> None:
        done = shell("train", photos, "--sizes", "24", *options)
        assert done.code == 2
        assert message in done.err
        assert "Traceback" not in done.err
        assert not (tmp_path / "runs").exists()

    def test_an_unknown_backbone(self, shell: Any, photos: Path) -> None:
        done = shell("train", photos, "--sizes", "24", "--backbone", "resnet81")
        assert done.code == 2
        assert "Unknown backbone 'resnet81'" in done.err

    def test_weights_that_could_not_be_downloaded(self, shell: Any, photos: Path) -> None:
        done = shell("train", photos, "--sizes", "24", "--backbone", "test_resnet")
        assert done.code == 2
        assert "test_resnet" in done.err
        assert "Fix: " in done.err
