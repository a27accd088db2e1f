"""Which mask belongs to which image, and which classes the masks contain."""

import math
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import onecycle as oc
from noisy_photos import draw
from onecycle.data.rows import LABEL
from onecycle.errors import DataError
from onecycle.vision import mask_labels
from onecycle.vision.image_list import SplitImages
from onecycle.vision.mask_labels import balanced_weights, count_class_pixels, mask_target
from onecycle.vision.masks import Mask
from patches import (
    NAMES,
    SHADES,
    blocks,
    labelled,
    make_camvid,
    mask_bunch,
    picture,
    split,
)
from vision.mask_examples import COLOURS, IGNORE, STREET, assert_data_error, saved, small


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    return make_camvid(tmp_path / "camvid", count=6)


def names_of(stage: Any, split_name: str = "train") -> list[str]:
    return [Path(path).name for path in getattr(stage, split_name).table[LABEL].to_pylist()]


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


def test_fast_ai_camvid_is_one_expression(camvid: Path) -> None:
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


def test_segnet_camvid_is_one_expression(tmp_path: Path) -> None:
    for number, side in enumerate(("train", "train", "train", "val", "val", "test")):
        mask = blocks(number)
        for folder, image in ((side, picture(mask)), (f"{side}annot", Image.fromarray(mask))):
            (tmp_path / folder).mkdir(exist_ok=True)
            image.save(tmp_path / folder / f"{number % 2}.png")  # the other splits use the same names
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
def test_palette_and_colour_coded_masks_give_the_same_labels(kind: str, camvid: Path) -> None:
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


def test_in_a_folder_the_same_name_is_preferred_to_a_longer_one(camvid: Path) -> None:
    for path in sorted((camvid / "labels").iterdir()):
        shutil.copy(path, path.with_name(path.name.replace("_P", "")))
    assert names_of(split(camvid).label_masks(camvid / "labels", classes=NAMES))[0] == "street_00.png"


def test_in_a_folder_the_images_and_other_files_are_not_used_as_masks(camvid: Path) -> None:
    """Masks next to their images, and JSON files of the same name."""
    for path in (camvid / "labels").iterdir():
        path.rename(camvid / "images" / path.name)
        (camvid / "images" / f"{path.stem}.json").write_text("{}")
    paths = [camvid / "images" / f"street_0{number}.png" for number in range(6)]
    stage = oc.ImageList.from_paths(paths).split_by_index([5]).label_masks(camvid / "images", classes=NAMES)
    assert names_of(stage) == [f"street_0{number}_P.png" for number in range(5)]


def test_in_a_folder_two_masks_for_one_image_are_refused(camvid: Path) -> None:
    (camvid / "labels" / "old").mkdir()
    shutil.copy(camvid / "labels" / "street_01_P.png", camvid / "labels" / "old" / "street_01_P.png")
    shutil.copy(camvid / "labels" / "street_01_P.png", camvid / "labels" / "street_01_L.png")
    assert_data_error(
        lambda: split(camvid).label_masks(camvid / "labels", classes=NAMES),
        f"There is no mask for {camvid}/images/street_01.png in {camvid}/labels: "
        "3 files match: street_01_L.png, old/street_01_P.png, street_01_P.png.",
        "one file such as street_01.png or street_01_P.png.",
        'pass a path such as masks="labels/{stem}_P.png".',
    )


def test_in_a_folder_masks_of_the_same_name_are_told_by_their_folders(tmp_path: Path) -> None:
    """images/train/1.png and images/valid/1.png: the name alone does not determine the mask."""
    for number, side in enumerate(("train", "valid")):
        for folder, image in (("images", picture(blocks(number))), ("masks", Image.fromarray(blocks(number)))):
            (tmp_path / folder / side).mkdir(parents=True)
            image.save(tmp_path / folder / side / "1.png")
    both = oc.ImageList.from_folder(tmp_path / "images").split_by_folder()
    stage = both.label_masks(tmp_path / "masks", classes=NAMES)
    assert stage.train.table[LABEL].to_pylist() == [f"{tmp_path}/masks/train/1.png"]
    assert stage.valid.table[LABEL].to_pylist() == [f"{tmp_path}/masks/valid/1.png"]
    (tmp_path / "masks/valid").rename(tmp_path / "masks/one")
    (tmp_path / "masks/train").rename(tmp_path / "masks/two")
    with pytest.raises(DataError, match=r"2 files match: one/1.png, two/1.png"):
        both.label_masks(tmp_path / "masks", classes=NAMES)
    (tmp_path / "masks/one").rename(tmp_path / "masks/valid")
    (tmp_path / "masks/two").rename(tmp_path / "masks/train")
    stage = both.label_masks(f"{tmp_path}/masks/{{folder}}/{{name}}", classes=NAMES)
    assert stage.train.table[LABEL].to_pylist() == [f"{tmp_path}/masks/train/1.png"]


