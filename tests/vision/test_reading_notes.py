"""Images that are read in another way than one may think: few of their values used, several pages."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import onecycle as oc
from onecycle.vision.images import Images
from shard_files import write_tar


def images(folder: Path, arrays: list[np.ndarray], suffix: str = "tif") -> oc.ImageList:
    for number, pixels in enumerate(arrays):
        path = folder / ("cat", "dog")[number % 2] / f"{number}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return oc.ImageList.from_folder(folder)


def grey(low: float, high: float, dtype: Any) -> list[np.ndarray]:
    return [np.linspace(low, high, 64).reshape(8, 8).astype(dtype) for _ in range(6)]


def label(listed: oc.ImageList) -> Any:
    return listed.split_random(0.34).label_from_folder()


def brightest(labelled: Any) -> int:
    reading = labelled.transform(8, augment="none").modality.read(labelled.train.located()[0], training=False)
    return int(reading.input.max())


def test_twelve_bits_in_sixteen_are_told_and_the_range_makes_them_bright(tmp_path: Path) -> None:
    listed = images(tmp_path, grey(0, 3900, np.uint16))
    message = (
        r"The images use a sixteenth of their range: their values are up to 3900, and 65,535 is white, such as "
        r".*\.tif\. Pass range=\[0, 4095\] to say which values are black and white\."
    )
    with pytest.warns(UserWarning, match=message):
        dark = label(listed)
    assert brightest(dark) < 20
    assert brightest(label(listed.read_as(range=[0, 4095]))) > 225


@pytest.mark.parametrize(
    ("low", "high", "dtype", "said"),
    [
        (0, 1000, np.uint16, r"use 1/64 of their range.*range=\[0, 1023\]"),
        (-1024, 3071, np.float32, r"have floats from -1024 to 3071, of which .* 65,535 .*range=\[-1024, 3071\]"),
        (-300, 300, np.int32, r"have values from -300 to 300.*range=\[-300, 300\]"),
        (0, 1200, np.float32, r"have floats from 0 to 1200, of which .* 65,535 and above as white.*range=\[0, 1200\]"),
        (0, 0.05, np.float32, r"use 1/20 of their range.*range=\[0, 0\.05\]"),
        (0, 100_000, np.int32, r"have values from 0 to 100000.*range=\[0, 131071\]"),
    ],
)
def test_other_ranges_are_told_and_the_advice_uses_them_whole(
    tmp_path: Path, low: float, high: float, dtype: Any, said: str
) -> None:
    listed = images(tmp_path, grey(low, high, dtype))
    with pytest.warns(UserWarning, match=said) as caught:
        label(listed)
    advice = str(caught[0].message).partition("range=[")[2].partition("]")[0]
    assert brightest(label(listed.read_as(range=[float(value) for value in advice.split(",")]))) > 190


@pytest.mark.parametrize(("high", "dtype"), [(255, np.uint8), (60_000, np.uint16), (1, np.float32), (200, np.float32)])
def test_nothing_is_told_of_images_that_use_their_range(tmp_path: Path, high: float, dtype: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        label(images(tmp_path, grey(0, high, dtype)))


def test_floats_of_which_each_would_be_read_by_another_rule_are_told(tmp_path: Path) -> None:
    arrays = [*grey(0, 1, np.float32)[:3], *grey(0, 250, np.float32)[:3]]
    with pytest.warns(UserWarning, match=r"1 or 255 and above as white, by the image.*range=\[0, 250\]"):
        label(images(tmp_path, arrays))


def test_pixels_that_are_no_numbers_are_told_with_their_file_and_the_fix_ends_it(tmp_path: Path) -> None:
    arrays = grey(0, 1, np.float32)
    arrays[4][0, :3] = (np.nan, np.inf, -np.inf)
    message = (
        r"Pixels that are no numbers \(NaN, infinity\): 1 of 4 images that were looked at, .*4\.tif \(3\)\. "
        r"They are read as black\. Write numbers in their place, or leave such images out\."
    )
    with pytest.warns(UserWarning, match=message):
        images(tmp_path, arrays).split_by_index([0, 1]).label_from_folder()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images(tmp_path, grey(0, 1, np.float32)).split_by_index([0, 1]).label_from_folder()


def test_images_in_tables_and_shards_are_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "cache"))
    paths = images(tmp_path / "files", grey(0, 3900, np.uint16)).paths
    held = [{"bytes": path.read_bytes(), "path": path.name} for path in paths]
    pq.write_table(pa.table({"image": held, "label": ["cat", "dog"] * 3}), tmp_path / "a.parquet")
    write_tar(
        tmp_path / "a.tar",
        [
            (f"{path.stem}.{kind}", data)
            for path in paths
            for kind, data in (("tif", path.read_bytes()), ("cls", path.parent.name.encode()))
        ],
    )
    tables = [oc.ImageList.from_parquet(tmp_path / "a.parquet"), oc.ImageList.from_table(pa.table({"image": held}))]
    message = r"use a sixteenth of their range: .* 65,535 is white, such as \d\.tif[^.]*\. Pass range=\[0, 4095\]"
    for listed in tables:
        with pytest.warns(UserWarning, match=message):
            dark = listed.split_by_index([0, 1]).label_with(lambda rows: ["cat", "dog"] * (len(rows) // 2))
    assert len(dark.train) == 4
    shards = oc.ImageList.from_shards(tmp_path / "a.tar", label="cls")
    with pytest.warns(UserWarning, match=r"use a sixteenth of their range"):
        shards.split_by_index([0, 1]).label_from_column("cls")
    several = pages(tmp_path / "pages").paths
    table = pa.table({"image": [path.read_bytes() for path in several]})
    with pytest.warns(UserWarning, match=r"Several pages: 3 of 4 images that were looked at, row 1 \(2\).*Pass page=0"):
        oc.ImageList.from_table(table).split_by_index([0, 3]).label_with(lambda rows: ["cat", "dog"] * (len(rows) // 2))


def test_a_range_for_images_of_8_bits_is_told(tmp_path: Path) -> None:
    listed = images(tmp_path, grey(0, 255, np.uint8), "png").read_as(range=[0, 4095])
    with pytest.warns(UserWarning, match=r"range=\[0, 4095\] changes nothing: .* have 8 bits a channel"):
        label(listed)


def pages(folder: Path, count: int = 6) -> oc.ImageList:
    for number in range(count):
        path = folder / ("cat", "dog")[number % 2] / f"{number}.tiff"
        path.parent.mkdir(parents=True, exist_ok=True)
        black, white = (Image.new("L", (8, 8), value) for value in (0, 255))
        black.save(path, save_all=True, append_images=[white] if number % 3 else [])
    return oc.ImageList.from_folder(folder)


def test_several_pages_are_told_and_another_can_be_read(tmp_path: Path) -> None:
    listed = pages(tmp_path)
    with pytest.warns(UserWarning, match=r"Several pages: . of 4 images that were looked at, .*\(2\).*Pass page=0"):
        first = label(listed)
    assert brightest(first) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        label(listed.read_as(page=0))
    second = label(listed.read_as(page=1))
    several = [path for path in second.train.located() if Path(path).stem not in ("0", "3")]
    assert second.modality.read(several[0], training=False).input.min() == 255
    with pytest.raises(oc.DataError, match=r"0\.tiff has 1 page, and page=1 was asked for\.\nExpected page=0"):
        second.modality.read(str(tmp_path / "cat/0.tiff"), training=False)


def test_pages_that_are_not_there_are_refused_and_the_fix_works(tmp_path: Path) -> None:
    listed = pages(tmp_path).read_as(page=7)
    with pytest.raises(oc.DataError, match=r"has 2 pages, and page=7 [^$]*Fix: pass page=1"):
        label(listed).modality.read(str(tmp_path / "dog/1.tiff"), training=False)


def test_how_files_are_read_stays_in_the_model(tmp_path: Path) -> None:
    listed = images(tmp_path, grey(0, 3900, np.uint16)).read_as(range=[0, 4095], page=0, orientation="ignore")
    modality = label(listed).transform(16).modality
    config = modality.to_config()
    assert (config["range"], config["page"], config["orientation"]) == ([0, 4095], 0, "ignore")
    assert Images.from_config(config).reading == modality.reading == modality.resize(8).reading
    assert "range" not in Images().to_config()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"range": [5]}, r"^range=\[5\]\.\nExpected two numbers: [^$]*\nFix: pass range=\[0, 4095\] for 12 bits\.$"),
        ({"range": [9, 3]}, r"^range=\[9, 3\]"),
        ({"range": "0,1"}, r"^range='0,1'"),
        ({"page": -1}, r"^page=-1\.\nExpected the number of a page; the first is 0\.\nFix: pass page=0\.$"),
        ({"orientation": "aply"}, r"^orientation='aply'[^$]*Fix: pass orientation='apply'\. Did you mean 'apply'\?$"),
    ],
)
def test_other_values_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(oc.DataError, match=message):
        images(tmp_path, grey(0, 255, np.uint8)).read_as(**options)
