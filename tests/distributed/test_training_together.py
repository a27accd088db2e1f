"""Fits in several processes: the schedules, decisions and weights of one process, the same in all."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from group import Group
from PIL import Image
from runs import Left, assert_equal, assert_same_everywhere, learner_of, left, photos_run, trained

import onecycle as oc
from learners import Grouped, photo_bunch, tag_bunch, tiny
from onecycle.data.nested import take
from onecycle.processes import Processes
from onecycle.text.token_losses import RegularisedTokenLoss
from onecycle.train import checkpoint, memory, precision
from onecycle.train.learner import Learner
from train.test_gradients import CHUNKS, STEPS, Recurrent, Streams, balanced_bunch, language_model, sgd, small_images


def adam(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups)


@pytest.mark.parametrize(
    "options",
    [{}, {"accumulate": 2, "clip": 0.1}, {"optimizer": adam, "ema": 0.9}],
    ids=["plain", "accumulated", "ema"],
)
def test_two_processes_train_as_one(pair: Group, photos: Path, options: dict[str, Any]) -> None:
    """24 photos in batches of 10, of both: the last one has 4."""
    runs = pair.run(photos_run_of, photos, 5, options)
    assert_same_everywhere(runs)
    assert_equal(runs, photos_run_of(photos, 10, options))


def photos_run_of(photos: Path, batch_size: int, options: dict[str, Any]) -> Left:
    return photos_run(photos, batch_size, **options)


def test_a_batch_that_leaves_a_process_without_items(four: Group, photos: Path) -> None:
    """24 photos in batches of 22: the last one has 2, for four processes."""
    runs = four.run(uneven_run, photos, 4)
    assert_same_everywhere(runs)
    assert_equal(runs, uneven_run(photos, 16))


def uneven_run(photos: Path, batch_size: int) -> Left:
    bunch = photo_bunch(photos, batch_size=batch_size)
    bunch.train.global_size = lambda world: 22  # type: ignore[method-assign]
    return trained(bunch)


@pytest.mark.parametrize("kind", ["classes", "tags"])
def test_losses_that_balance_classes(pair: Group, photos: Path, tagged: Path, kind: str) -> None:
    runs = pair.run(balanced_run, kind, 6, photos, tagged)
    assert_same_everywhere(runs)
    assert_equal(runs, balanced_run(kind, 12, photos, tagged))


def balanced_run(kind: str, batch_size: int, photos: Path, tagged: Path) -> Left:
    return trained(balanced_bunch(kind, batch_size, photos, tagged))


def test_mixup_mixes_within_a_process(pair: Group, photos: Path) -> None:
    """Partners are drawn among a process's own items, so weights differ from those of one process; not among ranks."""
    runs = pair.run(mixed_run, photos, 6)
    assert_same_everywhere(runs)
    whole = mixed_run(photos, 12)
    assert [lr for _, lr in runs[0].steps] == [lr for _, lr in whole.steps]
    assert not torch.equal(runs[0].weights["5.weight"], whole.weights["5.weight"])


def mixed_run(photos: Path, batch_size: int) -> Left:
    return photos_run(photos, batch_size, mix=oc.Mixup())


class Unused(torch.nn.Module):
    """A layer is not used, or only by the first of two processes."""

    def __init__(self, one_uses_it: bool) -> None:
        super().__init__()
        self.used, self.one_uses_it = small_images(), one_uses_it
        self.unused = torch.nn.Linear(3, 3)

    def forward(self, inputs: Any) -> Any:
        outputs = self.used(inputs)
        uses = self.one_uses_it and Processes.of(Accelerator()).is_main
        return outputs + 0 * self.unused(outputs) if uses else outputs


def unused_run(photos: Path, batch_size: int, one_uses_it: bool) -> Left:
    model = Unused(one_uses_it)
    torch.nn.init.ones_(model.unused.weight)
    torch.nn.init.ones_(model.unused.bias)
    return trained(photo_bunch(photos, batch_size=batch_size), model=model, weight_decay=0.5)


@pytest.mark.parametrize("one_uses_it", [False, True])
def test_a_layer_that_is_not_used(pair: Group, photos: Path, one_uses_it: bool) -> None:
    """DistributedDataParallel alone ends with an error in the second step."""
    runs = pair.run(unused_run, photos, 4, one_uses_it)
    assert_same_everywhere(runs)
    assert_equal(runs, unused_run(photos, 8, one_uses_it))


