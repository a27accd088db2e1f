from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from learners import tag_bunch, tiny
from onecycle import cli, demo
from onecycle.cli import main
from onecycle.train.learner import Learner

PROMISED = {
    "model.onecycle", "history.csv", "history_picture.png", "training_batch.png", "example_predictions.png",
    "worst_mistakes.png",
}  # fmt: skip


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Shell:
    """Runs the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: object) -> Result:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = self.capsys.readouterr()
        return Result(int(caught.value.code or 0), out, err)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


@pytest.fixture
def _tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """`train` makes a tiny model with random weights."""
    monkeypatch.setattr(oc, "vision_learner", tiny, raising=False)


@pytest.fixture(scope="module")
def bundle(tagged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    learner = tiny(tag_bunch(tagged))
    return learner.export(tmp_path_factory.mktemp("cli") / "tags.onecycle")


QUICK = ("--sizes", "24", "--epochs", "1", "--lr", "0.002", "--batch-size", "8")


class TestTrain:
    def test_end_to_end_with_the_weights_that_come_as_a_package(
        self, shell: Shell, photos: Path, tmp_path: Path
    ) -> None:
        done = shell("train", photos, "--sizes", "32", "--epochs", "1", "--out", "runs/one")
        assert done.code == 0, done.err
        written = {path.name for path in (tmp_path / "runs" / "one").iterdir()}
        assert written >= PROMISED
        assert "learning_rate_1.png" in written
        assert len(done.err.splitlines()) == 2, "a line an epoch, where there is no terminal"
        assert "On 6 validation items: valid_loss" in done.out
        assert f"Next: onecycle predict {Path('runs/one/model.onecycle')} INPUTS..." in done.out
        # The printed sentence, run as it stands, gives the same history.
        names: dict[str, Any] = {"oc": oc}
        exec(done.out.split("\n\n")[0], names)
        with (tmp_path / "runs" / "one" / "history.csv").open(newline="") as file:
            losses = [float(row["valid_loss"]) for row in csv.DictReader(file)]
        assert [record.valid_loss for record in names["learner"].history] == losses
        assert names["learner"].history[-1].metrics["accuracy"] > 0.9

    @pytest.mark.usefixtures("_tiny_models")
    def test_tags_from_a_csv_at_two_sizes(self, shell: Shell, tagged: Path, tmp_path: Path) -> None:
        done = shell(
            "train", tagged, "--labels", tagged / "labels.csv", "--sizes", "24,32", "--epochs", "1,2", "--lr", "0.002",
            "--metric", "f2", "--augment", "satellite", "--first-tuned", "0",
        )  # fmt: skip
        assert done.code == 0, done.err
        assert "fine_tune([1, 2], lr=0.002, first_tuned=0, sizes=[24, 32])" in done.out
        out = tmp_path / "runs" / tagged.name
        assert {path.name for path in out.iterdir()} == PROMISED
        with (out / "history.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["inputs"] for row in rows] == ["24x24 pixels"] * 2 + ["32x32 pixels"] * 3
        assert {"valid_loss", "f2"} <= rows[0].keys()
        assert oc.load_model(out / "model.onecycle").classes == ("blue", "green", "red")

    @pytest.mark.usefixtures("_tiny_models")
    def test_ctrl_c_keeps_the_best_model_so_far_and_says_where(
        self, shell: Shell, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        train_step = Learner._train_step

        def interrupted(self: Learner, *arguments: Any) -> Any:
            if len(self.history):
                raise KeyboardInterrupt
            return train_step(self, *arguments)

        monkeypatch.setattr(Learner, "_train_step", interrupted)
        done = shell("train", photos, *QUICK, "--out", "here")
        assert done.code == 130
        assert f"Stopped by Ctrl-C: the best model so far is {Path('here/model.onecycle')}" in done.out
        assert {path.name for path in (tmp_path / "here").iterdir()} == PROMISED
        assert oc.load_model(tmp_path / "here" / "model.onecycle").card["epochs"] == 1

    @pytest.mark.usefixtures("_tiny_models")
    def test_ctrl_c_before_the_first_epoch_leaves_nothing(
        self, shell: Shell, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*arguments: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Learner, "_train_step", interrupted)
        done = shell("train", photos, *QUICK, "--out", "here")
        assert done.code == 130
        assert "Stopped before the first epoch was done: there is no model to keep" in done.err
        assert not (tmp_path / "here").exists()

    @pytest.mark.filterwarnings("default:Skipped")  # told in a line, as outside of the tests
    @pytest.mark.usefixtures("_tiny_models")
    def test_a_broken_file_stops_it_or_is_skipped(self, shell: Shell, photos: Path, tmp_path: Path) -> None:
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


class TestWrongUse:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            (["--lr", "fast"], "--lr fast.\nExpected a number or auto.\nFix: pass --lr 0.003."),
            (["--lr", "-1"], "Learning rate -1.0"),
            (["--sizes", "64;128"], "--sizes 64;128.\nExpected pixels, or height x width, separated by commas."),
            (["--sizes", "0"], "size=0"),
            (["--epochs", "many"], "--epochs many."),
            (["--epochs", "1,2"], "Expected an epoch count for each size"),
            (
                ["--task", "sort"],
                "--task sort.\nExpected one of: auto, classify, tag, segment, points, numbers, text, sentiment.",
            ),
            (["--task", "tag"], "Tags were asked for without labels="),
            (["--metric", "acuracy"], "Did you mean 'accuracy'?"),
            (["--augment", "satelite"], "Did you mean 'satellite'?"),
            (["--on-bad-item", "drop"], "--on-bad-item drop.\nExpected one of: raise, skip."),
            (["--batch-size", "0"], "batch_size=0"),
            (["--labels", "none.csv"], "No such file: none.csv"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else None,
    )
    @pytest.mark.usefixtures("_tiny_models")
    def test_it_is_told_in_three_lines_and_exits_with_2(
        self, shell: Shell, photos: Path, tmp_path: Path, options: list[str], says: str
    ) -> None:
        done = shell("train", photos, "--sizes", "24", *options)
        assert done.code == 2
        assert says in done.err
        assert "Traceback" not in done.err
        assert not (tmp_path / "runs").exists()

    def test_a_missing_folder(self, shell: Shell) -> None:
        for command in ("train", "check"):
            done = shell(command, "nowhere")
            assert done.code == 2
            assert done.err.splitlines()[-3:] == [
                "No such folder: nowhere.", "Expected a folder with images in it.", "Fix: check the path.",
            ]  # fmt: skip

    def test_an_unknown_backbone(self, shell: Shell, photos: Path) -> None:
        done = shell("train", photos, "--sizes", "24", "--backbone", "resnet81")
        assert done.code == 2
        assert "Unknown backbone 'resnet81'" in done.err

    def test_weights_that_cannot_be_had(self, shell: Shell, photos: Path) -> None:
        done = shell("train", photos, "--sizes", "24", "--backbone", "test_resnet")
        assert done.code == 2
        assert "cannot be had from the hub" in done.err

    @pytest.mark.parametrize("arguments", [["train"], ["fly"], ["train", ".", "--speed", "9"], ["predict", "x"]])
    def test_an_unknown_command_or_option_exits_with_2(self, shell: Shell, arguments: list[str]) -> None:
        assert shell(*arguments).code == 2

    def test_debug_shows_the_traceback(self, shell: Shell) -> None:
        done = shell("--debug", "train", "nowhere")
        assert done.code == 2
        assert "Traceback" in done.err

    def test_a_fault_of_ours_exits_with_1_and_a_hint(
        self, shell: Shell, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onecycle.recipes.sentence_for", lambda *arguments, **options: 1 // 0)
        done = shell("train", photos)
        assert done.code == 1
        assert done.err.splitlines() == [
            "A fault in onecycle: ZeroDivisionError: integer division or modulo by zero",
            "Run onecycle --debug ... for the traceback.",
        ]
        assert "Traceback" in shell("--debug", "train", photos).err


class TestPredict:
    def test_to_the_screen(self, shell: Shell, bundle: Path, tagged: Path) -> None:
        item = tagged / "images" / "tile_0.png"
        done = shell("predict", bundle, item)
        assert done.code == 0
        model = oc.load_model(bundle)
        label, probabilities = model.predict(item)
        assert done.out == f"{item}\t{model.target.caption(label)}\t{max(probabilities.values()):.3f}\n"

    def test_a_folder_into_a_csv(self, shell: Shell, bundle: Path, tagged: Path, tmp_path: Path) -> None:
        done = shell("predict", bundle, tagged / "images", "--out", "answers.csv")
        assert (done.code, done.out) == (0, "24 predictions written to answers.csv\n")
        with (tmp_path / "answers.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["image_name", "tags"]
        assert {row["image_name"] for row in rows} == {f"tile_{number}" for number in range(24)}

    def test_one_class_an_item_is_called_label(self, shell: Shell, tmp_path: Path, tagged: Path) -> None:
        golden = Path(__file__).parent / "ship" / "golden" / "v1.onecycle"
        assert shell("predict", golden, tagged / "images" / "tile_0.png", "--out", "answers.csv").code == 0
        assert (tmp_path / "answers.csv").read_text().splitlines()[0] == "image_name,label"

    def test_a_broken_file_among_good_ones(self, shell: Shell, bundle: Path, tagged: Path, tmp_path: Path) -> None:
        (tmp_path / "broken.jpg").write_bytes(b"no image")
        good = [tagged / "images" / f"tile_{number}.png" for number in (0, 1)]
        done = shell("predict", bundle, good[0], "broken.jpg", good[1])
        assert done.code == 2
        assert [line.split("\t")[0] for line in done.out.splitlines()] == [str(path) for path in good]
        assert "broken.jpg" in done.err
        assert "Fix:" in done.err

    def test_a_file_that_is_not_there(self, shell: Shell, bundle: Path) -> None:
        done = shell("predict", bundle, "none.jpg")
        assert (done.code, done.out) == (2, "")
        assert "none.jpg" in done.err

    def test_what_is_no_bundle(self, shell: Shell, tagged: Path) -> None:
        item = tagged / "images" / "tile_0.png"
        done = shell("predict", item, item)
        assert done.code == 2
        assert "is no bundle, or was cut short" in done.err


class TestCheck:
    def test_good_data(self, shell: Shell, photos: Path) -> None:
        done = shell("check", photos)
        assert done.code == 0, done.err
        assert "30 items read, 0 broken." in done.out
        assert "blue, green, red" in done.out

    def test_broken_files_are_listed(self, shell: Shell, photos: Path, tmp_path: Path) -> None:
        shutil.copytree(photos, data := tmp_path / "data")
        broken = data / "red" / "red_3.jpg"
        broken.write_bytes(broken.read_bytes()[:300])
        shutil.copy(data / "blue" / "blue_0.jpg", data / "blue" / "again.jpg")
        done = shell("check", data)
        assert done.code == 2
        assert "31 items read, 1 broken." in done.out
        assert "red/red_3.jpg" in done.out
        assert "1 groups of exact duplicates" in done.out

    def test_labels_from_a_csv(self, shell: Shell, tagged: Path) -> None:
        done = shell("check", tagged, "--labels", tagged / "labels.csv")
        assert done.code == 0, done.err
        assert "24 items read, 0 broken." in done.out


def test_info_tells_what_a_model_is(shell: Shell, bundle: Path) -> None:
    done = shell("info", bundle)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith(f"{bundle}: test_efficientnet, 0.4 MB, written by onecycle ")
    assert lines[1:4] == ["predicts multi_category: blue, green, red", "threshold 0.5", "reads images at 32x32"]
    assert "training_items: 20" in lines or "training_items: 19" in lines


@pytest.mark.usefixtures("_tiny_models")
def test_demo_makes_data_models_and_pictures(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planet, patterns = demo.make_planet, demo.make_patterns
    monkeypatch.setattr(demo, "make_planet", lambda folder: planet(folder, train=40, test=2, pixels=48))
    monkeypatch.setattr(demo, "make_patterns", lambda folder: patterns(folder, each=6, pixels=48))
    done = shell("demo", "--out", "show")
    assert done.code == 0, done.err
    for name in ("planet", "patterns"):
        assert {path.name for path in (tmp_path / "show" / name).iterdir()} >= PROMISED
        assert f"--- {name}: " in done.out


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["predict", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom onecycle.cli import main\n"
        f"try: main({arguments!r})\n"
        "finally: print([name for name in ('torch', 'timm', 'pyarrow', 'matplotlib', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_installed_command_is_this_one() -> None:
    done = subprocess.run([sys.executable, "-c", "import importlib.metadata as m; print(m.entry_points(group='console_scripts')['onecycle'].value)"], capture_output=True, text=True, check=True)  # fmt: skip  # noqa: E501
    assert done.stdout.strip() == f"{cli.__name__}:main"


@pytest.mark.usefixtures("_tiny_models")
def test_a_folder_that_cannot_be_written_is_told_before_training(shell: Shell, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = shell("train", photos, *QUICK, "--out", tmp_path / "file" / "run")
    assert done.code == 2
    assert f"Cannot write to {tmp_path / 'file' / 'run'}: {tmp_path / 'file'} is a file." in done.err
    assert "Fix: pass another --out." in done.err
    assert "epoch 1" not in done.err