def test_in_a_folder_a_missing_mask_is_refused(camvid: Path) -> None:
    (camvid / "labels" / "street_02_P.png").unlink()
    (camvid / "labels" / "street_020_P.png").touch()
    assert_data_error(
        lambda: split(camvid).label_masks(camvid / "labels", classes=NAMES),
        f"There is no mask for {camvid}/images/street_02.png in {camvid}/labels: no file is named after it.",
        "one file such as street_02.png or street_02_P.png.",
        'pass a path such as masks="labels/{stem}_P.png".',
    )


def test_a_missing_folder_is_refused(camvid: Path) -> None:
    assert_data_error(
        lambda: split(camvid).label_masks(camvid / "masks", classes=NAMES),
        f"No such folder: {camvid}/masks.",
        "a folder of masks.",
        "check masks=.",
    )


def test_missing_masks_are_counted_and_named(camvid: Path) -> None:
    for number in range(4):
        (camvid / "labels" / f"street_0{number}_P.png").unlink()
    assert_data_error(
        lambda: labelled(camvid),
        f"4 of 4 masks do not exist: {camvid}/labels/street_00_P.png, {camvid}/labels/street_01_P.png, "
        f"{camvid}/labels/street_02_P.png and 1 more.",
        "a mask file for every image.",
        "check masks=, or leave those images out.",
    )


@pytest.mark.parametrize(("template", "why"), [("labels/{stm}.png", r"\{stm\}"), ("labels/{}.png", r"\{\}")])
def test_templates_with_unknown_parts_are_refused(template: str, why: str, camvid: Path) -> None:
    message = (
        rf"^masks='{re.escape(template)}' cannot be filled in: {why}.*\n"
        r"Expected \{stem\}, \{name\}, \{folder\} or \{parent\} in the path.\n"
        r"Fix: pass a path such as masks='labels/\{stem\}_P.png'.$"
    )
    with pytest.raises(DataError, match=message):
        split(camvid).label_masks(template, classes=NAMES)


def test_a_failing_function_is_reported_with_the_image(camvid: Path) -> None:
    assert_data_error(
        lambda: split(camvid).label_masks(lambda image: {}[image.stem], classes=NAMES),
        f"The mask function failed for {camvid}/images/street_00.png: KeyError: 'street_00'.",
        "the path of a mask for every image.",
        "fix the function.",
    )

    def own(image: Path) -> str:
        raise DataError("Own error.", "something.", "nothing.")

    assert_data_error(lambda: split(camvid).label_masks(own, classes=NAMES), "Own error.", "something.", "nothing.")


@pytest.mark.parametrize("number", [2, 5], ids=["training", "validation"])
def test_unknown_values_in_either_split_are_refused_before_training(number: int, camvid: Path) -> None:
    path = camvid / "labels" / f"street_0{number}_P.png"
    mask = blocks(number)
    mask[:2, :3] = 77
    Image.fromarray(mask).save(path)
    assert_data_error(
        lambda: labelled(camvid),
        f"{path} contains values that are not classes: 77 (6 pixels).",
        "one of 0, 1, 2, 3, which stand for Sky, Road, Car.",
        "add the missing names to classes=, or pass ignore=77 where such pixels do not count.",
    )
    assert labelled(camvid, ignore=["Void", 77]).target.ignored == (0, 77)


def test_jpegs_and_unexplained_colours_are_refused_before_training(camvid: Path) -> None:
    def jpeg(image: Path) -> Path:
        path = camvid / "labels" / f"{image.stem}.jpg"
        Image.open(camvid / "labels" / f"{image.stem}_P.png").save(path)
        return path

    with pytest.raises(DataError, match=r"^The mask .*street_00.jpg is a JPEG: .* 3 more of the 4 masks that were"):
        split(camvid).label_masks(jpeg, classes=NAMES)
    with pytest.raises(DataError, match=r"^The mask .*street_00.png is in colour, .* 3 more of the 4 masks"):
        split(camvid).label_masks(f"{camvid}/images/{{stem}}.png", classes=NAMES)


