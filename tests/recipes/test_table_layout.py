"""Data in tables and shards, as the Hugging Face hub and WebDataset have it: what is chosen, printed and left out."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import onecycle as oc
from onecycle.cli.shell_words import shell_advice
from onecycle.errors import DataError
from recipes.folders import COLOURS, kind, pictures
from shard_files import write_tar
from task_data import pipeline_for

LABELS = {"_type": "ClassLabel", "names": ["cat", "dog"]}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "cache"))


def drawn(name: str, seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(-40, 40, (16, 16, 3))
    held = io.BytesIO()
    Image.fromarray(np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype(np.uint8)).save(held, "PNG")
    return held.getvalue()


def table_of(numbers: Any, *, labels: Any = None, said: bool = True, **columns: Any) -> pa.Table:
    """Cats are even and dogs odd, as the hub stores them."""
    table = pa.table(
        {
            "image": [{"bytes": drawn(kind(i), i), "path": f"{i}.png"} for i in numbers],
            "label": pa.array([i % 2 for i in numbers] if labels is None else labels, pa.int64()),
            **columns,
        }
    )
    features = {"image": {"_type": "Image"}, **({"label": LABELS} if said else {})}
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def write(path: Path, table: pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=4)
    return path


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A data set as the hub has it."""
    root = tmp_path / "hub"
    for name, numbers in {
        "train-00000-of-00002": range(8),
        "train-00001-of-00002": range(8, 14),
        "validation-00000-of-00001": range(14, 18),
        "test-00000-of-00001": range(18, 24),
    }.items():
        write(root / f"data/{name}.parquet", table_of(numbers))
    (root / "README.md").write_text("# A data set")
    return root


def labelled(data: Any, **options: Any) -> Any:
    pipeline = pipeline_for(data, **options)
    return pipeline.label(pipeline.find_items())


def names(rows: Any) -> set[int]:
    return {int(name.removesuffix(".png")) for name in rows.names()}


def test_the_case_of_lists_and_bytes(tmp_path: Path) -> None:
    tags = [[kind(i), "small"] if i % 3 else [kind(i)] for i in range(24)]
    path = write(tmp_path / "train.parquet", table_of(range(24), tags=tags))
    pipeline = pipeline_for(path)
    assert pipeline.findings == (
        f"images: inside column 'image' of {path}, 24 rows",
        "labels: column 'label' (its metadata names the classes); 2 classes, one an item",
    )
    for data in (path, tmp_path, oc.ImageList.from_parquet(path).items.table and pq.read_table(path)):
        assert labelled(data).target.classes == ("cat", "dog")
        assert labelled(data, task="tag").target.classes == ("cat", "dog", "small")
        assert labelled(data, column="tags").target.kind == "multi_category"
    bunch = labelled(path).transform(32).databunch(4, workers=2, cache=None)
    assert sum(len(batch) for batch in bunch.train) == 20
    bunch.train._processes.close()


