"""Images at addresses: folders, tables, Parquet files and shards of an object store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import onecycle as oc
from onecycle.cli import main
from onecycle.cli.inputs import TableOptions, find_inputs
from onecycle.data import remote
from onecycle.errors import DataError
from onecycle.recipes.task import build_pipeline
from onecycle.vision.images import Images
from shard_files import photo_files, write_parquets, write_tars

fsspec = pytest.importorskip("fsspec")
BUCKET = "s3://photos-of-tests"


@pytest.fixture(scope="module")
def store(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An object store on this machine, with the photos as files, Parquet files and tars."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        server.start()
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        folder = tmp_path_factory.mktemp("store")
        write_parquets(photos, folder / "parquet")
        write_tars(photos, folder / "tars", shards=3)
        files = photo_files(photos)
        named = [f"{file.relative_to(photos).as_posix()},{file.parent.name}" for file in files]
        (folder / "labels.csv").write_text("image,label\n" + "\n".join(named[:20]) + "\n")
        system = fsspec.filesystem("s3")
        system.mkdir(BUCKET)
        system.put(str(folder) + "/", BUCKET, recursive=True)
        system.put(str(photos) + "/", f"{BUCKET}/photos", recursive=True)
        yield BUCKET
        server.stop()
        system.clear_instance_cache()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "cache"))


def pixels(images: oc.ImageList, column: str | None = None) -> Any:
    split = images.split_by_index(range(4))
    labelled = split.label_from_folder() if column is None else split.label_from_column(column)
    bunch = labelled.transform(32, augment="none").databunch(8, cache=None, workers=0)
    assert bunch.classes == ("blue", "green", "red")
    return next(iter(bunch.valid)).inputs


def first_of_files(photos: Path) -> Any:
    split = oc.ImageList.from_paths(photo_files(photos)).split_by_index(range(4))
    bunch = split.label_from_function(lambda path: path.parent.name).transform(32, augment="none").databunch(8)
    return next(iter(bunch.valid)).inputs


def test_a_folder(store: str, photos: Path) -> None:
    images = oc.ImageList.from_folder(f"{store}/photos")
    assert torch.equal(pixels(images), pixels(oc.ImageList.from_folder(photos)))
    some = oc.ImageList.from_folder(f"{store}/photos", include=["blue", "red"])
    assert len(some) == 20


def test_a_table_and_no_image_that_it_does_not_name(store: str, photos: Path, tmp_path: Path) -> None:
    images = oc.ImageList.from_csv(f"{store}/labels.csv", folder=f"{store}/photos")
    assert len(images) == 20
    assert torch.equal(pixels(images, "label"), first_of_files(photos))
    assert len(list((tmp_path / "cache").rglob("*.jpg"))) == 20


def test_parquet_files(store: str, photos: Path) -> None:
    images = oc.ImageList.from_parquet(f"{store}/parquet/photos-*.parquet")
    assert images[0] == "photos-00000-of-00004.parquet/row 0"
    assert torch.equal(pixels(images, "label"), first_of_files(photos))
    assert len(oc.ImageList.from_shards(f"{store}/parquet", label="label")) == 30


def test_tars_are_read_without_a_copy(store: str, photos: Path, tmp_path: Path) -> None:
    images = oc.ImageList.from_shards(f"{store}/tars/photos-{{000..002}}.tar", label="cls")
    assert torch.equal(pixels(images, "cls"), first_of_files(photos))
    bunch = images.split_random(0.2).label_from_column("cls").transform(32).databunch(8, cache=None, workers=2)
    assert sum(map(len, bunch.train.epoch(0))) == 24
    bunch.train._processes.close()
    assert not (tmp_path / "cache/remote").exists()


@pytest.mark.parametrize("what", ["photos", "parquet", "tars", "parquet/photos-00000-of-00004.parquet"])
def test_the_recipe(store: str, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = build_pipeline(Path(f"{store}/{what}"))
    assert f"# {store}/{what}: copied" in capsys.readouterr().err
    labelled = pipeline.label(pipeline.find_items())
    assert labelled.target.classes == ("blue", "green", "red")


def test_the_shell_asks_once_what_is_at_an_address(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(address: str, wanted: Any = None) -> Path:
        asked.append(address)
        return copy(address, wanted)

    copy = remote.local_copy
    monkeypatch.setattr(remote, "local_copy", counted)
    with pytest.raises(SystemExit) as end:
        main(["check", f"{store}/photos"])
    assert not end.value.code
    assert asked == [f"{store}/photos"]


def test_inputs_of_predict(store: str) -> None:
    inputs, header = find_inputs([f"{store}/photos/red"], Images(), TableOptions())
    assert [one.name for one in inputs][:1] == [f"{store}/photos/red/red_0.jpg"]
    assert (len(inputs), header, Path(str(inputs[0].item)).is_file()) == (10, "image_name", True)
    one, _ = find_inputs([f"{store}/parquet/photos-00001-of-00004.parquet"], Images(), TableOptions())
    assert callable(one[0].item)


def test_what_is_not_there_is_told(store: str) -> None:
    with pytest.raises(DataError, match=f"{store}/none cannot be read: FileNotFoundError"):
        oc.ImageList.from_folder(f"{store}/none")
    with pytest.raises(DataError, match=r"s3://no-such-bucket-here/x cannot be read: "):
        oc.ImageList.from_parquet("s3://no-such-bucket-here/x")


def test_the_run_of_an_address_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onecycle.cli.run_folder import RunFolder, numbered_folder

    monkeypatch.chdir(tmp_path)
    data = Path("s3://bucket/photos")
    assert numbered_folder(data, resume=False, overwrite=False) == Path("runs/photos")
    assert numbered_folder(Path("s3://bucket/a.csv"), resume=False, overwrite=False) == Path("runs/a")
    run = RunFolder(Path("runs/photos"))
    run.path.mkdir(parents=True)
    run._write(data, {}, finished=False)
    assert json.loads((run.path / "run.json").read_text())["data"] == "s3://bucket/photos"
    assert run.stored_options(data, {}) == {}
