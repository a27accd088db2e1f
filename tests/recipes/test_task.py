from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import onecycle as oc
from learners import Break, assert_same, weights_of
from onecycle.errors import DataError, ModelError, OnecycleError
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.pipeline import Pipeline
from onecycle.recipes.task import fine_tune, prepare, train
from onecycle.train.learner import Learner
from task_data import label_table, pipeline_for


def code_of(pipeline: Pipeline) -> str:
    """The code without what was found in the files."""
    return "\n".join(line for line in str(pipeline).splitlines() if not line.startswith("#"))


class TestPipeline:
    def test_everything_that_was_chosen_is_in_the_code(self, photos: Path) -> None:
        options: dict[str, Any] = {
            "sizes": [24, 32], "epochs": [1, 2], "lr": 0.01, "freeze_to": 0, "backbone": "resnet18"
        }  # fmt: skip
        assert code_of(pipeline_for(photos, **options)) == "\n".join([
            "bunch = (",
            f'    oc.ImageList.from_folder("{photos}")',
            '    .split_random(valid=0.2, seed=42, stratify="folder")',
            "    .label_from_folder()",
            "    .transform(size=24, augment=oc.augment.default())",
            "    .databunch(batch_size=64, seed=42)",
            ")",
            'learner = oc.vision_learner(bunch, "resnet18", metrics=["accuracy"], callbacks=[oc.KeepBest("accuracy")])',
            "learner.fine_tune([1, 2], lr=0.01, freeze_to=0, sizes=[24, 32])",
            "learner.calibrate()",
        ])  # fmt: skip

    def test_masks(self, camvid: Path) -> None:
        assert code_of(pipeline_for(camvid, task="segment")).splitlines()[4:] == [
            "    .transform(size=(180, 240), augment=oc.augment.default())",
            "    .databunch(batch_size=8, seed=42)",
            ")",
            'learner = oc.unet_learner(bunch, metrics=["mean_iou"], callbacks=[oc.KeepBest("mean_iou")])',
            'learner.fine_tune(7, lr="auto")',
            "learner.calibrate()",
        ]

    @pytest.mark.slow
    def test_texts(self, reviews: Path) -> None:
        assert code_of(pipeline_for(reviews, task="text", epochs=1)).splitlines()[4:] == [
            "    .tokenize(max_length=128)",
            "    .databunch(batch_size=16, seed=42)",
            ")",
            'learner = oc.text_learner(bunch, metrics=["accuracy"], callbacks=[oc.KeepBest("accuracy")]).to_bf16()',
            'learner.fine_tune(1, lr="auto")',
            "learner.calibrate()",
        ]
        named = str(pipeline_for(reviews, task="text", backbone="all-MiniLM-L6-v2", precision="fp32", sizes=64))
        assert '.tokenize("all-MiniLM-L6-v2", max_length=64)' in named
        assert 'oc.text_learner(bunch, "all-MiniLM-L6-v2", ' in named
        assert "to_bf16" not in named

    def test_the_metric_and_the_finish_are_those_of_the_labels(self, tmp_path: Path) -> None:
        path = label_table(tmp_path, [("x", "a b"), ("y", "a"), ("z", "b")])
        tags, classes = (pipeline_for(tmp_path, labels=path, task=task) for task in ("tag", "classify"))
        assert 'metrics=["f1"], callbacks=[oc.KeepBest("f1")]' in str(tags)
        assert str(tags).splitlines()[-1] == "learner.calibrate()"
        assert 'metrics=["accuracy"], callbacks=[oc.KeepBest("accuracy")]' in str(classes)
        assert str(classes).splitlines()[-1] == "learner.calibrate()"
        assert 'metrics=["f2"]' in str(pipeline_for(tmp_path, labels=path, metric="f2"))

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"clip": 0.5}, ", clip=0.5)"),
            ({"ema": 0.9}, ", ema=0.9)"),
            ({"label_smoothing": 0.1}, ", label_smoothing=0.1)"),
            ({"weight_decay": 0.1}, ", weight_decay=0.1)"),
            ({"accumulate": 2, "precision": "bf16"}, ", accumulate=2).to_bf16()"),
            ({"checkpoint_activations": True}, ", checkpoint_activations=True)"),
            ({"cache_features": False}, ", cache_features=False)"),
            ({"progress": False}, ", progress=False)"),
            ({"mix": oc.Mixup(0.4)}, ", mix=oc.Mixup(alpha=0.4))"),
            ({"metrics": ["top_5", "accuracy"]}, 'metrics=["accuracy", "top_5"], '),
            ({"callbacks": [Break(0, ValueError())]}, 'callbacks=[oc.KeepBest("accuracy"), callbacks[0]])'),
            ({"loss": nn.CrossEntropyLoss()}, ", loss=loss)"),
            ({"on_bad_item": "skip"}, ".databunch(batch_size=64, seed=42, on_bad_item=\"skip\")"),
            ({"seed": 7, "batch_size": "auto"}, '.databunch(batch_size="auto", seed=7)'),
            ({"augment": "none"}, "augment=oc.augment.none())"),
            ({"sizes": 48}, ".transform(size=48, "),
            ({"lr": slice(1e-4, 1e-2)}, "fine_tune(lr=slice(0.0001, 0.01, None))"),
            ({"epochs": 0}, 'fine_tune(0, lr="auto")'),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )  # fmt: skip
    def test_options_that_differ_from_their_default_are_in_the_code(
        self, photos: Path, options: dict[str, Any], code: str
    ) -> None:
        assert code in str(pipeline_for(photos, **options))

    def test_the_default_augmentation_of_points_is_the_library_s(self, dots: Path) -> None:
        options: dict[str, Any] = {"task": "points", "labels": dots / "points.csv"}
        assert ".transform(size=128)" in str(pipeline_for(dots, **options))
        assert "augment=oc.augment.none()" in str(pipeline_for(dots, augment="none", **options))


