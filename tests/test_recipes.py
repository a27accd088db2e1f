from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from learners import assert_same, tiny, weights_of
from onecycle.demo import make_planet
from onecycle.errors import DataError
from onecycle.recipes import Call, Sentence, fine_tune, labelled_list, prepare, sentence_for, train
from onecycle.recipes.task import Wishes
from onecycle.train.learner import Learner


@pytest.fixture
def _tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes, and the sentences they print, train a tiny model with random weights."""
    monkeypatch.setattr(oc, "vision_learner", tiny, raising=False)


def table(folder: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("image_name", "tags")) -> Path:
    """Write `folder/labels.csv`, and an (empty) file for each image that it names."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    for row in rows:
        (folder / f"{row[0]}.jpg").touch()
    return folder / "labels.csv"


def label_call(sentence: Sentence) -> str:
    return str(sentence.labelled[2])


def labels(values: list[str], folder: Path, **options: Any) -> str:
    path = table(folder, [(f"x{number}", value) for number, value in enumerate(values)])
    return label_call(sentence_for(folder, labels=path, **options))


class TestTask:
    @pytest.mark.parametrize(
        "values",
        [
            ["cat", "dog"] * 10,
            ["polar bear", "brown bear"] * 10,
            ["polar bear", "cat", "dog"] * 10,  # "cat" stands alone, but is no piece of another
            ["baseball diamond", "tennis court", "dense residential", "medium residential", "river", "forest"] * 5,
            ["Smith, John", "Doe, Jane"] * 10,
            ["cat"] * 99 + ["a b"],  # one odd value in a hundred
        ],
        ids=["words", "two words", "one or two words", "land use", "commas", "an odd one"],
    )
    def test_one_label_an_item_stays_one(self, tmp_path: Path, values: list[str]) -> None:
        assert labels(values, tmp_path) == 'label_from_column("tags")'

    @pytest.mark.parametrize("delimiter", [" ", ",", ";", "|"])
    def test_tags_and_what_separates_them_are_found(self, tmp_path: Path, delimiter: str) -> None:
        values = [delimiter.join(tags) for tags in (["clear", "road"], ["clear"], ["haze", "road"], ["haze"])] * 5
        assert labels(values, tmp_path) == f'label_from_column("tags", delimiter="{delimiter}", classes="all")'

    def test_tags_in_ever_new_combinations_are_tags_even_where_none_stands_alone(self, tmp_path: Path) -> None:
        tags = ["a", "b", "c", "d", "e"]
        values = [f"{one} {other}" for one in tags for other in tags if one != other]
        assert 'delimiter=" "' in labels(values, tmp_path)

    def test_the_demo_is_told_to_be_tags(self, tmp_path: Path) -> None:
        planet = make_planet(tmp_path, train=60, test=1, pixels=48)
        sentence = sentence_for(planet, labels=planet / "train_v2.csv")
        assert label_call(sentence) == 'label_from_column("tags", delimiter=" ", classes="all")'
        assert f'folder="{planet / "train-jpg"}", suffix=".jpg"' in str(sentence)

    def test_what_is_asked_for_goes_before_what_is_found(self, tmp_path: Path) -> None:
        assert labels(["a b", "a"] * 5, tmp_path / "1", task="classify") == 'label_from_column("tags")'
        assert 'delimiter=" "' in labels(["a", "b"] * 5, tmp_path / "2", task="tag")
        assert 'delimiter="-"' in labels(["a-b", "c"] * 5, tmp_path / "3", delimiter="-")

    def test_the_metric_fits_the_task(self, tmp_path: Path) -> None:
        path = table(tmp_path, [("x", "a b"), ("y", "a"), ("z", "b")])
        tags, classes = (sentence_for(tmp_path, labels=path, task=task) for task in ("tag", "classify"))
        assert 'metrics=["f1"], callbacks=[oc.KeepBest("f1")]' in str(tags)
        assert 'metrics=["accuracy"], callbacks=[oc.KeepBest("accuracy")]' in str(classes)
        assert 'metrics=["f2"]' in str(sentence_for(tmp_path, labels=path, metric="f2"))


