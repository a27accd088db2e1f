"""Images in shards, from the list to the learner: as images in folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

import onecycle as oc
from learners import assert_same, tiny, weights_of
from onecycle.data import shared_file
from onecycle.data.bunch import DataBunch
from onecycle.data.loader import DataLoader
from onecycle.errors import DataError
from shard_files import members_of, photo_files, write_parquet, write_parquets, write_tar

BLACK = {"size": 32, "augment": oc.augment.none()}


@pytest.fixture(scope="session")
def parquets(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parquets(photos, tmp_path_factory.mktemp("parquets"))


@pytest.fixture(params=["tar", "parquet"])
def images(request: pytest.FixtureRequest, shards: Path, parquets: Path) -> oc.ImageList:
    if request.param == "tar":
        return oc.ImageList.from_shards(shards, label="cls", buffer=7)
    return oc.ImageList.from_shards(parquets, label="label", buffer=7)


def bunch_of(images: oc.ImageList, *, augment: Any = None, size: int = 32, **options: Any) -> DataBunch:
    """24 training images of three shards, and the 6 of the last shard."""
    column = images.items.table.column_names[-1]
    split = images.split_by_shards(f"photos-*3{'.tar' if column == 'cls' else '-of-*'}")
    return (
        split.label_from_column(column)
        .transform(size, augment=augment or oc.augment.none())
        .databunch(8, **{"cache": None, **options})
    )


def test_pixels_and_labels_are_those_of_the_files(images: oc.ImageList, photos: Path) -> None:
    bunch = bunch_of(images)
    files = photo_files(photos)
    plain = oc.ImageList.from_paths(files).split_by_index(range(24, 30))
    folders = plain.label_from_function(lambda path: path.parent.name).transform(**BLACK).databunch(8)
    assert bunch.classes == folders.classes == ("blue", "green", "red")
    for split in ("train", "valid"):
        ours, theirs = (one.read(one.loader(split).dataset, range(6)) for one in (bunch, folders))
        assert torch.equal(ours.inputs, theirs.inputs)
        assert torch.equal(ours.targets, theirs.targets)
    assert repr(images).startswith("ImageList: 30 items of 4 shards in ")


def epoch(loader: DataLoader, number: int, world: int) -> list[list[list[int]]]:
    """The row numbers of the batches that each process reads."""
    return [[batch.index.tolist() for batch in loader.epoch(number, rank=rank, world=world)] for rank in range(world)]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world", [1, 2])
def test_no_item_is_read_twice_or_missing_and_all_make_equally_many_steps(
    images: oc.ImageList, world: int, workers: int
) -> None:
    bunch = bunch_of(images, workers=workers)
    ranks = epoch(bunch.train, 1, world)
    assert {len(batches) for batches in ranks} == {len(bunch.train.plan(1, world=world))}
    assert sorted(row for batches in ranks for batch in batches for row in batch) == list(range(24))
    assert ranks == epoch(bunch_of(images, workers=0).train, 1, world)
    valid = epoch(bunch.valid, 0, world)
    assert sorted(row for batches in valid for batch in batches for row in batch) == list(range(6))
    bunch.train._processes.close()
    bunch.valid._processes.close()


def test_each_process_reads_its_own_stretch_of_the_shards(images: oc.ImageList) -> None:
    loader = bunch_of(images).train
    whole = loader.order(1).rows(torch.arange(24)).tolist()
    first, second = ([row for batch in batches for row in batch] for batches in epoch(loader, 1, 2))
    assert (first, second) == (whole[:12], whole[12:])


@pytest.mark.slow
def test_spawned_workers_read_the_same(parquets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_file, "LEAST_SHARED", 1)  # as with many items
    images = oc.ImageList.from_shards(parquets, label="label", buffer=7)
    bunch = bunch_of(images, workers=0)
    spawned = DataLoader(bunch.train.dataset, batch_size=8, shuffle=True, workers=1, multiprocessing_context="spawn")
    for one, other in zip(spawned.epoch(0), bunch.train.epoch(0), strict=True):
        assert torch.equal(one.inputs, other.inputs)
    spawned._processes.close()


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_what_is_cached_is_the_same(images: oc.ImageList, cache: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path))
    plain, cached = (bunch_of(images, cache=mode).train.epoch(3) for mode in (None, cache))
    for one, other in zip(plain, cached, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.index, other.index)
    if cache == "disk":
        assert len(list(tmp_path.glob("*.cache"))) == 1


def test_a_disk_cache_is_of_the_shard_as_it_is(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "cache"))
    files = photo_files(photos)
    names = [name for name, _ in members_of(files)]

    def first_pixels(chosen: list[Path]) -> torch.Tensor:
        contents = [content for _, content in members_of(chosen)]
        write_tar(tmp_path / "a.tar", list(zip(names, contents, strict=False)))
        bunch = (
            oc.ImageList.from_shards(tmp_path / "a.tar", label="cls")
            .split_by_index([0])
            .label_from_column("cls", classes="all")
            .transform(**BLACK)
            .databunch(4, cache="disk")
        )
        inputs: torch.Tensor = next(iter(bunch.valid)).inputs
        return inputs

    assert not torch.equal(first_pixels(files[:6]), first_pixels(files[1:7]))


def test_learning_finding_rates_predicting_and_exporting(images: oc.ImageList, tmp_path: Path) -> None:
    bunch = bunch_of(images, augment=oc.augment.default())
    learner = tiny(bunch)
    assert learner.lr_find().low > 0
    learner.fine_tune(1, 1e-3, frozen_epochs=1)
    predictions = learner.predict_all("valid")
    assert predictions.table["item"].to_pylist() == bunch.valid.dataset.rows.names()
    learner.export(tmp_path / "a.onecycle")
    loaded = oc.load_model(tmp_path / "a.onecycle")
    read = bunch.valid.dataset.item(0)
    (tmp_path / "one.jpg").write_bytes(read.data)
    assert loaded.predict(tmp_path / "one.jpg").label == predictions.table["prediction"][0].as_py()


def test_cached_features_are_those_of_files(images: oc.ImageList, photos: Path) -> None:
    """The same items in the same order give the same weights; only the order of a training epoch is another."""
    learner = tiny(bunch_of(images))
    learner.fit_one_cycle(1, 1e-3)
    again = tiny(bunch_of(images, cache="memory"))
    again.fit_one_cycle(1, 1e-3)
    assert_same(weights_of(learner), weights_of(again))


def test_a_broken_item_is_told_with_its_shard_or_left_out_and_counted(photos: Path, tmp_path: Path) -> None:
    files = photo_files(photos)
    members = members_of(files[:9])
    members[0] = ("blue_0.jpg", b"no image at all")
    members[2] = ("green_0.jpg", members[2][1][:200])
    members[4] = ("red_0.jpg", b"")
    path = write_tar(tmp_path / "a.tar", members)

    def make(**options: Any) -> DataBunch:
        return (
            oc.ImageList.from_shards(path, label="cls")
            .split_by_index([6, 7, 8])
            .label_from_column("cls")
            .transform(**BLACK)
            .databunch(3, cache=None, workers=0, **options)
        )

    with pytest.raises(DataError, match=r"a\.tar/blue_0\.jpg is not an image of a known format\.\nExpected a JPEG"):
        make()
    with pytest.warns(UserWarning, match=r"Skipped a\.tar/"):
        bunch = make(on_bad_item="skip")
    with pytest.warns(UserWarning, match=r"Skipped a\.tar/"):
        assert sum(map(len, bunch.train.epoch(0))) == 3
    assert {number: error.what.split("a.tar/")[1] for number, error in sorted(bunch.train.bad.items())} == {
        0: "blue_0.jpg is not an image of a known format.",
        1: "green_0.jpg is damaged: Truncated File Read.",
        2: "red_0.jpg is empty (0 bytes).",
    }
    assert [name for _, name, _ in bunch.check().broken] == [f"a.tar/{c}_0.jpg" for c in ("blue", "green", "red")]


def test_an_image_that_would_fill_the_memory_is_refused(images: oc.ImageList, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONECYCLE_DECODE_LIMIT", "1000")
    with pytest.raises(DataError, match=r"photos-0.*/.* takes .* to decode: 48x40 pixels(.|\n)*ONECYCLE_DECODE_LIMIT"):
        bunch_of(images)


def test_a_validation_list_may_be_one_of_its_own(shards: Path) -> None:
    train = oc.ImageList.from_shards(f"{shards}/photos-{{000..002}}.tar", label="cls")
    split = train.split_with(oc.ImageList.from_shards(shards / "photos-003.tar", label="cls"))
    bunch = split.label_from_column("cls").transform(**BLACK).databunch(8)
    assert (len(bunch), len(bunch.valid.dataset)) == (24, 6)
    assert next(iter(bunch.valid)).inputs.shape == (6, 32, 32, 3)


def test_other_ways_to_split_and_label_work_too(shards: Path) -> None:
    images = oc.ImageList.from_shards(shards)
    split = images.split_random(0.2, seed=1)
    bunch = split.label_from_regex(r"/([a-z]+)_").transform(**BLACK).databunch(8, cache=None, workers=0)
    assert bunch.classes == ("blue", "green", "red")
    drawn = torch.cat([batch.index for batch in bunch.train.epoch(0)])
    assert sorted(drawn.tolist()) == list(range(24))


def test_numbers_from_parquet_are_learned(tmp_path: Path, photos: Path) -> None:
    files = photo_files(photos)[:9]
    path = write_parquet(tmp_path / "a.parquet", [f.read_bytes() for f in files], [3, 1, 4, 1, 5, 9, 2, 6, 5], [])
    images = oc.ImageList.from_shards(path, label="label", classes=None)
    bunch = images.split_by_index([0, 1]).label_numbers("label").transform(**BLACK).databunch(3)
    assert bunch.train.dataset.label(0) == pytest.approx([4.0])


def test_the_wrong_use_of_shards_is_told(shards: Path, photos: Path) -> None:
    images = oc.ImageList.from_shards(shards, label="cls")
    with pytest.raises(DataError, match=r"buffer=0\.\nExpected 1 or more items"):
        oc.ImageList.from_shards(shards, buffer=0)
    with pytest.raises(DataError, match=r"on_bad_shard='no'\.\nExpected \"raise\" or \"skip\""):
        oc.ImageList.from_shards(shards, on_bad_shard="no")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"No shard is called 'photos-04\.tar'(.|\n)*Did you mean 'photos-00"):
        images.split_by_shards(["photos-003.tar", "photos-04.tar"])
    with pytest.raises(DataError, match=r"The training set is empty \(valid= names 4 shards\)"):
        images.split_by_shards("*")
    with pytest.raises(DataError, match=r"split_by_shards\(\) needs shards(.|\n)*Fix: use split_random\(\)"):
        oc.ImageList.from_folder(photos).split_by_shards("a")
    split = images.split_by_shards("photos-{002..003}.tar")
    with pytest.raises(DataError, match=r"label_masks\(\) needs files, and these images are in shards"):
        split.label_masks("{stem}.png", classes=["a", "b"])
    with pytest.raises(DataError, match=r"label_points\(\) needs files, and these images are in shards"):
        split.label_points(["x", "y"])


def test_nothing_is_written_beside_the_shards(tmp_path: Path, photos: Path) -> None:
    folder = tmp_path / "in" / "here"
    files = photo_files(photos)[:6]
    hostile = [("../../escaped.jpg", files[0].read_bytes()), (f"{tmp_path}/absolute.jpg", files[1].read_bytes())]
    write_tar(folder / "a.tar", [*members_of(files), *hostile])
    images = oc.ImageList.from_shards(folder / "a.tar", label=())
    assert "(left out: 2 names that lead out of the shard; see .skipped)" in repr(images)
    split = images.split_by_index([0, 1]).label_from_regex(r"/([a-z]+)_")
    bunch = split.transform(**BLACK).databunch(2)
    tiny(bunch).predict_all("valid")
    found = [os.path.relpath(path, tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert found == ["in/here/a.tar"]
