"""What `Fix:` says in the shell is done, and leads to data that are read right. Nothing is trained."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from folders import kind, labels, masks, pictures, table
from PIL import Image

import published
from onecycle.cli import main

ARRAY_OF_COLOURS = np.array([[0, 0, 0], [255, 0, 0]], np.uint8)


class Case(NamedTuple):
    """A mistake, what is advised, and what follows when that is done.

    Attributes:
        make: Writes the data into a folder.
        given: The options with the mistake in them.
        fix: What the advice says, a regular expression.
        then: The options as the advice says; or a function that changes the folder as it says, the options as before.
        found: What is printed in the end.
    """

    make: Callable[[Path], Any]
    given: str
    fix: str
    then: str | Callable[[Path], Any]
    found: str


def table_of_images(root: Path) -> None:
    pictures(root, "images/{i}.png")
    labels(root)


def test_table(root: Path) -> None:
    table_of_images(root)
    pictures(root, "test/t{i}.png", 4)
    table(root / "sample.csv", ["image"], [[f"t{i}"] for i in range(4)])


test_table.__test__ = False  # type: ignore[attr-defined]


def german(root: Path) -> None:
    pictures(root, "{i}.png")
    rows = [[f"{i}.png", ("Kater", "Hündin")[i % 2]] for i in range(12)]
    table(root / "labels.csv", ["image", "label"], rows, ",", "latin-1")


def ragged(root: Path) -> None:
    """Write fields with commas in them, separated by bars; commas are the first guess that fits."""
    pictures(root, "{i}.png")
    lines = ["image|label|note"] + [f"{i}.png|{kind(i)}|{',' * (i % 3)}" for i in range(12)]
    (root / "labels.csv").write_text("\n".join(lines) + "\n")


def street(root: Path, folder: str = "masks", values: tuple[int, int] = (0, 1), codes: str = "codes.txt") -> None:
    pictures(root, "images/{i}.png")
    masks(root, f"{folder}/{{i}}.png", values=values)
    (root / codes).write_text("ground\nthing\n")


def third_value(root: Path) -> None:
    street(root)
    for path in (root / "masks").iterdir():
        pixels = np.asarray(Image.open(path)).copy()
        pixels[0, 0] = 7
        Image.fromarray(pixels).save(path)


def coloured(root: Path) -> None:
    street(root)
    for path in (root / "masks").iterdir():
        Image.fromarray(ARRAY_OF_COLOURS[np.asarray(Image.open(path))]).save(path)


def lossy(root: Path) -> None:
    street(root)
    for path in (root / "masks").iterdir():
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()


def as_png(root: Path) -> None:
    for path in (root / "masks").iterdir():
        path.unlink()
    masks(root, "masks/{i}.png")


def one_mask_less(root: Path) -> None:
    street(root)
    (root / "masks/3.png").unlink()


def larger(root: Path) -> None:
    street(root)
    for path in (root / "masks").iterdir():
        image = Image.open(path)
        image.resize((32, 32), Image.Resampling.NEAREST).save(path)


def column_twice(root: Path) -> None:
    pictures(root, "{i}.png")
    table(root / "labels.csv", ["image", "label", "label"], [[f"{i}.png", kind(i), kind(i)] for i in range(12)])


def numbers(root: Path) -> None:
    pictures(root, "{i}.png")
    table(root / "ages.csv", ["image", "age"], [[f"{i}.png", 20 + i * 1.37] for i in range(12)])


def two_tables_of_numbers(root: Path) -> None:
    numbers(root)
    shutil.copy(root / "ages.csv", root / "old.csv")


def turned(root: Path) -> None:
    street(root)
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in (root / "images").iterdir():
        Image.open(path).save(path, exif=exif)


def broken(root: Path) -> None:
    table_of_images(root)
    (root / "labels.csv").write_text("image,label\n0.png,cat\n1.png,dog,dog\n2.png\n")


def changed_coco(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def make(root: Path) -> None:
        content = published.coco()
        change(content)
        published.coco_folder(root, content)

    return make


def yolo_of(line: str) -> Callable[[Path], Any]:
    def make(root: Path) -> None:
        published.yolo_folder(root)
        published.yolo_label(root / "labels/train/3.txt", line)

    return make


def yolo_config(text: str) -> Callable[[Path], Any]:
    return lambda root: (published.yolo_folder(root), (root / "data.yaml").write_text(text))


def coco_and_table(root: Path) -> None:
    published.coco_folder(root)
    table(root / "labels.csv", ["image", "label"], [[f"{i}.png", kind(i)] for i in range(8)])


def coco_without_images(root: Path) -> None:
    published.coco_folder(root)
    (root / "images").rename(root.parent / "elsewhere")


def turned_coco(root: Path) -> None:
    content = published.coco()
    exif = Image.Exif()
    exif[0x0112] = 6
    for number, image in enumerate(content["images"]):
        image |= {"width": 16, "height": 16}
        published.picture(root / f"images/{number}.png", number, (16, 16), exif=exif)
    published.write_coco(root / "a.json", content)


def no_header(root: Path) -> None:
    pictures(root, "images/{i}.png")
    table(root / "labels.csv", [], [[f"{i}.png", kind(i)] for i in range(12)])


def spreadsheet(root: Path) -> None:
    pictures(root, "images/{i}.png")
    (root / "labels.xlsx").write_bytes(b"PK\x03\x04")


def two_tables(root: Path) -> None:
    table_of_images(root)
    for name in ("valid.csv", "dev.csv"):
        table(root / name, ["image", "label"], [["0.png", "cat"], ["1.png", "dog"]])


def named_texts(root: Path) -> None:
    (root / "docs").mkdir(parents=True)
    for i in range(12):
        (root / f"docs/{i}.txt").write_text(f"a short text about {kind(i)} number {i}")
    table(root / "labels.csv", ["file", "label"], [[f"docs/{i}.txt", kind(i)] for i in range(12)])


def texts_in_folders(root: Path) -> None:
    for i in range(12):
        (root / kind(i)).mkdir(exist_ok=True)
        (root / f"docs/{i}.txt").rename(root / kind(i) / f"{i}.txt")


def texts_in_table(root: Path) -> None:
    rows = [[(root / f"docs/{i}.txt").read_text(), kind(i)] for i in range(12)]
    table(root / "labels.csv", ["text", "label"], rows)
    shutil.rmtree(root / "docs")


IN_LABELS, CLASSES = "--labels labels.csv", "2 classes: cat, dog"
MASKS = "2 classes: ground, thing"
SEGMENT = "--task segment"
POINTS = "Points, 2: nose, tail"
CASES = {
    "test": Case(
        test_table, f"{IN_LABELS} --test nowhere", r"check --test\.", f"{IN_LABELS} --test test", "4 test items"
    ),
    "a table as test": Case(
        test_table, f"{IN_LABELS} --test none.csv", r"check --test\.", f"{IN_LABELS} --test sample.csv", "4 test items"
    ),
    "encoding": Case(
        german, f"{IN_LABELS} --encoding klingon", r"check --encoding, or leave it out", IN_LABELS, "Hündin, Kater"
    ),
    "encoding, said": Case(
        german, f"{IN_LABELS} --encoding klingon", r"check --encoding", f"{IN_LABELS} --encoding latin-1",
        "Hündin, Kater",
    ),
    "an encoding that does not fit": Case(
        german, f"{IN_LABELS} --encoding utf-8", r"leave --encoding out to detect it", IN_LABELS, "Hündin, Kater"
    ),
    "separator": Case(
        ragged, f"{IN_LABELS} --separator ;;", r"pass --separator ,", f"{IN_LABELS} --separator |", CLASSES
    ),
    "an unreadable table": Case(broken, IN_LABELS, r"open it in an editor", labels, CLASSES),
    "a column twice": Case(column_twice, IN_LABELS, r"rename or remove one of them\.", labels, CLASSES),
    "a table without rows": Case(
        lambda root: table(pictures(root, "{i}.png") / "labels.csv", ["image", "label"], []),
        IN_LABELS, r"check the file\.", labels, CLASSES,
    ),
    "no table": Case(table_of_images, "--labels lables.csv", r"check the path\.", IN_LABELS, CLASSES),
    "column": Case(
        table_of_images, f"{IN_LABELS} --column lable", r"pass --column\. Did you mean 'label'\?",
        f"{IN_LABELS} --column label", CLASSES,
    ),
    "valid": Case(
        table_of_images, f"{IN_LABELS} --valid nowhere", r"or pass --valid 0\.2\.", f"{IN_LABELS} --valid 0.2", CLASSES
    ),
    "valid, a fraction": Case(
        table_of_images, f"{IN_LABELS} --valid 3", r"pass --valid 0\.2\.", f"{IN_LABELS} --valid 0.2", CLASSES
    ),
    "group": Case(
        table_of_images, f"{IN_LABELS} --group [0-9]+", r"put \( \) around", f"{IN_LABELS} --group ([0-9])+", CLASSES
    ),
    "include": Case(
        table_of_images, f"{IN_LABELS} --include imags", r"check --include\. Did you mean 'images'\?",
        f"{IN_LABELS} --include images", CLASSES,
    ),
    "task": Case(
        table_of_images, f"{IN_LABELS} --task sort", r"pass --task auto\.", f"{IN_LABELS} --task auto", CLASSES
    ),
    "numbers of one of two tables": Case(
        two_tables_of_numbers, "--task numbers", r"pass --labels ages\.csv or --labels old\.csv\.",
        "--task numbers --labels ages.csv", "Numbers, 1: age",
    ),
    "points of numbers": Case(numbers, "--task points", r"or --task numbers\.", "--task numbers", "Numbers, 1: age"),
    "codes": Case(
        lambda root: street(root, codes="names.txt"), SEGMENT, r"pass --codes\.", f"{SEGMENT} --codes names.txt", MASKS
    ),
    "masks": Case(
        lambda root: street(root, "odd"), SEGMENT, r"pass --masks, such as --masks 'labels/\{stem\}_P\.png'\.",
        SEGMENT + " --masks odd/{stem}.png --include images", MASKS,
    ),
    "a field that is none": Case(
        street, SEGMENT + " --masks masks/{id}.png", r"--masks 'labels/\{stem\}_P\.png'",
        SEGMENT + " --masks masks/{stem}.png",
        MASKS,
    ),
    "masks that lie elsewhere": Case(
        street, SEGMENT + " --masks maks", r"check --masks\.", SEGMENT + " --masks masks", MASKS
    ),
    "a value too many": Case(third_value, SEGMENT, r"or pass --ignore 7", f"{SEGMENT} --ignore 7", MASKS),
    "a value too many, named": Case(
        third_value, SEGMENT, r"add the missing names to --codes",
        lambda root: (root / "codes.txt").write_text("ground\nthing\n" + "".join(f"x{i}\n" for i in range(6))),
        "8 classes",
    ),
    "values": Case(street, f"{SEGMENT} --values 0,1,2", r"pass --values 0,1,", f"{SEGMENT} --values 0,1", MASKS),
    "ignore": Case(street, f"{SEGMENT} --ignore tthing", r"check --ignore\. Did you mean 'thing'\?", SEGMENT, MASKS),
    "colours": Case(coloured, SEGMENT, r"pass --colours, a", f"{SEGMENT} --colours 0,0,0;255,0,0", MASKS),
    "a colour too few": Case(
        coloured, f"{SEGMENT} --colours 0,0,0", r"check --colours\.", f"{SEGMENT} --colours 0,0,0;255,0,0", MASKS
    ),
    "other colours": Case(
        coloured, f"{SEGMENT} --colours 0,0,0;0,255,0", r"add them to --colours",
        f"{SEGMENT} --colours 0,0,0;255,0,0", MASKS
    ),
    "no file of colours": Case(
        coloured, f"{SEGMENT} --colours colors.txt", r"pass --colours '0,0,0;128,64,0'",
        f"{SEGMENT} --colours 0,0,0;255,0,0",
        MASKS,
    ),
    "lossy masks": Case(lossy, SEGMENT, r"export the masks again as PNG\.", as_png, MASKS),
    "a mask too few": Case(
        one_mask_less, SEGMENT + " --masks masks/{stem}.png", r"or leave those images out\.",
        lambda root: (root / "images/3.png").unlink(), MASKS,
    ),
    "orientation": Case(
        turned, SEGMENT, r"pass --orientation apply where .* or --orientation ignore where",
        f"{SEGMENT} --orientation ignore", MASKS,
    ),
    "range": Case(table_of_images, f"{IN_LABELS} --range 12", r"pass --range 0,4095\.", IN_LABELS, CLASSES),
    "page": Case(table_of_images, f"{IN_LABELS} --page -1", r"pass --page 0\.", f"{IN_LABELS} --page 0", CLASSES),
    "COCO, no such file": Case(
        published.coco_folder, "--task tag --labels nowhere.json", r"check the path",
        "--task tag --labels instances.json", CLASSES,
    ),
    "COCO, beside a table": Case(
        coco_and_table, "--task tag", r"pass --labels instances\.json for the annotations",
        "--task tag --labels instances.json", CLASSES,
    ),
    "COCO, outside of what is included": Case(
        published.coco_folder, "--include images --task tag", r"leave --include out, or train on", "--task tag", CLASSES
    ),
    "COCO, outside, any task": Case(
        published.coco_folder, "--include images", r"leave --include out, or train on", "--task points", POINTS
    ),
    "COCO, outside, masks": Case(
        published.coco_folder, "--include images --task segment", r"leave --include out, or train on",
        "--task segment", "3 classes: background, cat, dog",
    ),
    "COCO, outside, points": Case(
        published.coco_folder, "--include images --task points", r"leave --include out, or train on",
        "--task points", POINTS,
    ),
    "YOLO, outside of what is included": Case(
        published.yolo_folder, "--include images --task tag", r"leave --include out, or train on", "--task tag", CLASSES
    ),
    "a table outside of what is included": Case(
        lambda root: (pictures(root, "images/{i}.png"), labels(root).rename(root / "animals.csv")), "--include images",
        r"pass --labels animals\.csv too", "--include images --labels animals.csv", CLASSES,
    ),
    "a table of numbers outside of what is included": Case(
        lambda root: (pictures(root, "images/{i}.png"), numbers(root)), "--include images --task numbers",
        r"pass --labels ages\.csv too", "--include images --labels ages.csv --task numbers", "Numbers, 1: age",
    ),
    "COCO, a column": Case(
        published.coco_folder, "--task tag --column x", r"leave --column out", "--task tag", CLASSES
    ),
    "COCO, an option of tables": Case(
        published.coco_folder, "--task tag --separator ;", r"leave --separator out", "--task tag", CLASSES
    ),
    "COCO, several tasks": Case(
        published.coco_folder, "", r"--task points", "--task points", POINTS
    ),
    "COCO, a category that is none": Case(
        changed_coco(lambda content: content["annotations"][0].update(category_id=77)), "--task tag",
        r"remove those annotations", published.coco_folder, CLASSES,
    ),
    "COCO, key points too few": Case(
        changed_coco(lambda content: content["annotations"][0].update(keypoints=[1, 1, 2])), "--task points",
        r"correct keypoints of its category in the file, or export it again", published.coco_folder, POINTS,
    ),
    "COCO, no images": Case(
        coco_without_images, "--task tag --labels instances.json", r"put the images into the folder of the data",
        lambda root: (root.parent / "elsewhere").rename(root / "images"), CLASSES,
    ),
    "COCO, another size": Case(
        changed_coco(lambda content: content["images"][3].update(width=32, height=24)), "--task segment",
        r"correct width and height together", published.coco_folder, "3 classes: background, cat, dog",
    ),
    "COCO, turned photos": Case(
        turned_coco, "--task points", r"pass --orientation apply where .* or --orientation ignore where",
        "--task points --orientation ignore", POINTS,
    ),
    "YOLO, an unknown class": Case(
        yolo_of("7 0.5 0.5 0.2 0.2"), "--task tag", r"add its name to names, or correct the file",
        published.yolo_folder, CLASSES,
    ),
    "YOLO, pixels": Case(
        yolo_of("0 8 6 4 4"), "--task tag", r"divide x by the image's width", published.yolo_folder, CLASSES
    ),
    "YOLO, numbers of no shape": Case(
        yolo_of("0 0.5 0.5 0.2"), "--task tag", r"correct the file", published.yolo_folder, CLASSES
    ),
    "YOLO, names and their number": Case(
        yolo_config("path: .\ntrain: images/train\nval: images/val\nnc: 5\nnames: [cat, dog]\n"), "--task tag",
        r"correct names or nc", published.yolo_folder, CLASSES,
    ),
    "YOLO, a folder that is not there": Case(
        yolo_config("path: .\ntrain: images/trian\nval: images/val\nnames: [cat, dog]\n"), "--task tag",
        r"correct train, val and test in it", published.yolo_folder, CLASSES,
    ),
    "YOLO, the same name twice": Case(
        yolo_config("path: .\ntrain: images/train\nval: images/val\nnames: [cat, cat]\n"), "--task tag",
        r"number the names from 0 on, each once", published.yolo_folder, CLASSES,
    ),
    "a table without a header": Case(
        no_header, "", r"pass --labels labels\.csv, and --no-header", "--labels labels.csv --no-header", CLASSES
    ),
    "a spreadsheet": Case(spreadsheet, "", r"save it as CSV", labels, CLASSES),
    "an option without a table": Case(
        lambda root: pictures(root, "{kind}/{i}.png"), "--column label", r"leave --column out, or pass --labels", "",
        CLASSES,
    ),
    "texts in one folder": Case(
        named_texts, "", r"put those of each class into a folder of its own\.$", texts_in_folders, CLASSES
    ),
    "a table that names text files": Case(
        named_texts, IN_LABELS, r"write the texts into a column of the table\.", texts_in_table, CLASSES
    ),
    "two tables for validation": Case(
        two_tables, IN_LABELS, r"--valid valid\.csv", f"{IN_LABELS} --valid valid.csv", "10 training, 2 validation"
    ),
}  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], folder: Path, options: str) -> tuple[str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["check", str(folder), *options.split()])
    return capsys.readouterr()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("default")
def test_what_fix_says_leads_to_data_that_are_read_right(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    case.make(data := tmp_path / "data")
    out, err = run(capsys, data, case.given)
    fix = next((line for line in err.splitlines() if line.startswith("Fix: ")), out + err)
    assert re.search(case.fix, fix), fix
    if not isinstance(case.then, str):
        case.then(data)
    out, err = run(capsys, data, case.then if isinstance(case.then, str) else case.given)
    assert case.found in out, out + err