class TestColumn:
    @pytest.mark.parametrize("name", ["tags", "labels", "label", "class", "category", "target"])
    def test_the_usual_names_are_found(self, tmp_path: Path, name: str) -> None:
        path = table(tmp_path, [("x", "1", "a"), ("y", "2", "b")], ("image", "size", name))
        assert label_call(sentence_for(tmp_path, labels=path)) == f'label_from_column("{name}")'

    def test_of_two_columns_the_second_is_the_label(self, tmp_path: Path) -> None:
        path = table(tmp_path, [("x", "a"), ("y", "b")], ("image", "weather"))
        assert label_call(sentence_for(tmp_path, labels=path)) == 'label_from_column("weather")'

    def test_any_other_is_taken_when_it_is_named(self, tmp_path: Path) -> None:
        path = table(tmp_path, [("x", "a", "n"), ("y", "b", "m")], ("image", "label", "weather"))
        assert label_call(sentence_for(tmp_path, labels=path, column="weather")) == 'label_from_column("weather")'

    def test_a_column_that_is_not_there_is_refused_with_a_suggestion(self, tmp_path: Path) -> None:
        path = table(tmp_path, [("x", "a")])
        with pytest.raises(DataError, match=r"There is no column 'tag' in[\s\S]*Did you mean 'tags'"):
            sentence_for(tmp_path, labels=path, column="tag")

    def test_where_none_is_known_the_user_is_asked(self, tmp_path: Path) -> None:
        path = table(tmp_path, [("x", "a", "b")], ("image", "first", "second"))
        with pytest.raises(
            DataError, match=r"Which column of .* holds the labels\?\nExpected one of: image, first, second"
        ):
            sentence_for(tmp_path, labels=path)


class TestWhere:
    def test_names_with_their_suffix(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("image,label\na.png,x\nb.png,y\n")
        (tmp_path / "a.png").touch()
        assert f'folder="{tmp_path}")' in str(sentence_for(tmp_path, labels=tmp_path / "labels.csv"))

    def test_names_of_files_further_down(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("image,label\na.png,x\nb.png,y\n")
        (tmp_path / "deep" / "er").mkdir(parents=True)
        (tmp_path / "deep" / "er" / "b.png").touch()
        sentence = str(sentence_for(tmp_path, labels=tmp_path / "labels.csv"))
        assert f'folder="{tmp_path / "deep" / "er"}")' in sentence

    def test_relative_names(self, tmp_path: Path) -> None:
        (tmp_path / "labels.csv").write_text("image,label\nsub/a.png,x\nsub/b.png,y\n")
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "a.png").touch()
        assert f'folder="{tmp_path}")' in str(sentence_for(tmp_path, labels=tmp_path / "labels.csv"))

    def test_no_folder(self, tmp_path: Path) -> None:
        path = table(tmp_path, [("x", "a")])
        with pytest.raises(DataError, match=r"No such folder: .*none\.\nExpected the folder with the images"):
            sentence_for(tmp_path / "none", labels=path)

    def test_no_image_that_the_csv_names(self, tmp_path: Path) -> None:
        path = table(tmp_path / "a", [("x", "a"), ("y", "b")])
        (tmp_path / "b").mkdir()
        with pytest.raises(DataError, match=r"None of the images that the CSV names is below .*, such as x, y\."):
            sentence_for(tmp_path / "b", labels=path)

    def test_rows_without_an_image_are_left_out_when_asked_for(self, tmp_path: Path) -> None:
        path = table(tmp_path, [("x", "a")])
        assert 'missing="drop"' in str(sentence_for(tmp_path, labels=path, missing="drop"))

    def test_no_csv(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="No such file"):
            sentence_for(tmp_path, labels=tmp_path / "none.csv")


class TestSplit:
    @pytest.mark.parametrize(
        ("folders", "call"),
        [
            (["train", "valid"], 'split_by_folder(train="train", valid="valid")'),
            (["training", "validation"], 'split_by_folder(train="training", valid="validation")'),
            (["train", "val", "test"], 'split_by_folder(train="train", valid="val", test="test")'),
            (["train", "test"], 'split_by_folder(train="train", valid="test")'),
            (["training", "testing", "more"], 'split_by_folder(train="training", valid="testing")'),
            (["train", "cats"], 'split_random(valid=0.2, seed=7, stratify="folder")'),
            (["cats", "dogs"], 'split_random(valid=0.2, seed=7, stratify="folder")'),
            (["valid", "dogs"], 'split_random(valid=0.2, seed=7, stratify="folder")'),
        ],
        ids=" ".join,
    )
    def test_sides_are_found_under_their_usual_names(self, tmp_path: Path, folders: list[str], call: str) -> None:
        for name in folders:
            (tmp_path / name).mkdir()
        assert str(sentence_for(tmp_path, seed=7).labelled[1]) == call

    def test_they_are_used(self, photos: Path, tmp_path: Path) -> None:
        for side in ("train", "validation"):
            shutil.copytree(photos, tmp_path / side)
        labelled = labelled_list(sentence_for(tmp_path))
        assert (len(labelled.train), len(labelled.valid)) == (30, 30)
        assert labelled.target.classes == ("blue", "green", "red")

    def test_one_label_an_item_is_split_in_equal_shares(self, tmp_path: Path) -> None:
        path = table(tmp_path, [("x", "a"), ("y", "b")])
        assert (
            str(sentence_for(tmp_path, labels=path).labelled[1]) == 'split_random(valid=0.2, seed=42, stratify="tags")'
        )


class TestWrongUse:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"augment": "satelite"}, r"augment='satelite'[\s\S]*Did you mean 'satellite'"),
            ({"task": "clasify"}, r"task='clasify'[\s\S]*Did you mean 'classify'"),
            ({"sizes": []}, r"No sizes were given"),
            ({"task": "tag"}, r"Tags were asked for without labels=\.\nExpected a CSV of tags"),
        ],
    )
    def test_it_is_refused_at_once(self, photos: Path, options: dict[str, Any], says: str) -> None:
        with pytest.raises(DataError, match=says):
            sentence_for(photos, **options)

    def test_a_folder_that_is_not_there_is_refused_when_it_is_read(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="No such folder"):
            labelled_list(sentence_for(tmp_path / "none"))


