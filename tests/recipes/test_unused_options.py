"""Every option of the data against every kind of data: what has no meaning for it is refused by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from folders import kind, labels, masks, pictures, table
from PIL import Image

from onecycle.demo import make_biwi
from onecycle.errors import DataError
from onecycle.recipes.options import FineTuneOptions
from shard_files import write_tar
from task_data import pipeline_for

# A value for each option that is not its default.
VALUES: dict[str, Any] = {
    "column": "label", "image_column": "image", "text_column": "text", "suffix": ".png", "separator": ",",
    "encoding": "utf-8", "header": False, "include": "images", "folder_level": 1,
    "range": [0, 4095], "page": 0, "orientation": "apply",
    "valid": 0.3, "test": "images", "delimiter": ";", "masks": "masks", "codes": "codes.txt", "ignore": "thing",
    "colours": [(0, 0, 0), (255, 0, 0)], "values": [0, 1], "group": "([0-9]+)", "missing": "drop", "seed": 7,
    "labels": "labels.csv", "augment": "none", "corrections": "corrections.csv",
}  # fmt: skip
ALWAYS = {"valid", "test", "group", "seed", "corrections"}
READING = {"range", "page", "orientation", "augment"}
CSV = {"separator", "encoding", "header"}


def in_classes(root: Path) -> Path:
    return pictures(root, "images/{kind}/{i}.png")


def of_images(root: Path) -> Path:
    labels(pictures(root, "images/{i}.png"))
    return root


def of_texts(root: Path) -> Path:
    rows = [[f"a text of some words, number {i}", kind(i)] for i in range(12)]
    return table(root / "texts.csv", ["text", "label"], rows)


def texts_in_classes(root: Path) -> Path:
    for number in range(12):
        path = root / f"images/{kind(number)}/{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"a text of some words, number {number}")
    return root


def street(root: Path) -> Path:
    masks(pictures(root, "images/{i}.png"), "masks/{i}.png")
    (root / "codes.txt").write_text("ground\nthing\n")
    return root


def inside(root: Path) -> Path:
    pictures(root, "files/{i}.png")
    held = [(root / f"files/{i}.png").read_bytes() for i in range(12)]
    (root / "images").mkdir()
    path = root / "images/a.parquet"
    pq.write_table(pa.table({"image": held, "label": [kind(i) for i in range(12)]}), path)
    return root / "images"


def in_tars(root: Path) -> Path:
    pictures(root, "files/{i}.png")
    data = {i: (root / f"files/{i}.png").read_bytes() for i in range(12)}
    members = [(f"{i}.{end}", held) for i in data for end, held in (("png", data[i]), ("label", kind(i).encode()))]
    write_tar(root / "images/a.tar", members)
    return root / "images"


def voc(root: Path) -> Path:
    pictures(root, "images/{i}.png")
    for number in range(12):
        with Image.open(root / f"images/{number}.png") as image:
            width, height = image.size
        (root / f"images/{number}.xml").write_text(
            f"<annotation><size><width>{width}</width><height>{height}</height></size><object><name>"
            f"{kind(number)}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
            "</annotation>"
        )
    return root


def biwi(root: Path) -> Path:
    return make_biwi(root, people=2, frames=2)


MASKS = {"masks", "codes", "ignore", "colours", "values"}  # the first four ask for masks, which then are looked for
IMAGE_TABLE = {"labels", "column", "image_column", "suffix", "include", "missing", "delimiter"}
KINDS: dict[str, tuple[Callable[[Path], Path], set[str]]] = {
    "a folder for each class": (in_classes, READING | {"include", "folder_level"}),
    "a CSV file of images": (of_images, READING | IMAGE_TABLE | CSV),
    "texts in a CSV file": (of_texts, CSV | {"column", "text_column", "missing", "delimiter"}),
    "texts in folders": (texts_in_classes, {"include", "folder_level"}),
    "images and masks in folders": (
        street, READING | MASKS | {"include"}
    ),
    "images inside a table": (inside, READING | {"column", "image_column", "include", "missing", "delimiter"}),
    "tars": (in_tars, READING | {"include", "column"}),
    "annotations": (voc, READING),
    "the BIWI database": (biwi, READING | {"include"}),
}  # fmt: skip


def test_every_option_of_the_data_is_tried() -> None:
    data = {field.name for field in dataclasses.fields(FineTuneOptions) if field.metadata["panel"] == "Data"}
    assert set(VALUES) - {"augment"} == data - {"task"}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("default")
def test_options_are_used_or_refused_by_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONECYCLE_CACHE", str(tmp_path / "cache"))
    make, used = KINDS[name]
    data = make(tmp_path / "data")
    plain = str(pipeline_for(data))
    for option, value in VALUES.items():
        raised = None
        try:
            pipeline_for(data, **{option: value})
        except DataError as error:
            raised = error
        if option in used | ALWAYS:  # its value may be none that these data have
            assert raised is None or "cannot be used with" not in raised.what, option
            continue
        assert raised is not None, option
        assert option in MASKS or f"{option}=" in str(raised) or "labels.csv" in str(raised), option
        if "cannot be used with" in raised.what:
            assert raised.what.startswith(f"{option}={value!r} cannot be used with {name}.")
            assert f"leave {option}= out" in raised.fix
    assert str(pipeline_for(data)) == plain  # which is what the advice leads to


def test_two_options_for_one_thing_are_refused(tmp_path: Path) -> None:
    data = street(tmp_path / "a")
    with pytest.raises(DataError, match=r"colours= and values= are both given\.(.|\n)*Fix: leave one of them out"):
        pipeline_for(data, values=[0, 1], colours=[(0, 0, 0), (255, 0, 0)])
    data = in_classes(tmp_path / "b")
    with pytest.raises(DataError, match=r"valid='cat' and group=(.|\n)*Fix: leave group= out, or pass valid=0\.2"):
        pipeline_for(data, valid="cat", group="([0-9]+)")
    assert "valid=0.2" in str(pipeline_for(data, valid=0.2, group="([0-9]+)"))
    table = of_images(tmp_path / "c") / "labels.csv"
    with pytest.raises(DataError, match=r"Fix: pass .*c with labels='labels\.csv', or leave labels= out"):
        pipeline_for(table, labels="other.csv")
    assert str(pipeline_for(table)) != ""
    assert "from_csv" in str(pipeline_for(table.parent, labels="labels.csv"))