# --- streams ---


def streams_of(batches: Any) -> list[Any]:
    """This process's share of each batch: every stream stays with one process."""
    processes = Processes.of(Accelerator(cpu=True))
    rows = torch.arange(processes.rank, len(batches[0][0]), processes.world)
    # Of plain loaders every process takes the batches of its own number.
    empty = [(take(batches[0][0], rows), take(batches[0][1], rows))]
    shares = [(take(inputs, rows), take(targets, rows)) for inputs, targets in batches]
    return [share if turn == processes.rank else empty[0] for share in shares for turn in range(processes.world)]


def recurrent_run() -> Left:
    batches = streams_of(STEPS)
    learner = Learner.from_loaders(
        batches, STEPS, Recurrent(), loss=torch.nn.MSELoss(), target=Streams(), optimizer=sgd, progress=False
    )
    learner.fit_one_cycle(2, 0.1)
    return left(learner)


def language_run() -> Left:
    batches = streams_of(CHUNKS)
    learner = Learner.from_loaders(
        batches, CHUNKS, language_model(), loss=RegularisedTokenLoss(ar=2.0, tar=1.0), target=Streams(), optimizer=sgd,
        progress=False,
    )  # fmt: skip
    learner.fit_one_cycle(2, 0.1)
    return left(learner)


@pytest.mark.parametrize("run", [recurrent_run, language_run])
def test_models_that_read_on(pair: Group, run: Any) -> None:
    runs = pair.run(run)
    assert_same_everywhere(runs)
    assert_equal(runs, run())


# --- decisions ---


def decisions(photos: Path) -> tuple[Left, Any]:
    """The finder, its rate in a fit, precision by timing, and a batch size that fits."""
    learner = learner_of(photo_bunch(photos, batch_size=2))
    result = learner.lr_find(steps=30, stop=1e5)
    learner.fit_one_cycle(1)  # lr="auto"
    return left(learner), (result.lr, result.losses.tolist(), len(result.sweeps[0]), learner.lr_finder_results[0].lr)


def test_the_finder_ends_at_the_same_step_and_all_take_its_rate(pair: Group, photos: Path) -> None:
    (first, found), (second, same) = pair.run(decisions, photos)
    assert_same_everywhere([first, second])
    assert found == same
    assert found[2] < 30, "the loss exploded before the end of the sweep"


def found_sizes(photos: Path) -> tuple[int, str, list[str]]:
    """What is found where process 0 has no memory left, and is faster in 32 bits, and process 1 is the opposite."""
    rank = Processes.of(tiny(photo_bunch(photos)).accelerator).rank
    free, cost = memory.free_memory, precision.relative_cost
    memory.free_memory = lambda device: 2**40 if rank else 0
    precision.relative_cost = lambda *_: 0.5 if rank else 2.0
    try:
        learner = tiny(photo_bunch(photos, batch_size="auto"))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            learner.to_bf16()
        return learner.data.batch_size, learner.precision.mode, [str(one.message)[:4] for one in caught]
    finally:
        memory.free_memory, precision.relative_cost = free, cost


def test_batch_size_and_precision_are_decided_for_all(pair: Group, photos: Path) -> None:
    first, second = pair.run(found_sizes, photos)
    assert first[:2] == second[:2] == (1, first[1])
    assert second[2] == [], "told once"


def stopping_run(photos: Path) -> tuple[Left, list[int]]:
    learner = learner_of(
        photo_bunch(photos, batch_size=4),
        callbacks=[oc.EarlyStopping("train_loss", patience=1), oc.KeepBest("train_loss")],
    )
    for _ in range(3):
        learner.fit(3, 0.7)
    return left(learner), [len(learner.history)]


def test_early_stopping_and_the_best_epoch_are_the_same_in_all(pair: Group, photos: Path) -> None:
    (first, epochs), (second, same) = pair.run(stopping_run, photos)
    assert_same_everywhere([first, second])
    assert epochs == same
    assert any("not improved" in note for note in first.notes) or epochs == [9]


def thresholds(tagged: Path) -> tuple[float, float]:
    learner = tiny(tag_bunch(tagged, batch_size=4), frozen=False)
    learner.fit(1, 1e-3)
    return learner.tune_threshold(), learner.target.threshold  # type: ignore[attr-defined]


