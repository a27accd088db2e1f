from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest

from onecycle.errors import DataError
from onecycle.vision.annotations.drawing import classes_of, draw_mask, drawn_label, is_drawn
from onecycle.vision.annotations.runs import decompressed, runs_of
from onecycle.vision.masks import Mask
from published import CAT, DOG, square

coco = pytest.importorskip("pycocotools.mask")


def label(
    *regions: dict[str, Any], size: tuple[int, int] = (12, 16), scale: tuple[float, float] = (1, 1), fill: int = 0
) -> str:
    return drawn_label(size, scale, {"cat": 1, "dog": 2}, fill, json.dumps(list(regions)))


def region(name: str, *polygons: list[float], **more: Any) -> dict[str, Any]:
    return {"class": name, "polygons": list(polygons), **more}


def rectangle(value: int, box: tuple[int, int, int, int], mask: np.ndarray | None = None) -> np.ndarray:
    mask = np.zeros((12, 16), np.uint8) if mask is None else mask
    mask[box[1] : box[3], box[0] : box[2]] = value
    return mask


def test_the_smaller_of_two_regions_lies_above_the_larger_in_either_order() -> None:
    cat, dog = region("cat", square(CAT)), region("dog", square(DOG))
    expected = rectangle(2, DOG, rectangle(1, CAT))
    assert (draw_mask(label(cat, dog)) == expected).all()
    assert (draw_mask(label(dog, cat)) == expected).all()


def test_a_higher_layer_lies_above_a_smaller_region() -> None:
    drawn = draw_mask(label(region("cat", square(CAT), layer=1), region("dog", square(DOG))))
    assert (drawn == rectangle(1, CAT)).all()


def test_ignored_regions_lie_below_all_others() -> None:
    drawn = draw_mask(label(region("cat", square(CAT)), region("dog", square((0, 0, 16, 4)), ignored=True)))
    assert (drawn == rectangle(1, CAT, rectangle(255, (0, 0, 16, 4)))).all()


def test_two_polygons_are_one_region_and_parts_outside_are_cut_off() -> None:
    drawn = draw_mask(label(region("cat", square((0, 0, 3, 2)), square((10, 5, 40, 9)))))
    assert (drawn == rectangle(1, (10, 5, 16, 9), rectangle(1, (0, 0, 3, 2)))).all()
    assert not draw_mask(label(region("cat", square((20, 20, 30, 30))))).any()
    assert not draw_mask(label(region("cat", square((-9, -9, -2, -2))))).any()


def test_coordinates_are_scaled_and_other_classes_are_not_drawn() -> None:
    halves = [value / side for value, side in zip(square(CAT), (16, 12) * 4, strict=True)]
    drawn = draw_mask(label(region("cat", halves), region("fox", square(DOG)), scale=(16, 12), fill=255))
    assert (drawn == rectangle(1, CAT, np.full((12, 16), 255, np.uint8))).all()


def test_runs_compressed_or_not_are_drawn_as_they_were_encoded() -> None:
    covered = np.random.default_rng(0).random((12, 16)) > 0.5
    counts = coco.encode(np.asfortranarray(covered.astype(np.uint8)))["counts"].decode()
    for encoded in ({"counts": counts}, {"runs": runs_of(covered)}):
        assert (draw_mask(label({"class": "dog", **encoded})) == 2 * covered).all()


def test_a_polygon_in_a_box_is_drawn_as_pycocotools_draws_it_in_the_whole_image() -> None:
    generator = np.random.default_rng(1)
    for _ in range(20):
        polygon = generator.uniform(-5, 20, 10).round(2).tolist()
        whole = coco.merge(coco.frPyObjects([polygon], 12, 16))["counts"].decode()
        assert runs_of(draw_mask(label(region("cat", polygon))) == 1) == decompressed(whole)


def test_a_corner_far_away_takes_no_memory_and_changes_nothing_in_the_image() -> None:
    far = 1e12
    drawn = draw_mask(label(region("cat", [-far, 3, far, 3, far, 6, -far, 6]), region("dog", square((0, 0, 2, 2)))))
    assert (drawn == rectangle(2, (0, 0, 2, 2), rectangle(1, (0, 3, 16, 6)))).all()
    assert (draw_mask(label(region("cat", [0, 0, far, far, 0, far]))) == np.tri(12, 16, -1)).mean() > 0.9
    assert not draw_mask(label(region("cat", square((10**9, 0, 10**10, 9))))).any()


def test_masks_take_such_labels_beside_paths() -> None:
    mask = Mask(("background", "cat", "dog"), (0, 1, 2), ignored=(255,))
    drawn = label(region("cat", square(CAT)), region("dog", square(DOG)))
    assert is_drawn(drawn)
    assert not is_drawn("masks/1.png")
    assert (mask.encode(drawn).numpy() == rectangle(2, DOG, rectangle(1, CAT))).all()
    assert mask.caption(drawn) == "cat, dog"
    assert classes_of(drawn) == ["cat", "dog"]


def test_without_pycocotools_the_fix_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(DataError, match=r"pycocotools is not installed\.[^$]*Fix: pip install 'onecycle\[formats\]'"):
        draw_mask(label(region("cat", square(CAT))))