class TestErrors:
    def test_an_unknown_augmentation(self, photos: Path) -> None:
        message = (
            r"^augment='satelite'\.\nExpected one of: none, default, satellite, document, scenes\.\n"
            r"Fix: check the spelling\. Did you mean 'satellite'\?$"
        )
        with pytest.raises(DataError, match=message):
            pipeline_for(photos, augment="satelite")

    def test_sizes_of_texts_with_two_sides(self, reviews: Path) -> None:
        message = r"^sizes=\(24, 32\) for texts\.\nExpected numbers of tokens\.\nFix: pass sizes=128\.$"
        with pytest.raises(DataError, match=message):
            pipeline_for(reviews, task="text", sizes=[(24, 32)])

    def test_an_unknown_option(self, photos: Path) -> None:
        with pytest.raises(ModelError, match=r"^fine_tune\(\) has no option bs=\."):
            fine_tune(photos, bs=8)

    def test_a_folder_that_does_not_exist(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"^No such file or folder: "):
            pipeline_for(tmp_path / "none").find_items()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": "48"}, r"^fine_tune\(\) got sizes='48', of type str\.\nExpected a whole number, a list"),
        ({"sizes": 48.0}, r"^fine_tune\(\) got sizes=48\.0, of type float\."),
        ({"epochs": "3"}, r"^fine_tune\(\) got epochs='3', of type str\."),
        (
            {"epochs": -1},
            r"^epochs=-1\.\nExpected a whole number of 0 or more, or one for each size\.\nFix: pass epochs=3",
        ),
        ({"epochs": []}, r"^epochs=\[\]\."),
        ({"freeze_to": -1}, r"^freeze_to=-1\.\nExpected a whole number of 0 or more\.\nFix: pass freeze_to=0\.$"),
        (
            {"labels": 3},
            r"^fine_tune\(\) got labels=3, of type int\.\nExpected a string, a path or None\.\nFix: pass a str",
        ),
        ({"column": 1}, r"^fine_tune\(\) got column=1, of type int\.\nExpected a string, a list of strings or None\."),
        ({"include": 3}, r"^fine_tune\(\) got include=3, of type int\."),
        ({"valid": ["a"]}, r"^fine_tune\(\) got valid=\['a'\], of type list\."),
        ({"masks": print}, r"^fine_tune\(\) got masks=print, of type builtin_function_or_method\."),
        ({"augment": [1]}, r"^fine_tune\(\) got augment=\[1\], of type list\.\nExpected a string\."),
        ({"metric": print}, r"^fine_tune\(\) got metric=print, of type builtin_function_or_method\."),
        (
            {"seed": "a"},
            r"^fine_tune\(\) got seed='a', of type str\.\nExpected a whole number\.\nFix: pass a whole number",
        ),
    ],
)
def test_values_of_another_type_are_told_before_anything_is_read(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OnecycleError, match=message):
        fine_tune("no such folder", **options)