@pytest.mark.parametrize("task", ["auto", "classify", "tag"])
def test_two_columns_named_for_classes_are_refused_and_the_fix_reads_each(task: str) -> None:
    table = table_of(range(24), said=False, size=[("small", "large")[i % 3 // 2] for i in range(24)])
    told = (
        r"2 columns are named for one label: label, size\.\nExpected one column of classes or tags(.|\n)*"
        r"Fix: pass column='label' or column='size'\."
    )
    with pytest.raises(DataError, match=told):
        pipeline_for(table, column=["label", "size"], task=task)
    for column in ("label", ["label"], "size"):
        assert len(labelled(table, column=column, task=task).target.classes) == 2


def test_two_columns_that_fit_are_refused_and_the_fix_reads_one(tmp_path: Path) -> None:
    table = table_of(range(24), said=False, tags=[["a"], ["b"], ["a", "b"]] * 8)
    with pytest.raises(DataError, match=r"Which column of the Table holds the labels\?(.|\n)*fit about as well"):
        pipeline_for(table)
    assert labelled(table, column="label").target.classes == ("0", "1")
    assert labelled(table, column="tags").target.classes == ("a", "b")


def test_two_columns_of_images_are_refused_and_the_fix_reads_one(tmp_path: Path) -> None:
    table = table_of(range(24), said=False)
    two = table.append_column("mask", table["image"]).replace_schema_metadata(None)
    for data in (two, write(tmp_path / "train.parquet", two)):
        with pytest.raises(DataError, match="2 columns that can hold items: image, mask") as error:
            pipeline_for(data)
        assert error.value.fix.startswith("pass image_column= with one of: image, mask. Masks inside tables are not ")
        assert (
            shell_advice(error.value).splitlines()[2].startswith("Fix: pass --image-column with one of: image, mask.")
        )
        assert labelled(data, image_column="mask").target.classes == ("0", "1")


class TestStructsAreNoLabels:
    """Detection data of the hub: {bbox, category} for each image."""

    objects: ClassVar[list[dict[str, Any]]] = [{"bbox": [[1.0, 2.0, 3.0, 4.0]], "category": [i % 2]} for i in range(24)]
    refused = (
        r"Column 'objects' holds structs \(dicts\), which are no labels: (.|\n)*Expected a column with the name of the "
        r"class in each row(.|\n)*Fix: write the names into a column of their own, and pass it as column=\."
    )

    def boxes(self, **columns: Any) -> pa.Table:
        more = {"width": [16 + i % 3 for i in range(24)], "objects": self.objects, **columns}
        return table_of(range(24), said=False, **more).drop_columns(["label"])

    @pytest.mark.parametrize("options", [{}, {"task": "tag"}, {"column": "objects"}])
    def test_the_recipe_refuses_them_and_the_fix_reads_the_classes(self, options: dict[str, Any]) -> None:
        for objects in (self.objects, [[one] for one in self.objects]):
            with pytest.raises(DataError, match=self.refused):
                pipeline_for(self.boxes(objects=objects), **options)
        fixed = self.boxes(animal=[kind(i) for i in range(24)])
        assert labelled(fixed, column="animal").target.classes == ("cat", "dog")

    def test_other_columns_are_still_found(self) -> None:
        table = self.boxes(animal=[kind(i) for i in range(24)])
        assert labelled(table.drop_columns(["width"])).target.classes == ("cat", "dog")

    @pytest.mark.parametrize("delimiter", [None, " "])
    def test_labelling_refuses_them(self, delimiter: str | None) -> None:
        with pytest.raises(DataError, match=self.refused):
            oc.ImageList.from_table(self.boxes()).split_random().label_from_column("objects", delimiter=delimiter)


class TestSplitsOfTheHub:
    def test_all_three_are_used(self, hub: Path) -> None:
        pipeline = pipeline_for(hub)
        assert str(pipeline.items) == f'ImageList.from_parquet("{hub.as_posix()}")'
        assert str(pipeline.labelled[0]) == 'split_by_column("split", valid="valid", test="test")'
        found = labelled(hub)
        assert (names(found.train), names(found.valid)) == ({*range(14)}, {*range(14, 18)})
        assert repr(found).startswith("LabelledImages: 14 training, 4 validation, 6 test items (labelled)")

    def test_another_validation_set_leaves_the_test_set_alone(self, hub: Path) -> None:
        found = labelled(hub, valid=0.3)
        assert names(found.train) | names(found.valid) == {*range(18)}
        assert names(found.test) == {*range(18, 24)}
        assert pipeline_for(hub, valid=0.3).findings[1].endswith("data/test-00000-of-00001.parquet is the test set")

    def test_a_labelled_test_set_validates_where_nothing_else_does(self, hub: Path) -> None:
        (hub / "data/validation-00000-of-00001.parquet").unlink()
        found = labelled(hub)
        assert (names(found.train), names(found.valid)) == ({*range(14)}, {*range(18, 24)})
        assert "validates, since it has the same classes" in pipeline_for(hub).findings[1]

    def test_an_unlabelled_test_set_never_does(self, hub: Path) -> None:
        (hub / "data/validation-00000-of-00001.parquet").unlink()
        write(hub / "data/test-00000-of-00001.parquet", table_of(range(18, 24), labels=[-1] * 6))
        found = labelled(hub)
        assert names(found.train) | names(found.valid) == {*range(14)}
        assert names(found.test) == {*range(18, 24)}

    def test_files_of_no_split_are_left_out_and_told(self, hub: Path) -> None:
        write(hub / "data/extra.parquet", table_of(range(30, 34)))
        assert "left out: data/extra.parquet, whose names are of no split" in pipeline_for(hub).findings
        assert names(labelled(hub).train) == {*range(14)}

    def test_a_dataset_in_memory(self, hub: Path) -> None:
        datasets = pytest.importorskip("datasets")
        parts = {"train": range(14), "validation": range(14, 18), "test": range(18, 24)}
        data = datasets.DatasetDict({name: datasets.Dataset(table_of(part)) for name, part in parts.items()})
        found = labelled(data)
        assert (names(found.train), names(found.valid), names(found.test)) == tuple(map(set, parts.values()))
        held = labelled(data, valid=0.25)
        assert (names(held.train) | names(held.valid), names(held.test)) == ({*range(18)}, {*range(18, 24)})
        pipeline = pipeline_for(data, valid=0.25)
        assert (
            "# data: the objects that were passed.\nbunch = (\n"
            '    oc.ImageList.from_table({"train": data["train"], "validation": data["validation"]})\n'
        ) in str(pipeline)
        run: dict[str, Any] = {"oc": oc, "data": data}
        exec(str(pipeline).split("    .transform")[0] + ")", run)
        assert names(run["bunch"].test) == {*range(18, 24)}
        alone = labelled(data["train"])
        assert names(alone.train) | names(alone.valid) == {*range(14)}


def test_a_dict_of_frames_by_split_without_what_is_of_none() -> None:
    data = {name: table_of(part) for name, part in (("train", range(14)), ("val", range(14, 20)), ("more", range(9)))}
    found, pipeline = labelled(data), pipeline_for(data)
    assert (names(found.train), names(found.valid)) == ({*range(14)}, {*range(14, 20)})
    assert "left out: more, whose names are of no split" in pipeline.findings


def test_a_split_column_inside_the_table_is_used(tmp_path: Path) -> None:
    split = ["train"] * 16 + ["validation"] * 4 + ["test"] * 4
    found = labelled(write(tmp_path / "a.parquet", table_of(range(24), split=split)))
    assert (names(found.valid), names(found.test)) == ({*range(16, 20)}, {*range(20, 24)})


def test_numbers_and_points_in_columns(tmp_path: Path) -> None:
    columns = {"x": [float(i) for i in range(10)], "y": [2.0] * 10}
    path = write(tmp_path / "a.parquet", table_of(range(10), **columns).drop_columns(["label"]))
    assert labelled(path, task="points").target.kind == "points"
    assert labelled(path, task="numbers", column="x").target.kind == "numbers"
    with pytest.raises(DataError, match=r"task='segment', and the images are inside .*\.\nExpected images and"):
        pipeline_for(path, task="segment")


class TestTextsAndNames:
    def test_a_parquet_file_of_texts(self, tmp_path: Path) -> None:
        texts = [f"{('What a good', 'Such a bad')[i % 2]} film, number {i} of them" for i in range(40)]
        for name, rows in {"train-0": slice(0, 32), "test-0": slice(32, 40)}.items():
            pq_table = pa.table({"text": texts[rows], "label": (["pos", "neg"] * 20)[rows]})
            write(tmp_path / f"texts/{name}.parquet", pq_table)
        found = labelled(tmp_path / "texts")
        assert (found.target.classes, len(found.train), len(found.valid)) == (("neg", "pos"), 32, 8)
        assert "texts: column 'text' (7.0 words in a row)" in pipeline_for(tmp_path / "texts").findings

    def test_without_images_inside_a_task_of_images_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.parquet", pa.table({"name": ["a", "b"], "label": ["x", "y"]}))
        with pytest.raises(DataError, match=r"task='classify', and no column holds images: name, label\."):
            pipeline_for(path, task="classify")

    def test_a_parquet_file_names_images_beside_it(self, tmp_path: Path) -> None:
        pictures(tmp_path, "images/{i}.png")
        path = write(
            tmp_path / "labels.parquet", pa.table({"file": [f"{i}.png" for i in range(12)], "of": ["x", "y"] * 6})
        )
        for data, options in ((tmp_path, {}), (path, {}), (tmp_path, {"labels": "labels.parquet"})):
            pipeline = pipeline_for(data, **options)
            assert pipeline.items.name == "ImageList.from_parquet"
            assert pipeline.label(pipeline.find_items()).target.classes == ("x", "y")


class TestTars:
    def write(self, root: Path, **shards: Any) -> Path:
        for name, numbers in shards.items():
            members = [
                member for i in numbers for member in ((f"{i}.png", drawn(kind(i), i)), (f"{i}.cls", kind(i).encode()))
            ]
            write_tar(root / f"{name}.tar", members)
        return root

    def test_a_folder_of_them(self, tmp_path: Path) -> None:
        root = self.write(tmp_path / "tars", a=range(12), b=range(12, 24))
        found = labelled(root)
        assert (found.target.classes, len(found.train)) == (("cat", "dog"), 20)
        assert pipeline_for(root).findings == (
            f"images: .png in 2 tars of {root}", "labels: the text in .cls",
            "order: items are shuffled over all tars, since any is read by itself",
        )  # fmt: skip
        assert len(labelled(root / "a.tar").train) == 10

    def test_names_of_splits(self, tmp_path: Path) -> None:
        shards = {
            "train-000": range(12),
            "train-001": range(12, 16),
            "valid-000": range(16, 20),
            "test-000": range(20, 24),
        }
        root = self.write(tmp_path / "tars", **shards, more=range(30, 32))
        found, pipeline = labelled(root), pipeline_for(root)
        assert (len(found.train), len(found.valid), len(found.test)) == (16, 4, 4)
        assert "left out: more.tar, whose names are of no split" in pipeline.findings
        assert "test set: test-000.tar" in pipeline.findings
        held = labelled(root, valid=0.5)
        assert (len(held.train), len(held.valid), len(held.test)) == (10, 10, 4)

    def test_folders_inside_are_classes(self, tmp_path: Path) -> None:
        write_tar(tmp_path / "a.tar", [(f"{kind(i)}/{i}.png", drawn(kind(i), i)) for i in range(12)])
        assert labelled(tmp_path / "a.tar").target.classes == ("cat", "dog")

    def test_what_is_missing_is_told_and_the_fix_reads_it(self, tmp_path: Path) -> None:
        root = tmp_path / "tars"
        members = [
            (f"{i}.{s}", c) for i in range(8) for s, c in (("png", drawn(kind(i), i)), ("kind", kind(i).encode()))
        ]
        write_tar(root / "a.tar", members)
        with pytest.raises(DataError, match=r"a\.tar has no labels: beside images there are \.kind\.\nExpected a file"):
            pipeline_for(root)
        assert labelled(root, column="kind").target.classes == ("cat", "dog")
        write_tar(root / "a.tar", [("a.wav", b"x")])
        with pytest.raises(DataError, match=r"a\.tar holds \.wav \(1\)\.\nExpected a tar with images"):
            pipeline_for(root)
        (root / "a.tar").write_bytes(b"no tar")
        with pytest.raises(DataError, match=r"a\.tar cannot be read: "):
            pipeline_for(root)
        write(root / "b.parquet", table_of(range(4)))
        with pytest.raises(DataError, match=r"has Parquet files, such as b\.parquet, and tars, such as a\.tar\."):
            pipeline_for(root)


def test_a_test_set_may_be_a_parquet_file(tmp_path: Path) -> None:
    train, test = (
        write(tmp_path / f"{name}.parquet", table_of(n)) for name, n in (("a", range(20)), ("b", range(20, 24)))
    )
    assert names(labelled(train, test=str(test)).test) == {*range(20, 24)}


def test_a_file_without_rows_is_told_and_the_fix_reads_another(tmp_path: Path) -> None:
    empty = write(tmp_path / "train.parquet", table_of(range(24)).slice(0, 0))
    told = r"train\.parquet has no rows\.\nExpected a row for each item\.\nFix: write the rows again, or pass the path"
    for read in (pipeline_for, oc.ImageList.from_parquet):
        with pytest.raises(DataError, match=told):
            read(empty)
    found = labelled(write(tmp_path / "other.parquet", table_of(range(24))))
    assert len(found.train) + len(found.valid) == 24


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").touch()
    write(tmp_path / "more.parquet", table_of(range(24)))
    with pytest.raises(DataError, match=r"The shard .*train\.parquet is damaged") as error:
        pipeline_for(tmp_path)
    told = shell_advice(error.value).splitlines()[2]
    assert told == "Fix: copy it again, or move it out of the folder to do without it."
    (tmp_path / "train.parquet").unlink()
    assert labelled(tmp_path).target.classes == ("cat", "dog")


@pytest.mark.usefixtures("_tiny_models")
def test_fine_tuning_on_a_dataset(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    datasets = pytest.importorskip("datasets")
    learner = oc.fine_tune(datasets.Dataset(table_of(range(20))), sizes=32, epochs=1, lr=0.002, batch_size=8)
    assert learner.data.classes == ("cat", "dog")
    assert "oc.ImageList.from_table(data)" in capsys.readouterr().out


def test_images_inside_a_table_of_labels_are_refused_and_each_fix_reads_them(hub: Path) -> None:
    file = sorted(hub.rglob("train-*.parquet"))[0]
    message = r"holds images itself, in column 'image'\.\n.*\nFix: leave labels= out, and pass '.*' as the data; or its"
    for given in (file, file.relative_to(hub)):
        with pytest.raises(DataError, match=message):
            pipeline_for(hub, labels=given)
    for data in (file, file.parent):
        assert "from_parquet" in str(pipeline_for(data))


class TestConfigurations:
    """Several data sets in one folder, as the hub has them."""

    def write(self, root: Path, pattern: str, **names: Any) -> None:
        for number, (name, table) in enumerate(names.items()):
            for split in ("train", "test"):
                write(root / pattern.format(name=name, split=split, number=number), table)

    @pytest.mark.parametrize("pattern", ["{name}/{split}-00000-of-00001.parquet", "{name}/{split}/0000.parquet"])
    def test_other_columns_are_refused_and_each_fix_reads_one(self, tmp_path: Path, pattern: str) -> None:
        fine = table_of(range(8)).rename_columns(["image", "fine_label"]).replace_schema_metadata(None)
        self.write(tmp_path / "hub", pattern, coarse=table_of(range(12)), fine=fine)
        message = (
            r"hub has 2 configurations that do not fit each other: coarse/.* has columns label, and fine/.* has columns"
            r" fine_label\.\nExpected Parquet files with the same columns and classes\.\nFix: pass include='coarse' or "
            r"include='fine'\.$"
        )
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path / "hub")
        for name, count in (("coarse", 24), ("fine", 8)):
            pipeline = pipeline_for(tmp_path / "hub", include=name)
            assert f"hub/{name}" in str(pipeline.items)
            assert len(pipeline.find_items()) == count

    def test_other_classes_and_types_are_refused(self, tmp_path: Path) -> None:
        animals, cars = table_of(range(8)), table_of(range(8))
        said = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["bmw", "vw"]}}
        cars = cars.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": said}})})
        self.write(tmp_path / "a", "{name}/{split}.parquet", animals=animals, cars=cars)
        with pytest.raises(DataError, match=r"has classes cat, dog in column 'label', and cars/.* has classes bmw, vw"):
            pipeline_for(tmp_path / "a")
        words = animals.set_column(1, "label", pa.array(["x", "y"] * 4)).replace_schema_metadata(None)
        self.write(tmp_path / "b", "{name}/{split}.parquet", animals=animals, words=words)
        with pytest.raises(DataError, match=r"animals/.* has label of int64, and words/.* has label of string"):
            pipeline_for(tmp_path / "b")

    def test_those_in_the_names_of_files_are_refused_and_the_fix_reads_them(self, tmp_path: Path) -> None:
        fine = table_of(range(8)).rename_columns(["image", "fine_label"])
        self.write(tmp_path, "{name}-{split}.parquet", coarse=table_of(range(8)), fine=fine)
        with pytest.raises(DataError, match=r"Fix: move the files of each into a folder of its own, and pass the path"):
            pipeline_for(tmp_path)
        for path in tmp_path.glob("fine-*"):
            (tmp_path / "fine").mkdir(exist_ok=True)
            path.rename(tmp_path / "fine" / path.name)
        pipeline = pipeline_for(tmp_path / "fine")
        assert len(pipeline.label(pipeline.find_items()).valid) > 0

    def test_those_that_fit_are_read_together(self, tmp_path: Path) -> None:
        self.write(tmp_path, "{name}/{split}.parquet", one=table_of(range(8)), two=table_of(range(8)))
        pipeline = pipeline_for(tmp_path)
        assert len(pipeline.label(pipeline.find_items()).train) == 16
        assert "configurations: one, two are read together" in "\n".join(pipeline.findings)

    @pytest.mark.parametrize(
        ("column", "one", "two"),
        [("label", ["cat", "dog"], ["bmw", "vw"]), ("tags", [["cat"], ["dog"]], [["bmw"], ["vw", "bmw"]])],
    )
    def test_labels_of_which_none_is_in_both_are_refused_and_each_fix_reads_one(
        self, tmp_path: Path, column: str, one: list[Any], two: list[Any]
    ) -> None:
        plain = table_of(range(8)).drop_columns(["label"]).replace_schema_metadata(None)
        tables = {name: plain.append_column(column, pa.array(held * 4)) for name, held in (("a", one), ("b", two))}
        self.write(tmp_path, "{name}/{split}.parquet", **tables)
        message = rf"a/.* has cat, dog in column '{column}', and b/.* has bmw, vw\.[^$]*include='a' or include='b'"
        with pytest.raises(DataError, match=message):
            pipeline_for(tmp_path)
        for name, classes in (("a", ("cat", "dog")), ("b", ("bmw", "vw"))):
            pipeline = pipeline_for(tmp_path, include=name)
            assert pipeline.label(pipeline.find_items()).target.classes == classes

    def test_labels_of_which_some_are_in_both_are_read_together_and_that_is_printed(self, tmp_path: Path) -> None:
        plain = table_of(range(8)).drop_columns(["label"]).replace_schema_metadata(None)
        for name, held in (("a", ["cat", "dog"]), ("b", ["dog", "fox"])):
            write(tmp_path / name / "train.parquet", plain.append_column("label", pa.array(held * 4)))
        pipeline = pipeline_for(tmp_path)
        assert "configurations: a, b are read together" in "\n".join(pipeline.findings)
        assert pipeline.label(pipeline.find_items()).target.classes == ("cat", "dog", "fox")
