"""The budget of a step on an accelerator, counted on a pretended one: `pytest --device pretend`.

At most 1 synchronisation and 3 asynchronous copies a training step: row numbers and what augmentation drew to the
device, and the loss back, for which the next step waits. Items that do not fit there take 4, since inputs and targets
are copied. Validation waits at its end alone. A step that waits for more, or copies from memory that is not pinned,
leaves the device without work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import onecycle as oc
from learners import photo_bunch, tag_bunch, tiny
from onecycle.data.bunch import DataBunch
from onecycle.inference.evaluation import evaluate
from onecycle.inference.predictor import Output
from onecycle.train.learner import Learner
from patches import make_camvid, mask_bunch, tiny_unet
from pretend_device import ASYNC, SYNC, Traffic, recorded
from vision.point_images import discs

pytestmark = pytest.mark.skipif("config.getoption('--device') != 'pretend'", reason="counted on a pretended device")


class Steps(oc.Callback):
    """Counts what each training step asks of the device: (synchronisations, asynchronous copies)."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic, self.steps = traffic, list[tuple[int, int]]()

    def on_epoch_start(self, state: Any, event: Any) -> None:
        self.before = self.counts()

    def on_batch_end(self, state: Any, event: Any) -> None:
        now = self.counts()
        self.steps.append((now[0] - self.before[0], now[1] - self.before[1]))
        self.before = now

    def counts(self) -> tuple[int, int]:
        return self.traffic.count(SYNC), self.traffic.count(ASYNC)


def photos_of(folder: Path, photos: Path, tagged: Path, batch_size: int, **options: Any) -> DataBunch:
    return photo_bunch(photos, batch_size=batch_size, augment=oc.augment.default(), **options)


def tags_of(folder: Path, photos: Path, tagged: Path, batch_size: int) -> DataBunch:
    return tag_bunch(tagged, batch_size=batch_size, augment=oc.augment.satellite(), balance="loss")


def masks_of(folder: Path, photos: Path, tagged: Path, batch_size: int) -> DataBunch:
    return mask_bunch(make_camvid(folder), augment=oc.augment.default(), batch_size=batch_size)


def points_of(folder: Path, photos: Path, tagged: Path, batch_size: int) -> DataBunch:
    return discs(folder, 12, augment=oc.augment.default()).with_batch_size(batch_size)


BUNCHES: dict[str, Callable[[Path, Path, Path, int], DataBunch]] = {
    "photos": photos_of, "tags": tags_of, "masks": masks_of, "points": points_of,
}  # fmt: skip


def make(kind: str, bunch: DataBunch, **options: Any) -> Learner:
    if kind == "masks":
        return tiny_unet(bunch, **options)
    return tiny(bunch, **{"frozen": False, **options})


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("kind", BUNCHES)
def test_a_training_step(kind: str, precision: str, tmp_path: Path, photos: Path, tagged: Path) -> None:
    learner = make(kind, BUNCHES[kind](tmp_path, photos, tagged, 4), ema=0.9, clip=1.0)
    learner.state.use_precision(precision)  # type: ignore[arg-type]
    # The scale of the loss is read once a step, and whether a gradient overflowed is copied on the device itself.
    check(learner, *((2, 5) if precision == "fp16" else (1, 3)))


def test_a_training_step_on_items_that_do_not_fit(tmp_path: Path, photos: Path, tagged: Path) -> None:
    check(make("photos", photos_of(tmp_path, photos, tagged, 4, cache=None)), 1, 4)


@pytest.mark.parametrize(
    ("options", "most"),
    [({}, 2), ({"mix": oc.Mixup()}, 5), ({"accumulate": 2}, 3)],
    ids=["cached", "mixup", "accumulated"],
)
def test_a_step_of_a_head(options: dict[str, Any], most: int, photos: Path, tmp_path: Path, tagged: Path) -> None:
    check(tiny(photos_of(tmp_path, photos, tagged, 8), **options), 1, most)


def check(learner: Learner, most_syncs: int, most_copies: int) -> None:
    """Train for an epoch whose items are on the device; no step, and no step on average, may ask for more."""
    learner.fit_one_cycle(1, lr=1e-3)  # decodes the items, and copies them to the device
    with recorded() as traffic:
        learner.callbacks = [steps := Steps(traffic)]
        learner.fit_one_cycle(1, lr=1e-3)
    syncs, copies = zip(*steps.steps, strict=True)
    said = f"{steps.steps}\n{traffic}"
    assert len(copies) >= 2
    assert max(syncs) <= most_syncs, said
    assert max(copies[1:]) <= most_copies, said
    assert sum(copies) <= most_copies * len(copies), said  # the first step has two batches made, the last one none


METRICS: dict[str, list[Any]] = {
    "photos": ["accuracy", "error_rate", "f1", "auroc", lambda predictions, targets: 0.5],
    "tags": ["accuracy", "f2", oc.metrics.fbeta(1, average="macro"), "average_precision"],
    "masks": ["pixel_accuracy", "mean_iou", "dice"],
    "points": ["pixel_error"],
}


@pytest.mark.parametrize("kind", BUNCHES)
def test_validation_waits_at_its_end_alone(kind: str, tmp_path: Path, photos: Path, tagged: Path) -> None:
    learner = make(kind, BUNCHES[kind](tmp_path, photos, tagged, 1), metrics=METRICS[kind])
    waits: list[int] = []
    with recorded() as traffic:
        outputs = learner.predictor().run(learner.data.valid.epoch(0))
        values = evaluate(noted(outputs, traffic, waits), learner.target, learner.loss, learner.metrics)
    assert len(waits) >= 2
    assert set(waits) == {0}, traffic
    assert traffic.count(SYNC) > 0
    assert len(values) == 1 + len(METRICS[kind])


def noted(outputs: Iterator[Output], traffic: Traffic, waits: list[int]) -> Iterator[Output]:
    """Yield the outputs; note how often the device was waited for after each."""
    for output in outputs:
        yield output
        waits.append(traffic.count(SYNC))