def test_arguments_by_position_and_none_at_all(photos: Path) -> None:
    with pytest.raises(
        OnecycleError, match=r"^fine_tune\(\) got 2 arguments by position: [^$]*Fix: pass the others by name"
    ):
        fine_tune(photos, 3)
    with pytest.raises(OnecycleError, match=r"^fine_tune\(\) got no data=\."):
        fine_tune()


def test_what_the_data_block_made_is_told_how_to_go_on_and_that_works(photos: Path) -> None:
    images = oc.ImageList.from_folder(photos)
    split = images.split_random()
    labelled = split.label_from_folder()
    for data in (images, split, labelled, labelled.transform(128).databunch()):
        name = type(data).__name__
        message = (
            rf"^fine_tune\(\) was given (a|an) {name}\.\nExpected a folder, a CSV or Parquet file, or a table\.\n"
            "Fix: call vision_learner"
        )
        with pytest.raises(DataError, match=message) as caught:
            fine_tune(data)
        code = caught.value.fix.removeprefix("call ").partition(".fine_tune(3)")[0]
        assert eval(code, {"vision_learner": oc.vision_learner, "data": data}).data.target.classes
    texts = oc.TextList.from_texts(["a", "b"])
    with pytest.raises(
        DataError, match=r"text_learner\(data\.split_random\(\)\.label_from_folder\(\)\.databunch\(\)\)"
    ):
        fine_tune(texts)


@pytest.mark.parametrize("data", [["a.jpg", "b.jpg"], None, 3])
def test_what_is_no_data_is_told(data: Any) -> None:
    with pytest.raises(DataError, match=r"^fine_tune\(\) was given (a|an) \w+\.[^$]*Fix: pass the folder that holds"):
        fine_tune(data)


def test_fine_tune_shows_every_option() -> None:
    parameters = inspect.signature(fine_tune).parameters
    assert {"data", *FineTuneOptions.__dataclass_fields__} == set(parameters)
    assert parameters["seed"].default == 42
    assert "\n    clip: Largest norm of the gradient" in (fine_tune.__doc__ or "")