def test_a_wrong_list_of_classes_is_refused(camvid: Path) -> None:
    with pytest.raises(
        DataError, match=r"not classes: 3 \(\d+ pixels\).*\nExpected one of 0, 1, 2, which stand for Sky, Road\."
    ):
        labelled(camvid, classes=NAMES[:3])


def test_class_weights_come_from_the_training_masks_only(camvid: Path) -> None:
    counts = sum(np.bincount(blocks(number).ravel(), minlength=4)[1:] for number in range(4))
    expected = (counts / counts.sum()) ** -0.5
    weights = labelled(camvid).target.class_weights
    assert weights == pytest.approx(expected / expected.mean())
    assert np.mean(weights) == pytest.approx(1)


def test_weights_can_be_passed_or_switched_off(camvid: Path) -> None:
    assert labelled(camvid, class_weights=None).target.class_weights is None
    for weights in ([1, 2, 0], (1.0, 2.0, 0.0), np.array([1.0, 2.0, 0.0])):
        assert labelled(camvid, class_weights=weights).target.class_weights == (1.0, 2.0, 0.0)


@pytest.mark.parametrize("weights", [[1, 2], [1, 2, 3, 4], [1, -1, 1], [1, float("nan"), 1], "balance"])
def test_wrong_weights_are_refused(weights: Any, camvid: Path) -> None:
    assert_data_error(
        lambda: labelled(camvid, class_weights=weights),
        f"class_weights={weights!r}.",
        '"balanced", None, or 3 numbers of 0 or more, for Sky, Road, Car.',
        'pass class_weights="balanced".',
    )


def test_masks_are_squished_and_mirrored_by_default(camvid: Path) -> None:
    modality = labelled(camvid).transform((20, 30)).modality
    assert (modality.size, modality.method, modality.augment) == ((20, 30), "squish", oc.augment.default())
    assert labelled(camvid).transform(20, resize="pad").modality.method == "pad"


def test_a_mask_of_another_size_is_refused_when_the_bunch_is_created(camvid: Path) -> None:
    path = camvid / "labels" / "street_00_P.png"
    Image.fromarray(blocks(0, (16, 24))).save(path)
    stage = labelled(camvid).transform((32, 48))
    assert_data_error(
        lambda: stage.databunch(4),
        f"The mask {path} is 24x16 pixels, its image 48x32.",
        "a mask of the size of its image.",
        "check which mask belongs to which image, or resize the mask without interpolation.",
    )


