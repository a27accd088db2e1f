"""Names of the first edition still work, each with a warning that names the new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from learners import assert_same, photo_bunch, tiny
from onecycle.train.learner import Learner


@pytest.fixture(scope="module")
def learner(photos: Path) -> Learner:
    learner = tiny(photo_bunch(photos, augment=oc.augment.default()))
    learner.fit(1)
    return learner


@pytest.mark.parametrize(
    ("old", "new"),
    [("findings", "lr_finder_results"), ("frozen_rate", "frozen_lr"), ("pieces", "num_microbatches")],
)
def test_an_old_attribute(learner: Learner, old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"{old} is deprecated, use .*{new}") as caught:
        value = getattr(learner, old)
    assert value == getattr(learner, new)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_the_old_name_of_averaged_weights(learner: Learner) -> None:
    before = learner.copy_weights()
    with pytest.warns(DeprecationWarning, match="averaged is deprecated, use .*averaged_weights"), learner.averaged():
        assert_same(learner.copy_weights(), before)


@pytest.mark.parametrize(
    ("method", "old", "new"),
    [
        ("validate", {"part": "valid"}, {"split": "valid"}),
        ("tta", {"views": 2}, {"augmentations": 2}),
        ("tta", {"part": "train", "views": 1}, {"split": "train", "augmentations": 1}),
        ("predict_all", {"part": "train"}, {"split": "train"}),
    ],
)
def test_an_old_argument(learner: Learner, method: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    with pytest.warns(DeprecationWarning, match="is deprecated, use") as caught:
        found = getattr(learner, method)(**old)
    messages = {str(warning.message) for warning in caught}
    assert messages == {
        f"Learner.{method}({name}=) is deprecated, use {replacement}=."
        for name, replacement in zip(old, new, strict=True)
    }
    expected = getattr(learner, method)(**new)
    assert found == expected if isinstance(found, dict) else found.table.equals(expected.table)