class TestSentence:
    def test_it_reads_as_the_data_block(self, photos: Path) -> None:
        wishes: Wishes = {"sizes": [24, 32], "epochs": [1, 2], "lr": 0.01, "first_tuned": 0, "backbone": "resnet18"}
        assert str(sentence_for(photos, **wishes)) == "\n".join([
            "bunch = (",
            f'    oc.ImageList.from_folder("{photos}")',
            '    .split_random(valid=0.2, seed=42, stratify="folder")',
            "    .label_from_folder()",
            "    .transform(size=24, augment=oc.augment.default())",
            "    .databunch(batch_size=64, seed=42)",
            ")",
            'learner = oc.vision_learner(bunch, "resnet18", metrics=["accuracy"], callbacks=[oc.KeepBest("accuracy")])',
            "learner.fine_tune([1, 2], lr=0.01, first_tuned=0, sizes=[24, 32])",
        ])  # fmt: skip

    def test_quotes_and_backslashes_in_a_path_survive(self) -> None:
        path = 'a "b"\\c'
        assert eval(str(Call("str", (path,)))) == path

    @pytest.mark.usefixtures("_tiny_models")
    @pytest.mark.parametrize("kind", ["classes", "tags"])
    def test_the_printed_sentence_is_what_is_run(
        self, photos: Path, tagged: Path, kind: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options: dict[str, Any] = {"labels": tagged / "labels.csv"} if kind == "tags" else {}
        data = tagged if kind == "tags" else photos
        ours = fine_tune(data, sizes=[24, 32], epochs=1, lr=1e-3, augment="satellite", batch_size=8, **options)
        names: dict[str, Any] = {"oc": oc}
        exec(capsys.readouterr().out, names)
        theirs: Learner = names["learner"]
        assert [record.valid_loss for record in theirs.history] == [record.valid_loss for record in ours.history]
        assert_same(weights_of(theirs), weights_of(ours))

    @pytest.mark.usefixtures("_tiny_models")
    def test_tags_get_their_threshold_also_after_ctrl_c(self, tagged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        sentence = sentence_for(tagged, labels=tagged / "labels.csv", sizes=[24], epochs=1, lr=1e-3)
        learner = prepare(sentence)
        tuned: list[bool] = []
        train_step = Learner._train_step

        def interrupted(self: Learner, *arguments: Any) -> Any:
            if len(self.history):
                raise KeyboardInterrupt
            return train_step(self, *arguments)

        monkeypatch.setattr(Learner, "_train_step", interrupted)
        monkeypatch.setattr(Learner, "tune_threshold", lambda self: tuned.append(True))
        with pytest.raises(KeyboardInterrupt):
            train(learner, sentence)
        assert tuned == [True]

    @pytest.mark.usefixtures("_tiny_models")
    def test_broken_items_may_be_left_out(self, photos: Path, tmp_path: Path) -> None:
        shutil.copytree(photos, tmp_path, dirs_exist_ok=True)
        (tmp_path / "red" / "red_3.jpg").write_bytes((tmp_path / "red" / "red_3.jpg").read_bytes()[:300])
        learner = prepare(sentence_for(tmp_path, sizes=[24]), on_bad_item="skip")
        assert learner.data.options.on_bad_item == "skip"
