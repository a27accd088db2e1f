"""Predictions for new items, however they are given; broken items; training without validation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import onecycle as oc
from learners import photo_bunch, tag_bunch, tiny
from onecycle.errors import DataError, ModelError
from onecycle.ship.model import Model
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def learner(photos: Path) -> Learner:
    learner = tiny(photo_bunch(photos))
    learner.fit(1, 1e-2)
    return learner


@pytest.fixture(scope="module")
def model(learner: Learner, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return oc.load_model(learner.export(tmp_path_factory.mktemp("model") / "photos.onecycle"))


class TestNewItems:
    def test_a_learner_and_a_loaded_model_predict_lists_folders_and_files_alike(
        self, learner: Learner, model: Model, photos: Path
    ) -> None:
        images = oc.ImageList.from_folder(photos / "red")
        expected = learner.predict_all(images)
        assert expected.table["item"].to_pylist()[0] == "red_0.jpg"
        column = pd.Series(images.paths, index=range(len(images))[::-1])
        for items in (photos / "red", str(photos / "red"), images.paths, [str(path) for path in images.paths], column):
            for predictions in (learner.predict_all(items), model.predict_all(items, batch_size=4)):
                assert torch.allclose(predictions.probabilities, expected.probabilities, atol=1e-5)
        assert len(model.predict_all(images.paths[0])) == len(learner.predict_all(str(images.paths[0]))) == 1

    def test_a_folder_becomes_a_csv(self, model: Model, photos: Path, tmp_path: Path) -> None:
        model.predict_all(photos / "red").to_csv(tmp_path / "submission.csv")
        assert (tmp_path / "submission.csv").read_text().startswith("image_name,label\nred_0,")

    def test_what_is_neither_is_refused_and_the_fix_works(self, learner: Learner, model: Model, photos: Path) -> None:
        with pytest.raises(DataError, match=r"no split and no file 'vaild'[\s\S]*Did you mean 'valid'\?"):
            learner.predict_all("vaild")
        assert len(learner.predict_all("valid")) == 6
        with pytest.raises(DataError, match=r"The inputs are 3 \(int\)\.[\s\S]*Fix: call predict\(\) for one input"):
            model.predict_all(3)  # type: ignore[arg-type]
        with pytest.raises(DataError, match=r"given as a list without any\."):
            model.predict_all([])
        with pytest.raises(DataError, match=r"No such file: .*no\.jpg\.[\s\S]*Fix: check the paths"):
            model.predict_all([photos / "no.jpg"])
        with pytest.raises(DataError, match=r"contains an int\.[\s\S]*predict_many"):
            model.predict_all([3])
        assert len(model.predict_all(oc.ImageList.from_folder(photos))) == 30

    def test_texts_are_given_as_texts_paths_or_a_folder(self, tmp_path: Path) -> None:
        split = oc.TextList.from_texts(["a good film", "a bad film"] * 8, ["pos", "neg"] * 8).split_by_index([0, 1])
        learner = oc.text_learner(split.label_from_column("label").databunch(4), progress=False)
        model = oc.load_model(learner.export(tmp_path / "texts.onecycle"))
        (tmp_path / "texts").mkdir()
        (tmp_path / "texts/one.txt").write_text("a very good film")
        expected = learner.predict("a very good film").probabilities["pos"]
        for items in (["a very good film"], [tmp_path / "texts/one.txt"], tmp_path / "texts"):
            predictions = model.predict_all(items)
            assert predictions.table["p(pos)"].to_pylist() == pytest.approx([expected], abs=1e-5)
        with pytest.raises(DataError, match=r"contains an int\.[\s\S]*pass str\(\.\.\.\)"):
            model.predict_all([3])


class TestBrokenItems:
    @pytest.fixture
    def folder(self, photos: Path, tmp_path: Path) -> Path:
        for number in range(3):
            (tmp_path / f"{number}.jpg").write_bytes((photos / f"red/red_{number}.jpg").read_bytes())
        (tmp_path / "broken.jpg").write_bytes((photos / "red/red_0.jpg").read_bytes()[:300])
        return tmp_path

    def test_they_are_left_out_and_named_and_their_files_stay(self, folder: Path) -> None:
        images = oc.ImageList.from_folder(folder).verify()
        assert images.items.names() == ["0.jpg", "1.jpg", "2.jpg"]
        assert [skipped.path for skipped in images.skipped] == ["broken.jpg"]
        assert (folder / "broken.jpg").exists()

    def test_they_are_deleted_where_that_is_asked_for(self, folder: Path) -> None:
        with pytest.warns(UserWarning, match=r"Deleted 1 file in .*: broken\.jpg\."):
            oc.ImageList.from_folder(folder).verify(delete=True)
        assert sorted(path.name for path in folder.iterdir()) == ["0.jpg", "1.jpg", "2.jpg"]

    def test_texts_in_a_table_cannot_be_deleted_and_the_fix_works(self) -> None:
        texts = oc.TextList.from_texts(["a", "b"])
        with pytest.raises(DataError, match=r"not files\.[\s\S]*Fix: leave delete= out"):
            texts.verify(delete=True)
        assert len(texts.verify()) == 2


class TestWithoutValidation:
    def test_it_is_said_and_a_model_is_trained_and_exported(self, photos: Path, tmp_path: Path) -> None:
        images = oc.ImageList.from_folder(photos)
        with pytest.warns(UserWarning, match="nothing measures what is learned") as caught:
            split = images.split_none()
        assert caught[0].filename == __file__
        bunch = split.label_from_folder().transform(32).databunch(8)
        learner = tiny(bunch, metrics=["accuracy"], callbacks=[oc.KeepBest("train_loss")])
        learner.fine_tune(1, 1e-2)
        assert [math.isnan(record.valid_loss) for record in learner.history] == [True, True]
        assert learner.history[0].cached_steps, "features are cached all the same"
        assert len(learner.predict_all("train")) == 30
        model = oc.load_model(learner.export(tmp_path / "all.onecycle"))
        assert model.predict(images[0]).label in bunch.classes
        assert (model.card["valid_loss"], model.card["metrics"]) == (None, {})
        assert "there are no validation items: nothing measures what was learned" in model.card["notes"]

    @pytest.fixture
    def unwatched(self, photos: Path) -> Learner:
        with pytest.warns(UserWarning, match="nothing measures what is learned"):
            split = oc.ImageList.from_folder(photos).split_none()
        return tiny(split.label_from_folder().transform(32).databunch(8), metrics=["accuracy"])

    @pytest.mark.parametrize("method", ["validate", "predict_all", "tta", "tune_threshold", "interpret"])
    def test_what_is_about_validation_items_is_refused_and_the_fixes_work(
        self, unwatched: Learner, photos: Path, method: str
    ) -> None:
        arguments = {"interpret": ["valid"]}.get(method, [])
        fix = r'Fix: hold some back, as split_random\(valid=0\.2\) does, or pass "train"'
        with pytest.raises(DataError, match=rf"There are no validation items\.\nExpected a split with items.*\n{fix}"):
            getattr(unwatched, method)(*arguments)
        if method != "tune_threshold":
            assert getattr(unwatched, method)("train")
            assert getattr(tiny(photo_bunch(photos)), method)(*arguments)

    @pytest.mark.slow
    def test_training_items_are_called_so(self, unwatched: Learner, tmp_path: Path, capsys: Any) -> None:
        with pytest.warns(UserWarning, match="these are the 30 training items, which the model knows") as caught:
            found = unwatched.interpret()
        assert caught[0].filename == __file__
        assert "30 training items, train_loss" in repr(found)
        assert found.scores == unwatched.validate("train")
        with pytest.warns(UserWarning, match="these are the 30 training items"):
            unwatched.show_results(2, worst=True)
        with pytest.warns(UserWarning, match="these are the 30 training items"):
            page = unwatched.report(tmp_path / "report.html").read_text()
        assert "Scores on the training items" in page
        assert "validation items" not in page.replace("there are no validation items", "")
        unwatched.export(tmp_path / "model.onnx")
        assert "proved on 30 training items" in capsys.readouterr().out

    def test_nothing_to_draw_is_refused_and_the_fix_works(self, unwatched: Learner) -> None:
        with pytest.raises(DataError, match=r"There are no validation items[\s\S]*or pass \"train\""):
            unwatched.data.show_batch(split="valid")
        assert unwatched.data.show_batch(split="train")

    def test_a_callback_that_watches_nothing_is_refused_and_the_fix_works(self, unwatched: Learner) -> None:
        unwatched.callbacks.append(oc.EarlyStopping("accuracy"))
        with pytest.raises(ModelError, match=r"EarlyStopping watches 'accuracy', and there are no validation items\."):
            unwatched.fit(1, 1e-3)
        unwatched.callbacks[-1] = oc.EarlyStopping("train_loss")
        unwatched.fit(1, 1e-3)


class TestThreshold:
    def test_a_fixed_threshold_is_used_and_exported(self, tagged: Path, tmp_path: Path) -> None:
        learner = tiny(tag_bunch(tagged))
        learner.threshold = 0.01
        assert learner.threshold == 0.01
        assert all(len(tags) == 3 for tags in learner.predict_all().table["prediction"].to_pylist())
        model = oc.load_model(learner.export(tmp_path / "tags.onecycle"))
        assert model.threshold == 0.01
        model.threshold = 0.99
        assert model.predict(tagged / "images/tile_0.png").label == ()

    def test_other_labels_and_values_are_refused_and_the_fix_works(self, learner: Learner, tagged: Path) -> None:
        with pytest.raises(ModelError, match=r"Only tags have a threshold[\s\S]*delimiter="):
            learner.threshold = 0.2
        tags = tiny(tag_bunch(tagged))
        with pytest.raises(DataError, match=r"threshold=20\.[\s\S]*set it to 0\.2"):
            tags.threshold = 20
        tags.threshold = 0.2


class TestSizeOfTheImages:
    def test_it_is_found_and_printed(self, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
        labelled = oc.ImageList.from_folder(photos).split_random(0.2).label_from_folder()
        bunch = labelled.transform(None).databunch(4)
        assert capsys.readouterr().out == "transform(size=None): 40x48 pixels, which all 30 images have.\n"
        assert next(iter(bunch.valid)).inputs.shape[1:3] == (40, 48)

    def test_images_of_several_sizes_are_refused_and_the_fix_works(self, photos: Path, tagged: Path) -> None:
        both = oc.ImageList.from_folder(photos / "red")[:4] + oc.ImageList.from_folder(tagged / "images")[:4]
        labelled = both.split_by_index([0, 7]).label_from_folder()
        with pytest.raises(DataError, match=r"differ in size: 40x48 \(4\), 32x32 \(4\)\.[\s\S]*Fix: pass a size"):
            labelled.transform(size=None)
        labelled.transform(224)