def damage_one(camvid: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Damage the mask of a training item that is not read before training."""
    monkeypatch.setattr(mask_labels, "SAMPLE", 2)
    path = camvid / "labels" / "street_02_P.png"
    path.write_bytes(path.read_bytes()[:40])
    return path


@pytest.mark.parametrize("cache", [None, "memory"])
def test_a_mask_damaged_during_training_stops_it_or_is_skipped(
    cache: Any, camvid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = damage_one(camvid, monkeypatch)
    with pytest.raises(DataError, match=rf"^{path} is damaged: .*\nExpected .*\nFix: .*on_bad_item='skip'"):
        list(mask_bunch(camvid, cache=cache, workers=0).train.epoch(0))
    skipping = mask_bunch(camvid, cache=cache, workers=0, on_bad_item="skip")
    with pytest.warns(UserWarning, match=rf"^Skipped street_02.png: {path} is damaged"):
        batches = list(skipping.train.epoch(0))
    assert [sorted(batch.index.tolist()) for batch in batches] == [[0, 1, 3]]
    assert list(skipping.train.bad) == [2]


def test_check_finds_damaged_masks_in_every_split(camvid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = damage_one(camvid, monkeypatch)
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


def test_classes_are_a_list_or_the_lines_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_bytes("\ufeffVoid\r\nSky\r\n\r\nRoad \r\nCar".encode())
    for classes in (NAMES, tmp_path / "codes.txt", str(tmp_path / "codes.txt")):
        assert mask_target(classes, "Void", None) == STREET


@pytest.mark.parametrize(
    ("ignore", "ignored"),
    [(None, ()), ("Void", (0,)), (0, (0,)), (["Void", 255], (0, 255)), ([3, "Road"], (3, 2)), (200, (200,))],
)
def test_names_and_values_can_be_ignored(ignore: Any, ignored: tuple[int, ...]) -> None:
    target = mask_target(NAMES, ignore, None)
    values = tuple(value for value in range(4) if value not in ignored)
    assert target == Mask(tuple(NAMES[value] for value in values), values, ignored)
    assert target.encode(small(ignored)).tolist() == [[IGNORE] * len(ignored)]
    assert target.outputs == len(values)


def test_an_unknown_name_in_ignore_is_refused_with_a_suggestion() -> None:
    assert_data_error(
        lambda: mask_target(NAMES, ["Viod"], None),
        "ignore= names Viod.",
        "names of classes: Void, Sky, Road, Car.",
        "check ignore=. Did you mean 'Void'?",
    )


@pytest.mark.parametrize("ignore", [-1, 256, [0, 300]])
def test_values_outside_a_byte_cannot_be_ignored(ignore: Any) -> None:
    assert_data_error(
        lambda: mask_target(NAMES, ignore, None),
        f"ignore={ignore!r}.",
        "values from 0 to 255, or names of classes.",
        "check ignore=.",
    )


@pytest.mark.parametrize(
    ("classes", "ignore", "what"),
    [
        (["Sky"], None, "There are 1 classes to predict, and 1 different names of 1."),
        (["Void", "Sky"], "Void", "There are 1 classes to predict, and 2 different names of 2."),
        (["Sky", "Road", "Sky"], None, "There are 3 classes to predict, and 2 different names of 3."),
        (
            [str(number) for number in range(255)],
            None,
            "There are 255 classes to predict, and 255 different names of 255.",
        ),
    ],
    ids=["one", "one that counts", "twice", "many"],
)
def test_two_classes_or_more_with_different_names_are_needed(classes: list[str], ignore: Any, what: str) -> None:
    assert_data_error(
        lambda: mask_target(classes, ignore, None),
        what,
        "2 to 254 classes with different names.",
        "check classes= and ignore=.",
    )


def test_254_classes_are_possible() -> None:
    target = mask_target([str(number) for number in range(254)], None, None)
    every = np.arange(254, dtype=np.uint8)[None]
    np.testing.assert_array_equal(target.encode(every), every)


def test_an_unreadable_list_of_classes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_bytes(b"caf\xe9\n")
    message = r"^Cannot read .*codes.txt: .*utf-8.*\nExpected a text file with one class a line.\nFix: check classes=.$"
    with pytest.raises(DataError, match=message):
        mask_target(tmp_path / "codes.txt", None, None)
    with pytest.raises(DataError, match=r"^Cannot read none.txt: .*No such file"):
        mask_target("none.txt", None, None)


def test_one_colour_for_each_class_is_needed() -> None:
    assert_data_error(
        lambda: mask_target(NAMES, None, COLOURS[:3]),
        "3 colours for 4 classes.",
        "one colour for each class.",
        "check colours=.",
    )


@pytest.mark.parametrize(
    ("colours", "what"),
    [
        ([(0, 0, 0), (0, 0, 256)], "colours= contains (0, 0, 256)."),
        ([(0, 0, 0), (0, 9)], "colours= contains (0, 9)."),
        ([(7, 7, 7), (7, 7, 7)], "colours= contains (7, 7, 7) more than once."),
    ],
)
def test_colours_are_three_different_bytes(colours: Any, what: str) -> None:
    assert_data_error(
        lambda: mask_target(["a", "b"], None, colours),
        what,
        "(red, green, blue) of each class, from 0 to 255, all different.",
        "check colours=.",
    )


def test_colours_can_be_a_numpy_array() -> None:
    assert mask_target(NAMES, None, np.array(COLOURS)).colours == COLOURS  # type: ignore[arg-type]


def some_masks(folder: Path, count: int, bad: Sequence[int] = ()) -> list[str]:
    return [str(saved(small([1, 2, 9 if n in bad else 2, 0]), folder / f"{n:02}.png")) for n in range(count)]


def test_pixels_are_counted_for_each_class(tmp_path: Path) -> None:
    assert count_class_pixels(STREET, some_masks(tmp_path, 5)).tolist() == [5, 10, 0], "ignored pixels are not counted"


def test_unknown_values_are_reported_with_the_number_of_such_masks(tmp_path: Path) -> None:
    paths = some_masks(tmp_path, 6, bad=[1, 3, 4])
    assert_data_error(
        lambda: count_class_pixels(STREET, paths),
        f"{paths[1]} contains values that are not classes: 9 (1 pixels). "
        "2 more of the 6 masks that were checked have errors.",
        "one of 0, 1, 2, 3, which stand for Sky, Road, Car.",
        "add the missing names to classes=, or pass ignore=9 where such pixels do not count.",
    )
    with pytest.raises(DataError, match=r"not classes: 9 \(1 pixels\).\nExpected"):
        count_class_pixels(STREET, paths[:3])


def test_of_many_masks_an_evenly_spread_sample_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_labels, "SAMPLE", 3)
    paths = some_masks(tmp_path, 9, bad=[1, 2, 3, 5, 6, 7])
    assert count_class_pixels(STREET, paths).tolist() == [3, 6, 0], "the first, the middle and the last"


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=6))
def test_balanced_weights_are_the_inverse_square_root_and_1_on_average(counts: list[int]) -> None:
    weights = np.array(balanced_weights(np.array(counts)))
    assert weights.mean() == pytest.approx(1)
    share = np.maximum(np.array(counts) / sum(counts), 1e-4)
    np.testing.assert_allclose(weights / weights[0], np.sqrt(share[0] / share))


def test_a_class_four_times_as_rare_has_twice_the_weight_and_an_absent_one_a_finite_weight() -> None:
    assert balanced_weights(np.array([400, 100])) == pytest.approx((2 / 3, 4 / 3))
    assert all(math.isfinite(weight) for weight in balanced_weights(np.array([0, 0])))
    assert balanced_weights(np.array([100, 0]))[1] > 1


class TestOtherValues:
    """Masks of 0 and 255. Seen: the advice was to ignore 255, and led to a perfect score for a model of one class."""

    @pytest.fixture
    def binary(self, tmp_path: Path) -> Path:
        for number in range(6):
            mask = np.zeros((16, 16), np.uint8)
            mask[:, 4 + number :] = 255
            for folder, image in (("images", Image.new("RGB", (16, 16))), ("masks", Image.fromarray(mask))):
                (tmp_path / folder).mkdir(exist_ok=True)
                image.save(tmp_path / folder / f"{number}.png")
        return tmp_path

    def labelled(self, root: Path, classes: list[str], **options: Any) -> Any:
        items = oc.ImageList.from_folder(root / "images").split_by_index([4, 5])
        return items.label_masks(root / "masks", classes=classes, **options)

    def test_the_advice_is_to_say_the_values_and_it_works(self, binary: Path) -> None:
        fix = r"Fix: pass values=\[0, 255\] for background, thing, in this order\.$"
        with pytest.raises(DataError, match=fix):
            self.labelled(binary, ["background", "thing"])
        target = self.labelled(binary, ["background", "thing"], values=[0, 255]).target
        assert (target.classes, target.values) == (("background", "thing"), (0, 255))
        assert target.encode(np.array([[0, 255]], np.uint8)).tolist() == [[0, 1]]

    def test_to_ignore_all_but_one_class_is_an_error(self, binary: Path) -> None:
        message = (
            r"^The training masks hold the class 'background' alone, besides what is ignored\.\n"
            r"Expected pixels of two or more of the classes: background, thing\.\n"
            r"Fix: check classes=, ignore= and values=, or which masks are read\.$"
        )
        with pytest.raises(DataError, match=message):
            self.labelled(binary, ["background", "thing"], ignore=255)

    def test_a_class_that_no_mask_holds_is_told(self, binary: Path) -> None:
        with pytest.warns(UserWarning, match=r"^None of the training masks that were checked holds more: nothing is l"):
            self.labelled(binary, ["background", "thing", "more"], values=[0, 255, 7])

    @pytest.mark.parametrize("values", [[0], [0, 0], [0, 256]])
    def test_values_that_cannot_be_are_refused(self, binary: Path, values: list[int]) -> None:
        with pytest.raises(DataError, match=r"^values=.* for 2 classes\.\nExpected a different value from 0 to 255"):
            self.labelled(binary, ["background", "thing"], values=values)
