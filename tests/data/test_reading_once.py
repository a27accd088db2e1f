"""What is in a cache is not read again, whoever asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import onecycle as oc
from learners import photo_bunch, tiny
from onecycle.data.batch import Reading
from onecycle.data.bunch import DataBunch
from onecycle.vision import images
from onecycle.vision.images import Images

TRAINING, VALIDATION = 24, 6


class Reads:
    """Counts the images that are decoded."""

    def __init__(self) -> None:
        self.count, self.decode = 0, images.decode_with_geometry

    def __call__(self, *arguments: Any) -> Any:
        self.count += 1
        return self.decode(*arguments)

    def since(self) -> int:
        """Return how many since the last call."""
        count, self.count = self.count, 0
        return count


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    counted = Reads()
    monkeypatch.setattr(images, "decode_with_geometry", counted)
    return counted


def test_training_items_are_read_once_as_at_prediction(photos: Path, reads: Reads) -> None:
    learner = tiny(photo_bunch(photos, augment=oc.augment.default()), frozen=False)
    reads.since()
    learner.predict_all("train")
    assert reads.since() == TRAINING
    learner.predict_all("train")
    learner.tta("train", augmentations=2)
    learner.validate("train")
    assert reads.since() == 0


def test_where_training_reads_alike_they_are_read_once_in_all(photos: Path, reads: Reads) -> None:
    learner = tiny(photo_bunch(photos))
    reads.since()
    learner.fit(1, lr=1e-3)  # caches features of the plain items, and of the validation items
    assert reads.since() == TRAINING + VALIDATION
    learner.unfreeze()
    learner.fit(1, lr=1e-3)
    learner.predict_all("train")
    assert reads.since() == 0


def test_a_frozen_stage_reads_each_way_once(photos: Path, reads: Reads) -> None:
    learner = tiny(photo_bunch(photos, augment=oc.augment.default()))
    reads.since()
    learner.fit(2, lr=1e-3)
    assert reads.since() == 2 * TRAINING + VALIDATION
    learner.predict_all("train")
    learner.unfreeze()
    learner.fit(1, lr=1e-3)
    assert reads.since() == 0


def test_what_is_shown_comes_from_the_cache(photos: Path, reads: Reads) -> None:
    learner = tiny(photo_bunch(photos, augment=oc.augment.default()), frozen=False)
    learner.fit(1, lr=1e-3)
    reads.since()
    learner.show_results(4)
    learner.show_results(4, worst=True)
    learner.data.show_batch(4)
    assert reads.since() == 0
    assert learner.data.read(learner.data.valid.dataset, [3, 1]).index.tolist() == [3, 1]


def test_an_image_that_cannot_be_read_is_told_from_the_cache_too(photos: Path, tmp_path: Path) -> None:
    bunch = broken_bunch(photos, tmp_path)
    with pytest.warns(UserWarning, match="Skipped"):
        list(bunch.train)
    (bad,) = bunch.train.cache.bad  # type: ignore[union-attr]
    with pytest.raises(oc.DataError, match="broken"):
        bunch.read(bunch.train.dataset, [bad])
    assert bunch.read(bunch.train.dataset, [bad, 1 - min(bad, 1)]).index.tolist() == [1 - min(bad, 1)]


def broken_bunch(photos: Path, folder: Path) -> DataBunch:
    for name in ("red", "blue"):
        (folder / name).mkdir()
        for number in range(6):
            content = (photos / name / f"{name}_{number}.jpg").read_bytes()
            (folder / name / f"{number}.jpg").write_bytes(content)
    (folder / "red" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    labelled = oc.ImageList.from_folder(folder).split_by_index([0]).label_from_folder()
    return labelled.transform(16, augment=oc.augment.none()).databunch(4, on_bad_item="skip")


def test_without_a_cache_the_reading_processes_are_used_again(photos: Path) -> None:
    bunch = photo_bunch(photos, cache=None, workers=1)
    loader = bunch.in_order_of("train")
    assert bunch.in_order_of("train") is loader
    assert [batch.index.tolist() for batch in loader] == [batch.index.tolist() for batch in bunch.in_order_of("train")]
    loader._processes.close()


@dataclass(frozen=True)
class Inverted(Images):
    """Reads other pixels in training."""

    def read(self, item: Any, *, training: bool) -> Reading:
        pixels, geometry = super().read(item, training=training)
        return Reading(255 - pixels if training else pixels, geometry)


def test_a_modality_that_reads_in_its_own_way_keeps_the_two_apart(photos: Path) -> None:
    bunch = photo_bunch(photos).train_as(Inverted((32, 32)))
    training, plain = next(iter(bunch.train)), torch.cat([batch.inputs for batch in bunch.in_order_of("train")])
    assert torch.equal(training.inputs, 255 - plain[training.index])
    assert Inverted((32, 32)).reads_alike is False
