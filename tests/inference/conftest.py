"""Learners that the tests of this folder predict with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from learners import photo_bunch, tag_bunch, tiny
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def learner(photos: Path) -> Learner:
    """With a test set and augmentation."""
    bunch = photo_bunch(photos, augment=oc.augment.default())
    labelled: Any = bunch.labelled.add_test(oc.ImageList.from_folder(photos / "red"))
    learner = tiny(labelled.databunch(8), metrics=["accuracy"])
    learner.fit(2, 1e-3)
    return learner


@pytest.fixture(scope="module")
def tags(tagged: Path) -> Learner:
    learner = tiny(tag_bunch(tagged))
    learner.fit(2, 1e-2)
    return learner