class TestPrintedCode:
    """What is printed, run by itself, gives the same learner."""

    def compare(self, data: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[Learner, Learner]:
        ours = fine_tune(data, epochs=1, lr=1e-3, batch_size=4, **options)
        names: dict[str, Any] = {"oc": oc}
        exec(capsys.readouterr().out, names)
        theirs: Learner = names["learner"]
        assert [record.valid_loss for record in theirs.history] == [record.valid_loss for record in ours.history]
        assert theirs.validate() == ours.validate()
        assert_same(weights_of(theirs), weights_of(ours))
        return ours, theirs

    @pytest.mark.usefixtures("_tiny_models")
    def test_classes(self, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.compare(
            photos, capsys, sizes=[24, 32], augment="satellite", clip=0.5, label_smoothing=0.1, weight_decay=0.1,
            mix=oc.Mixup(0.4), seed=3, cache_features=False,
        )  # fmt: skip

    @pytest.mark.usefixtures("_tiny_models")
    def test_tags_have_the_same_threshold(self, tagged: Path, capsys: pytest.CaptureFixture[str]) -> None:
        ours, theirs = self.compare(tagged, capsys, labels=tagged / "labels.csv", sizes=[24], metric="f2", ema=0.5)
        thresholds = [learner.target.to_config()["threshold"] for learner in (ours, theirs)]
        assert thresholds[0] == thresholds[1] != 0.5

    @pytest.mark.usefixtures("_tiny_unfrozen_models")
    def test_masks(self, camvid: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.compare(camvid, capsys, task="segment", sizes=[(24, 32)], accumulate=2)

    @pytest.mark.usefixtures("_tiny_unfrozen_models")
    def test_points(self, biwi: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.compare(biwi, capsys, task="points", sizes=[(24, 32)])

    @pytest.mark.usefixtures("_tiny_unfrozen_models")
    def test_numbers(self, dots: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.compare(dots, capsys, task="numbers", labels=dots / "points.csv", column=["left_x", "right_y"], sizes=24)

    def test_texts(self, reviews: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.compare(reviews, capsys, task="text", sizes=[24], precision="fp32", progress=False)

    @pytest.mark.usefixtures("_tiny_models")
    def test_broken_files_are_left_out_by_both(
        self, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        data = tmp_path / 'odd "name" \\ here'
        shutil.copytree(photos, data)
        broken = data / "red" / "red_3.jpg"
        broken.write_bytes(broken.read_bytes()[:300])
        with pytest.warns(UserWarning, match=r"^Skipped red/red_3\.jpg"):
            ours, theirs = self.compare(data, capsys, sizes=[24], on_bad_item="skip")
        assert ours.data.options.on_bad_item == theirs.data.options.on_bad_item == "skip"

    @pytest.mark.usefixtures("_tiny_models")
    def test_objects_of_the_user_are_used_and_named(self, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
        loss, made = nn.CrossEntropyLoss(label_smoothing=0.2), []

        def sgd(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
            made.append(len(groups))
            return torch.optim.SGD(groups)

        ours = fine_tune(photos, epochs=1, lr=1e-3, sizes=[24], loss=loss, optimizer=sgd)
        code = capsys.readouterr().out
        assert "# loss, optimizer: the objects that were passed.\n" in code
        assert made
        names: dict[str, Any] = {"oc": oc, "loss": loss, "optimizer": sgd}
        exec(code, names)
        assert_same(weights_of(names["learner"]), weights_of(ours))


@pytest.mark.usefixtures("_tiny_models")
def test_a_model_is_calibrated_also_after_ctrl_c(tagged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = pipeline_for(
        tagged, labels=tagged / "labels.csv", sizes=[24], epochs=1, lr=1e-3, callbacks=[Break(0, KeyboardInterrupt())]
    )
    learner = prepare(pipeline)
    tuned: list[bool] = []
    monkeypatch.setattr(Learner, "calibrate", lambda self: tuned.append(True))
    with pytest.raises(KeyboardInterrupt):
        train(learner, pipeline)
    assert tuned == [True]


@pytest.mark.usefixtures("_tiny_models")
def test_without_an_epoch_there_is_nothing_to_calibrate(tagged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = pipeline_for(tagged, labels=tagged / "labels.csv", sizes=[24])
    learner = prepare(pipeline)

    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(learner, "fine_tune", interrupted)
    monkeypatch.setattr(Learner, "calibrate", lambda self: pytest.fail("there is nothing to calibrate"))
    with pytest.raises(KeyboardInterrupt):
        train(learner, pipeline)