def test_the_threshold_is_the_same_in_all(pair: Group, tagged: Path) -> None:
    (first, kept), second = pair.run(thresholds, tagged)
    assert second == (first, kept)
    assert first == kept


# --- statistics and files ---


def statistics_run(photos: Path, folder: Path) -> tuple[Left, int, Any]:
    written, write = [0], checkpoint.write_bundle

    def counted(*arguments: Any) -> Path:
        written[0] += 1
        return write(*arguments)

    checkpoint.write_bundle = counted
    try:
        learner = learner_of(photo_bunch(photos, batch_size=4), Grouped(), ema=0.9, optimizer=adam)
        learner.callbacks = [
            oc.Checkpoint(folder / "last.ckpt", every_steps=2), oc.KeepBest(),
            oc.Track(oc.CsvTracker(folder / "log.csv")),
        ]  # fmt: skip
        seen: list[Any] = []

        class Watch(oc.Callback):
            def on_epoch_end(self, state: Any, event: Any) -> None:
                seen.append([float(buffer.double().sum()) for buffer in state.model.buffers()])

        learner.callbacks = [*learner.callbacks, Watch()]
        learner.fit_one_cycle(2, 1e-2)
        tiny(photo_bunch(photos)).export(folder / "model.onecycle")
        (rebuilt,) = oc.load_model(folder / "model.onecycle").predict_many([photos / "red" / "red_0.jpg"])
        assert rebuilt is not None
    finally:
        checkpoint.write_bundle = write
    return left(learner), written[0], seen


def test_statistics_averages_and_files(pair: Group, photos: Path, tmp_path: Path) -> None:
    (first, written, seen), (second, other, same) = pair.run(statistics_run, photos, tmp_path)
    assert_same_everywhere([first, second])
    assert seen == same
    assert len(seen) == 2
    assert (written > 0, other) == (True, 0), "the main process alone writes"
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3


def synchronised(photos: Path) -> str:
    try:
        learner_of(photo_bunch(photos), Grouped(), sync_batchnorm=True)
    except oc.OnecycleError as error:
        return str(error)
    return ""


def test_batch_norms_of_several_processes_need_gpus(pair: Group, photos: Path) -> None:
    expected = (
        "sync_batchnorm=True on processors: PyTorch has batch norms of several processes for GPUs alone.\n"
        "Expected GPUs.\n"
        "Fix: leave sync_batchnorm= out, and give each process enough items a batch (16 or more)."
    )
    assert pair.run(synchronised, photos) == [expected] * 2


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per class, 27 pictures of noise each, and a table that tags them."""
    root, generator = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    lines = ["image,tags"]
    for number in range(54):
        path = root / "images" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (16, 16, 3)).astype(np.uint8)).save(path)
        lines.append(f"{path.relative_to(root / 'images')},{'red' if number % 3 else 'red blue'}")
    (root / "labels.csv").write_text("\n".join(lines))
    return root


@pytest.mark.parametrize("kind", ["classes", "tags"])
def test_a_calibration_by_two_processes_is_that_of_one(pair: Group, noise: Path, kind: str) -> None:
    """Temperatures, the scores for sets, the features, and the report, which every process has."""
    whole, runs = calibrated(noise, kind), pair.run(calibrated, noise, kind)
    assert whole["temperatures"] is not None
    assert whole["measured_on"] == 24
    for run in runs:
        torch.testing.assert_close(run, whole, rtol=1e-4, atol=1e-6)


def calibrated(noise: Path, kind: str) -> dict[str, Any]:
    images = oc.ImageList.from_folder(noise / "images")
    if kind == "tags":
        images = oc.ImageList.from_csv(noise / "labels.csv", folder=noise / "images")
    split = images.split_by(lambda path: int(path.stem) >= 7)
    labelled = split.label_from_folder() if kind == "classes" else split.label_from_column("tags", delimiter=" ")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        learner = tiny(labelled.transform(16, augment=oc.augment.none()).databunch(8))
    report = learner.calibrate()
    found = learner.state.calibration
    assert found is not None
    assert found.familiarity is not None
    return {
        "temperatures": learner.target.temperatures, "scores": found.scores, "measured_on": report.items,
        "features": found.familiarity.features, "threshold": found.familiarity.threshold,
        "ece": [report.before.ece, report.after.ece], "brier": [report.before.brier, report.after.brier],
    }  # fmt: skip
