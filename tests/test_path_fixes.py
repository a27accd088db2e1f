"""Wherever a wrong path is told to be checked, the right one in its place works."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

import onecycle as oc
import published
from onecycle.errors import OnecycleError
from onecycle.text.encoders import locate_encoder
from shard_files import write_tars

CHECK = r"\nFix: check the (path|address)"
MEMORY = "memory://path-fixes"
Made = Callable[[Any], Any]


def texts(root: Path) -> None:
    for number in range(4):
        path = root / "texts" / "ab"[number % 2] / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"a text of number {number}")
    (root / "texts.csv").write_text("text,label\na long text,x\nanother text,y\n")


CASES: dict[str, tuple[Made, str, str]] = {
    "folder of images": (oc.ImageList.from_folder, "none", "photos"),
    "folder of texts": (oc.TextList.from_folder, "none", "texts"),
    "folder of other texts": (oc.TextList.from_folder, "photos", "texts"),
    "table of texts": (oc.TextList.from_csv, "none.csv", "texts.csv"),
    "table of images": (lambda path: oc.ImageList.from_csv(path, folder="."), "none.csv", "photos.csv"),
    "shards in a folder": (oc.ImageList.from_shards, "photos", "tars"),
    "a shard": (oc.ImageList.from_shards, "none.tar", "tars/photos-000.tar"),
    "shards by number": (oc.ImageList.from_shards, "tars/photos-{000..007}.tar", "tars/photos-{000..001}.tar"),
    "shards by pattern": (oc.ImageList.from_shards, "tar/*.tar", "tars/*.tar"),
    "Pascal VOC": (oc.ImageList.from_voc, "none", "voc"),
    "Pascal VOC, another folder": (oc.ImageList.from_voc, "photos", "voc"),
    "names that validate": (
        lambda path: oc.ImageList.from_folder("photos").split_from_file(path).valid, "none.txt", "valid.txt",
    ),
    "corrections": (
        lambda path: oc.ImageList.from_folder("photos").corrected(path), "none.parquet", "corrections.parquet",
    ),
    "an encoder": (lambda path: list(locate_encoder(path).iterdir()), "texts", "encoder"),
    "images elsewhere": (oc.ImageList.from_folder, f"{MEMORY}/none", f"{MEMORY}/photos"),
}  # fmt: skip


@pytest.fixture(scope="module")
def places(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("places")
    shutil.copytree(photos, root / "photos")
    write_tars(photos, root / "tars")
    texts(root)
    (root / "encoder").mkdir()
    (root / "encoder/config.json").write_text("{}")
    names = [path.relative_to(root / "photos").as_posix() for path in sorted((root / "photos").rglob("*.jpg"))]
    (root / "valid.txt").write_text("\n".join(names[:3]))
    (root / "photos.csv").write_text("image,label\n" + "".join(f"photos/{name},{name[0]}\n" for name in names))
    oc.Corrections(path=root / "corrections.parquet").append(names[:2], "keep")
    published.voc_folder(root / "voc")
    files = fsspec.filesystem("memory")
    files.put(str(root / "photos"), f"{MEMORY}/photos", recursive=True)
    yield root
    files.rm(MEMORY, recursive=True)


@pytest.mark.parametrize("name", CASES)
def test_the_right_path_in_the_place_of_the_wrong_one_works(
    name: str, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(places)
    monkeypatch.setenv("ONECYCLE_CACHE", str(places / "cache"))
    read, wrong, right = CASES[name]
    with pytest.raises(OnecycleError, match=CHECK):
        read(wrong)
    assert len(read(right))


def test_a_pattern_elsewhere_that_no_shard_matches_is_named(places: Path) -> None:
    with pytest.raises(OnecycleError, match=r"^No shards in memory://path-fixes/none/\*\.tar\.\n.*" + CHECK):
        oc.ImageList.from_shards(f"{MEMORY}/none/*.tar")
