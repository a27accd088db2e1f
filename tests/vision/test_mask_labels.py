"""Which mask belongs to which image: folders, templates and functions, and all that may be wrong with them."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onecycle as oc
from conftest import draw
from onecycle.data.items import LABEL
from onecycle.errors import DataError
from onecycle.vision import mask_labels
from onecycle.vision.images import SplitImages
from patches import NAMES, SHADES, assert_told, blocks, labelled, make_camvid, mask_bunch, picture, split


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    return make_camvid(tmp_path / "camvid", count=6)


def told(call: Callable[[], Any], what: str, expected: str, fix: str) -> None:
    with pytest.raises(DataError) as error:
        call()
    assert_told(error.value, what, expected, fix)


def names_of(stage: Any, part: str = "train") -> list[str]:
    return [Path(path).name for path in getattr(stage, part).table[LABEL].to_pylist()]


# --- where the masks are ---


@pytest.mark.parametrize(
    "masks",
    [
        lambda root: f"{root}/labels/{{stem}}_P.png",
        lambda root: root / "labels" / "{stem}_P.png",
        lambda root: "{parent}/../labels/{stem}_P.png",
        lambda root: root / "labels",
        lambda root: str(root / "labels"),
        lambda root: lambda image: root / "labels" / f"{image.stem}_P.png",
        lambda root: lambda image: str(image).replace("images", "labels").replace(".png", "_P.png"),
    ],
    ids=["template", "path", "parent", "folder", "folder as text", "function to a path", "function to a text"],
)
def test_masks_are_found_by_template_folder_or_function(masks: Callable[[Path], Any], camvid: Path) -> None:
    stage = split(camvid).label_masks(masks(camvid), classes=NAMES)
    assert names_of(stage) == [f"street_0{number}_P.png" for number in range(4)]
    assert names_of(stage, "valid") == ["street_04_P.png", "street_05_P.png"]


def test_fast_ai_s_camvid_is_one_sentence(camvid: Path) -> None:
    bunch = (
        oc.ImageList.from_folder(camvid / "images")
        .split_from_file(camvid / "valid.txt")
        .label_masks(f"{camvid}/labels/{{stem}}_P.png", classes=camvid / "codes.txt", ignore="Void")
        .transform((24, 36))
        .databunch(4)
    )
    assert (len(bunch), bunch.classes) == (4, ("Sky", "Road", "Car"))
    batch = next(bunch.valid.epoch(0))
    assert (batch.inputs.shape, batch.targets.shape) == ((2, 24, 36, 3), (2, 24, 36))


def test_segnet_s_camvid_is_one_sentence(tmp_path: Path) -> None:
    for number, side in enumerate(("train", "train", "train", "val", "val", "test")):
        mask = blocks(number)
        for folder, image in ((side, picture(mask)), (f"{side}annot", Image.fromarray(mask))):
            (tmp_path / folder).mkdir(exist_ok=True)
            image.save(tmp_path / folder / f"{number % 2}.png")  # names are used again on the other sides
    stage = (
        oc.ImageList.from_folder(tmp_path, include=["train", "val", "test"])
        .split_by_folder(train="train", valid="val", test="test")
        .label_masks(f"{tmp_path}/{{folder}}annot/{{stem}}.png", classes=NAMES, ignore=["Void"])
    )
    for part, count in (("train", 2), ("valid", 2), ("test", 1)):
        table = getattr(stage, part).table
        assert len(table) == count
        for name, path in zip(getattr(stage, part).names(), table[LABEL].to_pylist(), strict=True):
            assert path == str(tmp_path / re.sub(r"^(\w+)/", r"\1annot/", name))
    bunch = stage.transform((32, 48)).databunch(2)
    assert bunch.test is not None
    assert next(bunch.test.epoch(0)).targets.shape == (1, 32, 48)


@pytest.mark.parametrize("kind", ["palette", "colour"])
def test_masks_in_a_palette_or_in_colours_give_the_same_labels(kind: str, camvid: Path) -> None:
    expected = next(mask_bunch(camvid).valid.epoch(0)).targets
    for path in (camvid / "labels").iterdir():
        values = np.asarray(Image.open(path))
        if kind == "colour":
            Image.fromarray(SHADES[values]).save(path)
        else:
            image = Image.fromarray(values).convert("P")
            image.putpalette(SHADES.tobytes())
            image.save(path)
    stage = labelled(camvid, colours=[tuple(shade) for shade in SHADES] if kind == "colour" else None)
    batch = next(stage.transform((32, 48), augment=oc.augment.none()).databunch(4).valid.epoch(0))
    assert batch.targets.tolist() == expected.tolist()


def test_in_a_folder_a_name_of_its_own_wins_over_a_longer_one(camvid: Path) -> None:
    for path in sorted((camvid / "labels").iterdir()):
        shutil.copy(path, path.with_name(path.name.replace("_P", "")))
    assert names_of(split(camvid).label_masks(camvid / "labels", classes=NAMES))[0] == "street_00.png"


def test_in_a_folder_the_images_and_other_files_are_no_masks(camvid: Path) -> None:
    """Masks beside their images, and a note of the same name."""
    for path in (camvid / "labels").iterdir():
        path.rename(camvid / "images" / path.name)
        (camvid / "images" / f"{path.stem}.json").write_text("{}")
    paths = [camvid / "images" / f"street_0{number}.png" for number in range(6)]
    stage = oc.ImageList.from_paths(paths).split_by_index([5]).label_masks(camvid / "images", classes=NAMES)
    assert names_of(stage) == [f"street_0{number}_P.png" for number in range(5)]


def test_in_a_folder_two_masks_of_one_name_are_told(camvid: Path) -> None:
    (camvid / "labels" / "old").mkdir()
    shutil.copy(camvid / "labels" / "street_01_P.png", camvid / "labels" / "old" / "street_01_P.png")
    shutil.copy(camvid / "labels" / "street_01_P.png", camvid / "labels" / "street_01_L.png")
    told(
        lambda: split(camvid).label_masks(camvid / "labels", classes=NAMES),
        f"There is no mask for {camvid}/images/street_01.png in {camvid}/labels: "
        "3 files could be it: street_01_L.png, old/street_01_P.png, street_01_P.png.",
        "one file such as street_01.png or street_01_P.png.",
        'pass a path such as masks="labels/{stem}_P.png".',
    )


def test_in_a_folder_each_side_may_not_use_the_other_s_mask(tmp_path: Path) -> None:
    """images/train/1.png and images/valid/1.png: a name alone does not tell which mask is whose."""
    for number, side in enumerate(("train", "valid")):
        for folder, image in (("images", picture(blocks(number))), ("masks", Image.fromarray(blocks(number)))):
            (tmp_path / folder / side).mkdir(parents=True)
            image.save(tmp_path / folder / side / "1.png")
    both = oc.ImageList.from_folder(tmp_path / "images").split_by_folder()
    with pytest.raises(DataError, match=r"2 files could be it: train/1.png, valid/1.png"):
        both.label_masks(tmp_path / "masks", classes=NAMES)
    stage = both.label_masks(f"{tmp_path}/masks/{{folder}}/{{name}}", classes=NAMES)
    assert stage.train.table[LABEL].to_pylist() == [f"{tmp_path}/masks/train/1.png"]


def test_in_a_folder_a_mask_that_is_not_there_is_told(camvid: Path) -> None:
    (camvid / "labels" / "street_02_P.png").unlink()
    (camvid / "labels" / "street_020_P.png").touch()
    told(
        lambda: split(camvid).label_masks(camvid / "labels", classes=NAMES),
        f"There is no mask for {camvid}/images/street_02.png in {camvid}/labels: none is named after it.",
        "one file such as street_02.png or street_02_P.png.",
        'pass a path such as masks="labels/{stem}_P.png".',
    )


def test_a_folder_that_is_not_there_is_told(camvid: Path) -> None:
    told(
        lambda: split(camvid).label_masks(camvid / "masks", classes=NAMES),
        f"No such folder: {camvid}/masks.",
        "a folder of masks.",
        "check masks=.",
    )


def test_missing_masks_are_counted_and_named(camvid: Path) -> None:
    for number in range(4):
        (camvid / "labels" / f"street_0{number}_P.png").unlink()
    told(
        lambda: labelled(camvid),
        f"4 of 4 masks are not there: {camvid}/labels/street_00_P.png, {camvid}/labels/street_01_P.png, "
        f"{camvid}/labels/street_02_P.png and 1 more.",
        "a mask file for every image.",
        "check masks=, or leave those images out.",
    )


@pytest.mark.parametrize(("template", "why"), [("labels/{stm}.png", "'stm'"), ("labels/{}.png", "Replacement index 0")])
def test_a_template_of_other_parts_is_told(template: str, why: str, camvid: Path) -> None:
    message = (
        rf"^masks='{re.escape(template)}' cannot be filled in: {why}.*\n"
        r"Expected \{stem\}, \{name\}, \{folder\} or \{parent\} in the path.\n"
        r'Fix: pass such as "labels/\{stem\}_P.png".$'
    )
    with pytest.raises(DataError, match=message):
        split(camvid).label_masks(template, classes=NAMES)


def test_a_function_that_fails_is_told_with_the_image(camvid: Path) -> None:
    told(
        lambda: split(camvid).label_masks(lambda image: {}[image.stem], classes=NAMES),
        f"The mask function failed on {camvid}/images/street_00.png: KeyError: 'street_00'.",
        "the path of a mask for every image.",
        "mend the function.",
    )

    def own(image: Path) -> str:
        raise DataError("Mine.", "it as it is.", "nothing.")

    told(lambda: split(camvid).label_masks(own, classes=NAMES), "Mine.", "it as it is.", "nothing.")


# --- what is in them ---


@pytest.mark.parametrize("number", [2, 5], ids=["training", "validation"])
def test_foreign_values_on_either_side_are_told_before_training(number: int, camvid: Path) -> None:
    path = camvid / "labels" / f"street_0{number}_P.png"
    mask = blocks(number)
    mask[:2, :3] = 77
    Image.fromarray(mask).save(path)
    told(
        lambda: labelled(camvid),
        f"{path} holds values that are no class: 77 (6 pixels).",
        "one of 0, 1, 2, 3, which stand for Sky, Road, Car.",
        "add the missing names to classes=, or pass ignore=77 where such pixels do not count.",
    )
    assert labelled(camvid, ignore=["Void", 77]).target.ignored == (0, 77)


def test_jpegs_and_unexplained_colours_are_told_before_training(camvid: Path) -> None:
    def jpeg(image: Path) -> Path:
        path = camvid / "labels" / f"{image.stem}.jpg"
        Image.open(camvid / "labels" / f"{image.stem}_P.png").save(path)
        return path

    with pytest.raises(DataError, match=r"^The mask .*street_00.jpg is a JPEG: .* So are 3 more of the 4 masks looked"):
        split(camvid).label_masks(jpeg, classes=NAMES)
    with pytest.raises(DataError, match=r"^The mask .*street_00.png is in colour, .* So are 3 more of the 4 masks"):
        split(camvid).label_masks(f"{camvid}/images/{{stem}}.png", classes=NAMES)


def test_the_wrong_list_of_classes_is_told(camvid: Path) -> None:
    with pytest.raises(
        DataError, match=r"no class: 3 \(\d+ pixels\).*\nExpected one of 0, 1, 2, which stand for Sky, Road\."
    ):
        labelled(camvid, classes=NAMES[:3])


# --- class weights ---


def test_classes_are_weighed_by_the_training_masks_alone(camvid: Path) -> None:
    counts = sum(np.bincount(blocks(number).ravel(), minlength=4)[1:] for number in range(4))
    expected = (counts / counts.sum()) ** -0.5
    weights = labelled(camvid).target.class_weights
    assert weights == pytest.approx(expected / expected.mean())
    assert np.mean(weights) == pytest.approx(1)


def test_weights_may_be_given_or_left_out(camvid: Path) -> None:
    assert labelled(camvid, class_weights=None).target.class_weights is None
    for weights in ([1, 2, 0], (1.0, 2.0, 0.0), np.array([1.0, 2.0, 0.0])):
        assert labelled(camvid, class_weights=weights).target.class_weights == (1.0, 2.0, 0.0)


@pytest.mark.parametrize("weights", [[1, 2], [1, 2, 3, 4], [1, -1, 1], [1, float("nan"), 1], "balance"])
def test_wrong_weights_are_told(weights: Any, camvid: Path) -> None:
    told(
        lambda: labelled(camvid, class_weights=weights),
        f"class_weights={weights!r}.",
        '"balanced", None, or 3 numbers of 0 or more, for Sky, Road, Car.',
        'pass class_weights="balanced".',
    )


# --- the next stages ---


def test_rectangles_are_squished_and_mirrored_unless_told_otherwise(camvid: Path) -> None:
    modality = labelled(camvid).transform((20, 30)).modality
    assert (modality.size, modality.method, modality.augment) == ((20, 30), "squish", oc.augment.default())
    assert labelled(camvid).transform(20, resize="pad").modality.method == "pad"


def test_a_mask_that_does_not_fit_its_image_is_told_when_the_bunch_is_made(camvid: Path) -> None:
    path = camvid / "labels" / "street_00_P.png"
    Image.fromarray(blocks(0, (16, 24))).save(path)
    stage = labelled(camvid).transform((32, 48))
    told(
        lambda: stage.databunch(4),
        f"The mask {path} is 24x16 pixels, its image 48x32.",
        "a mask of the size of its image.",
        "check which mask belongs to which image, or scale the mask without interpolation.",
    )


def spoil(camvid: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Break the mask of a training item that is neither looked at nor tried before training."""
    monkeypatch.setattr(mask_labels, "SAMPLE", 2)
    path = camvid / "labels" / "street_02_P.png"
    path.write_bytes(path.read_bytes()[:40])
    return path


