"""Photos in the stages from labelled items to a bunch."""

from __future__ import annotations

from pathlib import Path

import pytest

import onecycle as oc
from noisy_photos import draw
from onecycle.data.bunch import DataBunch
from onecycle.vision.labelled_images import LabelledImages


@pytest.fixture
def labelled(photos: Path) -> LabelledImages:
    split = oc.ImageList.from_folder(photos).split_random(0.2, seed=1, stratify="folder")
    return split.label_from_folder().transform(16)


@pytest.fixture
def bunch(labelled: LabelledImages, photos: Path) -> DataBunch:
    return labelled.add_test(oc.ImageList.from_folder(photos / "red")).databunch(8)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder that a test may spoil: two classes of four."""
    for name, colour in (("cats", (90, 60, 30)), ("dogs", (30, 60, 90))):
        for number in range(4):
            draw(tmp_path / name / f"{number}.jpg", colour, seed=number + (name == "dogs") * 10)
    return tmp_path
