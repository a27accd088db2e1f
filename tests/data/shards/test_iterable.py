"""Hugging Face iterable datasets: read in order by one process, shuffled and split as other shards are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import onecycle as oc
from learners import assert_same, tiny, weights_of
from onecycle.data.bunch import DataBunch
from onecycle.data.contents import Contents
from onecycle.data.shards import iterable
from onecycle.data.shards.iterable import IterableShards
from onecycle.data.shards.source import Place
from onecycle.errors import DataError
from shard_files import photo_files, write_parquets

datasets = pytest.importorskip("datasets")
NAMES = ["blue", "green", "red"]


def rows_of(shards: list[list[tuple[bytes, int]]]) -> Iterator[dict[str, Any]]:
    for rows in shards:
        for data, label in rows:
            yield {"image": {"bytes": data, "path": None}, "label": label}


def stream(shards: list[list[tuple[bytes, int]]]) -> Any:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    return datasets.IterableDataset.from_generator(rows_of, features=features, gen_kwargs={"shards": shards})


@pytest.fixture(scope="module")
def contents(photos: Path) -> list[tuple[bytes, int]]:
    return [(path.read_bytes(), NAMES.index(path.parent.name)) for path in photo_files(photos)]


@pytest.fixture
def four(contents: list[tuple[bytes, int]]) -> Any:
    """The photos in four shards."""
    return stream([contents[start : start + 8] for start in range(0, 30, 8)])


def bunch_of(dataset: Any, *, buffer: int = 7, length: Any = None, **options: Any) -> DataBunch:
    images = oc.ImageList.from_shards(dataset, label="label", buffer=buffer, length=length)
    split = images.split_by_shards("shard-00003")
    return (
        split.label_from_column("label")
        .transform(32, augment=oc.augment.none())
        .databunch(8, **{"cache": None, **options})
    )


def test_a_stream_reads_as_the_parquet_files_that_it_is_of(four: Any, photos: Path, tmp_path: Path) -> None:
    files = sorted(str(path) for path in write_parquets(photos, tmp_path / "files").iterdir())
    loaded = datasets.load_dataset("parquet", data_files=files, streaming=True, split="train", cache_dir=str(tmp_path))
    streams = [bunch_of(four), bunch_of(loaded), bunch_of(four, length=[8, 8, 8, 6])]
    parquet = oc.ImageList.from_shards(files, label="label", buffer=7).split_by_shards("*3-of-*")
    files_bunch = parquet.label_from_column("label").transform(32, augment=oc.augment.none()).databunch(8, cache=None)
    for number in range(2):
        for one in streams:
            assert one.classes == files_bunch.classes == ("blue", "green", "red")
            assert one.train.workers == 0
            for ours, theirs in zip(one.train.epoch(number), files_bunch.train.epoch(number), strict=True):
                assert torch.equal(ours.inputs, theirs.inputs)
                assert torch.equal(ours.targets, theirs.targets)
    assert "read as a stream" in repr(streams[0])


@pytest.mark.parametrize("world", [1, 2, 3])
def test_no_item_is_read_twice_or_missing(four: Any, world: int) -> None:
    bunch = bunch_of(four)
    ranks = [[batch.index.tolist() for batch in bunch.train.epoch(0, rank=rank, world=world)] for rank in range(world)]
    assert len({len(batches) for batches in ranks}) == 1
    assert sorted(row for batches in ranks for batch in batches for row in batch) == list(range(24))


def test_a_shard_is_read_once_an_epoch_and_little_waits(contents: list[tuple[bytes, int]]) -> None:
    drawn: list[int] = []

    def rows(shards: list[int]) -> Iterator[dict[str, Any]]:
        for shard in shards:
            for number in range(200):
                drawn.append(shard * 200 + number)
                yield {"image": contents[0][0], "label": "cat"}

    dataset = datasets.IterableDataset.from_generator(rows, gen_kwargs={"shards": [0, 1, 2]})
    images = oc.ImageList.from_shards(dataset, image="image", buffer=20)
    assert sorted(drawn) == list(range(600))
    shards = images.items.shards
    assert isinstance(shards, IterableShards)
    drawn.clear()
    bunch = (
        images.split_by_shards("shard-00002")
        .label_with(lambda rows: ["a" if number % 2 else "b" for number in range(len(rows))])
        .transform(8, augment=oc.augment.none())
        .databunch(16, cache=None)
    )
    list(bunch.train.epoch(0))  # which also reads again what was tried
    drawn.clear()
    shards._open.cursors.clear()
    waiting = []
    for _ in bunch.train.epoch(1):
        waiting.append(sum(len(cursor.waiting) for cursor in shards._open.cursors.values()))
    assert sorted(drawn) == list(range(400)), "no row is read twice"
    assert 0 < max(waiting) <= 2 * 20
    drawn.clear()
    shards._open.cursors.clear()
    list(bunch.train.epoch(1, start=20))
    assert len(drawn) <= 400


def test_a_fit_goes_on_to_the_same_weights(four: Any, tmp_path: Path) -> None:
    class Interrupt(oc.Callback):
        def on_batch_end(self, state: Any, event: Any) -> None:
            if event.step == 4:
                raise KeyboardInterrupt

    straight = tiny(bunch_of(four), frozen=False)
    straight.fit_one_cycle(2, 1e-3)
    path = tmp_path / "a.ckpt"
    interrupted = tiny(bunch_of(four), frozen=False, callbacks=[oc.Checkpoint(path), Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit_one_cycle(2, 1e-3)
    resumed = tiny(bunch_of(four), frozen=False)
    resumed.resume(path)
    assert_same(weights_of(resumed), weights_of(straight))


def test_learning_and_predicting_with_labels_that_are_read_with_the_items(four: Any) -> None:
    counted, known = (tiny(bunch_of(four, length=length)) for length in (None, [8, 8, 8, 6]))
    for learner in (counted, known):
        learner.fine_tune(1, 1e-3, frozen_epochs=1)
    assert_same(weights_of(counted), weights_of(known))
    first, second = (learner.predict_all("valid").table for learner in (counted, known))
    assert first.drop_columns("label").equals(second)
    assert known.lr_find().low > 0


def test_a_length_skips_counting(contents: list[tuple[bytes, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iterable, "index_iterable", None)
    images = oc.ImageList.from_shards(stream([contents]), label="label", length=30)
    assert (len(images), images.items.names()[29]) == (30, "shard-00000/29")
    bunch = images.split_by_index([27, 28, 29]).label_from_column("label").transform(16).databunch(9)
    assert bunch.classes == ("blue", "green", "red")
    assert torch.cat([batch.targets for batch in bunch.valid]).tolist() == [label for _, label in contents[27:]]


def test_names_and_missing_labels(contents: list[tuple[bytes, int]]) -> None:
    shards = [[*contents[:5], (contents[0][0], -1)]]
    images = oc.ImageList.from_shards(stream(shards), label="label")
    assert images.items.column("label").to_pylist() == [NAMES[label] for _, label in contents[:5]]
    assert "left out: 1 item without a label" in repr(images)
    bunch = oc.ImageList.from_shards(stream(shards), label="label", length=6).split_by_index([4])
    loaded = bunch.label_from_column("label").transform(16).databunch(5, on_bad_item="skip", cache=None)
    with pytest.warns(UserWarning, match=r"Skipped shard-00000/5: shard-00000/5 has no label\."):
        list(loaded.train.epoch(0))


def failing(shards: list[int]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        yield {"image": b"x", "label": "a"}
        if shard == 1:
            raise ConnectionError("the line is dead")
        yield {"image": b"x", "label": "b"}


def test_a_stream_that_breaks_is_told_or_used_up_to_there() -> None:
    dataset = datasets.IterableDataset.from_generator(failing, gen_kwargs={"shards": [0, 1]})
    with pytest.raises(DataError, match=r"The shard shard-00001 is damaged: (.|\n)*the line is dead"):
        oc.ImageList.from_shards(dataset, image="image", label="label")
    images = oc.ImageList.from_shards(dataset, image="image", label="label", on_bad_shard="skip")
    assert "the rest of damaged shards" in repr(images)
    assert images.items.column("label").to_pylist()[:2] == ["a", "b"]


def test_what_a_stream_cannot_give_is_told(four: Any, contents: list[tuple[bytes, int]]) -> None:
    def make(**options: Any) -> oc.ImageList:
        return oc.ImageList.from_shards(four, **options)

    with pytest.raises(DataError, match=r"There is no column 'lable'(.|\n)*Did you mean 'label'"):
        make(label="lable")
    with pytest.raises(DataError, match=r"There is no column 'imag'"):
        make(image="imag")
    with pytest.raises(DataError, match=r"length=\[8, 8\] and 0 labels, for 4 shards\.(.|\n)*leave it out to count"):
        make(length=[8, 8])
    with pytest.raises(DataError, match=r"balance='sampling', of a stream\.(.|\n)*Fix: pass balance='loss'"):
        bunch_of(four, balance="sampling")
    assert bunch_of(four, balance="loss").target.class_weights is not None
    with pytest.raises(DataError, match=r"balance='loss', of a stream whose labels are not known(.|\n)*leave length="):
        bunch_of(four, length=[8, 8, 8, 6], balance="loss")
    with pytest.raises(DataError, match=r"cache='disk', of a stream(.|\n)*Fix: pass cache='memory'"):
        bunch_of(four, cache="disk")
    split = make(label="label", length=30).split_by_index([0])
    with pytest.raises(DataError, match=r"The labels of a stream are only known when(.|\n)*leave labelled= out"):
        split.label_from_column("label").add_test(make(), labelled=True)
    plain = datasets.IterableDataset.from_generator(failing, gen_kwargs={"shards": [0]})
    with pytest.raises(DataError, match=r"The dataset has 0 columns of Image\(\)\.(.|\n)*pass its name as image=\."):
        oc.ImageList.from_shards(plain)
    with pytest.raises(DataError, match=r"The classes of column 'label' are not known(.|\n)*pass classes=\[\.\.\.\]"):
        oc.ImageList.from_shards(plain, image="image", label="label", length=2).split_by_index([0]).label_from_column(
            "label"
        )
    known = oc.ImageList.from_shards(plain, image="image", label="label", length=2).split_by_index([0])
    assert known.label_from_column("label", classes=["a", "b"]).target.classes == ("a", "b")


def test_fewer_items_than_said_are_told(four: Any, contents: list[tuple[bytes, int]]) -> None:
    shards = IterableShards(("s",), 10, dataset=stream([contents[:3]]), column="image")
    with pytest.raises(DataError, match=r"s/3 is not there: the stream has fewer items\.(.|\n)*the right length="):
        shards.read(Place(0, 3, 1), "s/3")


def test_other_datasets_of_hugging_face_are_told_how_to_be_streamed() -> None:
    dataset = datasets.Dataset.from_dict({"image": [b"x"], "label": ["a"]})
    with pytest.raises(DataError, match=r"got a Dataset\.(.|\n)*call to_iterable_dataset\(\) on it"):
        oc.ImageList.from_shards(dataset)
    assert len(oc.ImageList.from_shards(dataset.to_iterable_dataset(), image="image")) == 1
    with pytest.raises(DataError, match=r"got a IterableDatasetDict\.(.|\n)*such as dataset\['train'\]"):
        oc.ImageList.from_shards(datasets.IterableDatasetDict({"train": dataset.to_iterable_dataset()}))


def test_images_are_bytes_or_files(tmp_path: Path, contents: list[tuple[bytes, int]]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(contents[0][0])
    images: list[Any] = [{"bytes": None, "path": str(path)}, b"raw", [1], {"bytes": None}]

    class Rows(list[Any]):
        def skip(self, count: int) -> list[Any]:
            return self[count:]

    shards = IterableShards(("s",), 10, dataset=Rows({"image": image} for image in images), column="image")
    assert shards.read(Place(0, 0, 1), "s/0") == Contents("s/0", contents[0][0])
    assert shards.read(Place(0, 1, 1), "s/1").data == b"raw"
    for row in (2, 3):
        with pytest.raises(
            DataError, match=rf"s/{row} has no bytes in column 'image', but a (.|\n)*give the dataset features="
        ):
            shards.read(Place(0, row, 1), f"s/{row}")
    assert shards.read(Place(0, 0, 1), "s/0").data == contents[0][0], "what was read is read again"