@pytest.mark.parametrize("cache", [None, "memory"])
def test_a_mask_that_breaks_while_training_ends_it_or_is_left_out(
    cache: Any, camvid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = spoil(camvid, monkeypatch)
    with pytest.raises(DataError, match=rf"^{path} is damaged: .*\nExpected .*\nFix: .*on_bad_item='skip'"):
        list(mask_bunch(camvid, cache=cache, workers=0).train.epoch(0))
    skipping = mask_bunch(camvid, cache=cache, workers=0, on_bad_item="skip")
    with pytest.warns(UserWarning, match=rf"^Skipped street_02.png: {path} is damaged"):
        batches = list(skipping.train.epoch(0))
    assert [sorted(batch.index.tolist()) for batch in batches] == [[0, 1, 3]]
    assert list(skipping.train.bad) == [2]


def test_check_finds_broken_masks_on_every_side(camvid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = spoil(camvid, monkeypatch)
    bunch = mask_bunch(camvid)
    other = camvid / "labels" / "street_05_P.png"
    Image.fromarray(blocks(0, (5, 5))).save(other)
    report = bunch.check()
    assert report.count == 6
    assert [(part, name) for part, name, _ in report.broken] == [("train", "street_02.png"), ("valid", "street_05.png")]
    reasons = [reason for *_, reason in report.broken]
    assert reasons[0].startswith(f"{path} is damaged")
    assert reasons[1] == f"The mask {other} is 5x5 pixels, its image 48x32."


def test_a_test_set_is_labelled_in_the_same_way_or_not_at_all(camvid: Path) -> None:
    for name in ("new_1", "new_2"):
        draw(camvid / "test" / f"{name}.png", (9, 9, 9), (32, 48))
        Image.fromarray(blocks(1)).save(camvid / "labels" / f"{name}_P.png")
    tests = oc.ImageList.from_folder(camvid / "test")
    stage = labelled(camvid).add_test(tests, labelled=True)
    assert names_of(stage, "test") == ["new_1_P.png", "new_2_P.png"]
    assert LABEL not in labelled(camvid).add_test(tests).test.table.column_names


def test_a_test_folder_without_masks_stays_unlabelled(tmp_path: Path) -> None:
    for side in ("train", "valid", "test"):
        (tmp_path / "images" / side).mkdir(parents=True)
        (tmp_path / "masks" / side).mkdir(parents=True)
        picture(blocks(1)).save(tmp_path / "images" / side / "1.png")
        if side != "test":
            Image.fromarray(blocks(1)).save(tmp_path / "masks" / side / "1.png")
    sides: SplitImages = oc.ImageList.from_folder(tmp_path / "images").split_by_folder(test="test")
    stage = sides.label_masks(f"{tmp_path}/masks/{{folder}}/{{name}}", classes=NAMES)
    assert stage.test is not None
    assert LABEL not in stage.test.table.column_names
