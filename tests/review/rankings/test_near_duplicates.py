"""Copies of photos are found, and what they do to the split is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

import onecycle as oc
from learners import tiny
from onecycle.errors import DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve scenes, six a class, and changed copies of four of them."""
    root = tmp_path_factory.mktemp("scenes")
    rng = np.random.default_rng(0)
    for number in range(12):
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        scene = small.resize((160, 160), Image.Resampling.BICUBIC)
        path = root / ("a", "b")[number % 2] / f"scene{number:02}_0.png"
        path.parent.mkdir(exist_ok=True)
        scene.save(path)
        copies = [scene.resize((80, 80)), ImageEnhance.Brightness(scene).enhance(0.6), scene.crop((4, 4, 156, 156))]
        if number < 4:
            copies[number % 3].save(path.with_name(f"scene{number:02}_1.jpg"), quality=50)
    return root


@pytest.fixture(scope="module")
def bunch(folder: Path) -> oc.DataBunch:
    """The copies validate, and two photos of their own."""
    held = lambda path: path.stem.endswith("_1") or path.stem[5:7] in ("10", "11")  # noqa: E731
    items = oc.ImageList.from_folder(folder).split_by(held).label_from_folder()
    return items.transform(64, augment=oc.augment.none()).databunch(4, workers=0)


@pytest.fixture(scope="module")
def found(bunch: oc.DataBunch) -> oc.NearDuplicates:
    return oc.near_duplicates(bunch)


def test_each_copy_is_beside_its_original_and_nothing_else_is_listed(found: oc.NearDuplicates) -> None:
    rows = found.table.to_pylist()
    assert {(row["item"], row["other"]) for row in rows if row["split"] == "valid"} == {
        (f"{'ab'[number % 2]}/scene{number:02}_1.jpg", f"{'ab'[number % 2]}/scene{number:02}_0.png")
        for number in range(4)
    }
    assert len(rows) == 8
    assert sorted(row["group"] for row in rows) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert all(row["reason"].startswith("It is nearly the same as ") for row in rows)


def test_leaks_are_told_with_the_metric_without_them(found: oc.NearDuplicates) -> None:
    assert len(found.leaks) == 4
    assert set(found.leaks.table["other_split"].to_pylist()) == {"train"}
    everything, without = found.metrics["accuracy"]
    assert "Training has near-copies of 4 of 6 validation items: accuracy" in found.note
    # Four copies are known again; the two others are noise, of which none, one or both are right.
    assert everything * 6 == pytest.approx(4 + without * 2)
    assert len(found.leaks.show(2).items) == 4


def test_a_pattern_that_keeps_them_together_is_proposed_and_works(found: oc.NearDuplicates, folder: Path) -> None:
    assert found.group_pattern is not None
    assert f"split_by_group(pattern={found.group_pattern!r})" in found.note
    split = oc.ImageList.from_folder(folder).split_by_group(pattern=found.group_pattern)
    again = split.label_from_folder().transform(64).databunch(4, workers=0)
    assert len(oc.near_duplicates(again).leaks) == 0


def test_a_trained_learner_is_validated_with_and_without_the_copies(bunch: oc.DataBunch) -> None:
    learner = tiny(bunch, metrics=["accuracy"])
    learner.fit_one_cycle(1, lr=1e-3)
    everything, without = oc.near_duplicates(learner).metrics["accuracy"]
    assert everything == pytest.approx(learner.validate()["accuracy"])
    others = learner.predict_all().to_pandas()
    kept = others[~others["item"].str.contains("_1")]
    assert without == pytest.approx((kept["label"] == kept["prediction"]).mean())


def test_texts_are_refused_and_the_fix_works() -> None:
    texts = oc.TextList.from_texts(["a good film", "a bad film"] * 5, ["pos", "neg"] * 5).split_by_index([0, 1])
    bunch = texts.label_from_column("label").databunch(2)
    with pytest.raises(DataError, match=r"near_duplicates\(\) of texts\.[\s\S]*check\(\) finds"):
        oc.near_duplicates(bunch)
    assert bunch.check().duplicates
