"""One meaning of a step: accumulated batches and microbatches give the gradients and the update of one large batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import onecycle as oc
from devices import DEVICE
from learners import Break, Floats, assert_same, photo_bunch, tag_bunch, weights_of
from onecycle.data.batch import Batch
from onecycle.data.bunch import DataBunch
from onecycle.data.categories import Category, MultiCategory
from onecycle.data.nested import take
from onecycle.data.numbers import Numbers
from onecycle.data.plain import TensorTarget
from onecycle.losses import L1, CrossEntropy, Dice, Focal, Loss, SmoothL1, Wing
from onecycle.text.awd_lstm import AwdLstm, Dropouts
from onecycle.text.language_model import LanguageModel
from onecycle.text.token_losses import RegularisedTokenLoss, TokenLoss
from onecycle.train.gradients import OptimizerStep
from onecycle.train.learner import Learner
from onecycle.vision.points import Points

ITEMS, RATE, TOLERANCE = 16, 0.1, 1e-5
NAN = float("nan")
WAYS = {"4 accumulated batches of 4": (4, 1), "2 microbatches": (1, 2), "3 microbatches": (1, 3),
        "5 microbatches": (1, 5), "4 accumulated batches in 3 microbatches": (4, 3)}  # fmt: skip


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def numbers_below(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(seed))


def sgd(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=RATE)


def dense(outputs: int) -> nn.Module:
    """A network on 6 numbers without batch norm, so that items do not influence each other."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, outputs))


def pixels(outputs: int) -> nn.Module:
    """A network that returns `outputs` numbers for each pixel."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, outputs, 1))


class Tokens(nn.Module):
    """Returns a score for every token of the vocabulary at each place, (batch, vocabulary, length)."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.embedding, self.last = nn.Embedding(vocabulary, 6), nn.Linear(6, vocabulary)

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.last(self.embedding(inputs).tanh())
        return scores.transpose(1, 2)


def learner_of(model: nn.Module, inputs: Any, targets: Any, loss: Any, **options: Any) -> Learner:
    """A learner whose one training batch is the large batch."""
    batches = [(inputs, targets)]
    return Learner.from_loaders(batches, batches, model, loss=loss, optimizer=sgd, progress=False, **options)


Result = tuple[list[Tensor], list[Tensor], float]


def step_of(
    model: nn.Module, batch: Batch, loss: Any, *, parts: int = 1, microbatches: int = 1, target: Any = None
) -> Result:
    """Gradients, updated weights, and the loss of one step on a batch cut into `parts` accumulated batches."""
    model, batch = deepcopy(model).train(), batch.to(DEVICE)
    state = learner_of(model, batch.inputs, batch.targets, deepcopy(loss), target=target).state
    state.num_microbatches = microbatches
    parameters = list(model.parameters())
    step = OptimizerStep(state, model, sgd([{"params": parameters}]))
    gradients: list[Tensor] = []
    value = step(batch.split(parts), lambda: gradients.extend(p.grad.clone() for p in parameters if p.grad is not None))
    return gradients, [parameter.detach() for parameter in parameters], float(value)


def difference(first: list[Tensor], second: list[Tensor]) -> float:
    """The largest difference of any number, relative to the largest number of its tensor."""
    assert len(first) == len(second) > 0
    return max(
        float((a.cpu() - b.cpu()).abs().max() / b.abs().max().clamp_min(1e-8))
        for a, b in zip(first, second, strict=True)
    )


def assert_small(largest: float) -> None:
    print(f"largest relative difference {largest:.1e}")  # shown by `pytest -rP`
    assert largest <= TOLERANCE


def assert_every_way_equals_one_batch(model: nn.Module, batch: Batch, loss: Any, *, target: Any = None) -> Result:
    """Compare all ways with one batch; return the result of the one batch."""
    whole = step_of(model, batch, loss, target=target)
    worst = 0.0
    for parts, microbatches in WAYS.values():
        gradients, weights, value = step_of(
            model, batch, loss, parts=parts, microbatches=microbatches, target=target
        )  # fmt: skip
        worst = max(worst, difference(gradients, whole[0]), difference(weights, whole[1]))
        worst = max(worst, abs(value - whole[2]) / abs(whole[2]))
    assert_small(worst)
    return whole


def gradients_by_hand(model: nn.Module, loss: Callable[[nn.Module], Tensor]) -> list[Tensor]:
    """The gradients of a loss of the model, by autograd alone."""
    model = deepcopy(model)
    return list(torch.autograd.grad(loss(model), list(model.parameters())))


def batch_of(inputs: Any, targets: Any) -> Batch:
    return Batch(inputs, targets, torch.arange(ITEMS))


# --- classes and tags ---

INPUTS = drawn(ITEMS, 6)
# Rare classes come late, so that accumulated batches have very different weights.
CLASSES = torch.tensor([0] * 9 + [1] * 5 + [2] * 2)
THREE = Category(("a", "b", "c"))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_classes(smoothing: float) -> None:
    model = dense(3)
    gradients, *_ = assert_every_way_equals_one_batch(
        model, batch_of(INPUTS, CLASSES), THREE.loss(smoothing=smoothing)
    )  # fmt: skip
    torchs = gradients_by_hand(model, lambda m: F.cross_entropy(m(INPUTS), CLASSES, label_smoothing=smoothing))
    assert difference(gradients, torchs) <= TOLERANCE


def test_classes_weighted_by_balance() -> None:
    model, target = dense(3), THREE.weighted([THREE.classes[number] for number in CLASSES.tolist()])
    assert target.class_weights == pytest.approx((16 / 27, 16 / 15, 16 / 6))
    gradients, *_ = assert_every_way_equals_one_batch(
        model, batch_of(INPUTS, CLASSES), target.loss()
    )  # fmt: skip
    weight = torch.tensor(target.class_weights)
    torchs = gradients_by_hand(model, lambda m: F.cross_entropy(m(INPUTS), CLASSES, weight=weight))
    assert difference(gradients, torchs) <= TOLERANCE


def test_classes_weighted_by_balance_differ_where_parts_are_weighed_by_their_items() -> None:
    """What the tests above would not show if all parts had the same weight."""
    model, target = dense(3), Category(("a", "b", "c"), (0.2, 1.0, 5.0))
    batch, loss = batch_of(INPUTS, CLASSES), target.loss()
    gradients, *_ = step_of(model, batch, loss)
    by_items = [step_of(model, part, loss)[0] for part in batch.split(4)]
    assert difference([sum(parts) / 4 for parts in zip(*by_items, strict=True)], gradients) > 0.1  # type: ignore[misc]


def test_focal_loss_with_class_weights() -> None:
    loss = Focal(weights=[0.5, 1.0, 4.0])
    assert_every_way_equals_one_batch(dense(3), batch_of(INPUTS, CLASSES), loss)


def test_tags_with_positive_weights() -> None:
    tags = (drawn(ITEMS, 4, seed=1) > torch.tensor([1.2, 0.5, 0.0, -1.0])).float()
    target = MultiCategory(("a", "b", "c", "d")).weighted(
        [[name for name, there in zip("abcd", row, strict=True) if there] for row in tags.tolist()]
    )  # fmt: skip
    model, weights = dense(4), target.positive_weights
    assert weights is not None
    assert max(weights) > 2 * min(weights)
    gradients, *_ = assert_every_way_equals_one_batch(
        model, batch_of(INPUTS, tags), target.loss()
    )  # fmt: skip
    torchs = gradients_by_hand(
        model, lambda m: F.binary_cross_entropy_with_logits(m(INPUTS), tags, pos_weight=torch.tensor(weights))
    )
    assert difference(gradients, torchs) <= TOLERANCE


@pytest.mark.parametrize("weights", [None, (0.5, 1.0, 4.0)], ids=["plain", "weighted"])
def test_items_that_were_mixed_as_one_batch(weights: tuple[float, ...] | None) -> None:
    target = Category(("a", "b", "c"), weights)
    mixed = oc.Mixup(alpha=1.0)(batch_of(INPUTS, CLASSES), target, torch.Generator().manual_seed(0))
    assert mixed.targets.is_floating_point()
    model = dense(3)
    gradients, *_ = assert_every_way_equals_one_batch(model, mixed, target.loss())
    weight = None if weights is None else torch.tensor(weights)
    torchs = gradients_by_hand(model, lambda m: F.cross_entropy(m(mixed.inputs), mixed.targets, weight=weight))
    assert difference(gradients, torchs) <= TOLERANCE


# --- masks, points, numbers and tokens ---

IMAGES = drawn(ITEMS, 3, 6, 8)


def masks() -> Tensor:
    """Masks of 3 classes; the first items are ignored for the most part, one of them wholly."""
    values = numbers_below(3, ITEMS, 6, 8).to(torch.uint8)
    values[:4, :5] = 255
    values[7] = 255
    return values


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropy(), CrossEntropy([0.3, 1.0, 6.0]), Dice(), CrossEntropy([0.3, 1.0, 6.0]) + 0.5 * Dice(),
        2 * Focal() + Dice() + 0.1 * CrossEntropy([0.3, 1.0, 6.0]),
    ],
    ids=["cross-entropy", "class weights", "Dice", "class weights and Dice", "three losses"],
)  # fmt: skip
def test_masks_with_ignored_pixels(loss: Loss) -> None:
    assert_every_way_equals_one_batch(pixels(3), batch_of(IMAGES, masks()), loss)


def test_the_whole_batch_of_masks_is_torchs_weighted_mean() -> None:
    model, weight = pixels(3), torch.tensor([0.3, 1.0, 6.0])
    gradients, *_ = step_of(model, batch_of(IMAGES, masks()), CrossEntropy(weight.tolist()))
    torchs = gradients_by_hand(model, lambda m: F.cross_entropy(m(IMAGES), masks().long(), weight, ignore_index=255))
    assert difference(gradients, torchs) <= TOLERANCE


@pytest.mark.parametrize("loss", [None, L1(), SmoothL1(), Wing()], ids=["default", "L1", "SmoothL1", "Wing"])
def test_points_some_of_which_are_missing(loss: Loss | None) -> None:
    points = drawn(ITEMS, 3, 2, seed=2)
    points[:4, 1:] = NAN
    points[9] = NAN
    target = Points(("left", "right", "nose"))
    gradients, *_ = assert_every_way_equals_one_batch(
        dense(6), batch_of(INPUTS, points), loss or target.loss()
    )  # fmt: skip
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_numbers() -> None:
    target = Numbers(("age", "height"), (40.0, 170.0), (12.0, 9.0))
    values = torch.stack([target.encode(pair) for pair in (drawn(ITEMS, 2, seed=3) * 10 + 50).tolist()])
    values[:3, 0] = NAN
    assert_every_way_equals_one_batch(dense(2), batch_of(INPUTS, values), target.loss())


class Transposed(Tokens):
    """The vocabulary comes last, as transformers return it."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs).transpose(1, 2)


@pytest.mark.parametrize("ours", [True, False], ids=["loss of texts", "cross-entropy"])
def test_tokens_of_which_few_are_masked(ours: bool) -> None:
    tokens = numbers_below(11, ITEMS, 7)
    masked = tokens.clone()
    masked[drawn(ITEMS, 7, seed=4) < torch.linspace(-3, 3, ITEMS)[:, None]] = -100
    counts = (masked != -100).sum(1)
    assert counts.min() == 0
    assert counts.max() == 7
    model, loss = (Transposed(11), TokenLoss()) if ours else (Tokens(11), CrossEntropy(ignore_index=-100))
    gradients, *_ = assert_every_way_equals_one_batch(
        model, batch_of(tokens, masked), loss
    )  # fmt: skip
    torchs = gradients_by_hand(Tokens(11), lambda m: F.cross_entropy(m(tokens), masked, ignore_index=-100))
    assert difference(gradients, torchs) <= TOLERANCE


# --- losses of the user ---


def mean_distance(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).norm(dim=1).mean()


def distance_of_each(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).norm(dim=1)


class Distance(nn.Module):
    """A module of the user with a weight that learns nothing here."""

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return mean_distance(outputs, targets)


@pytest.mark.parametrize("loss", [mean_distance, distance_of_each, Distance()], ids=["mean", "each item", "module"])
def test_a_function_of_the_user(loss: Any) -> None:
    model, targets = dense(2), drawn(ITEMS, 2, seed=5)
    gradients, *_ = assert_every_way_equals_one_batch(model, batch_of(INPUTS, targets), loss)
    by_hand = gradients_by_hand(model, lambda m: mean_distance(m(INPUTS), targets))
    assert difference(gradients, by_hand) <= TOLERANCE


def test_torchs_cross_entropy_with_weights_and_an_ignored_class() -> None:
    model, loss = dense(3), nn.CrossEntropyLoss(weight=torch.tensor([0.3, 1.0, 6.0]), ignore_index=1)
    gradients, *_ = assert_every_way_equals_one_batch(model, batch_of(INPUTS, CLASSES), loss)
    assert difference(gradients, gradients_by_hand(model, lambda m: loss(m(INPUTS), CLASSES))) <= TOLERANCE


def test_labels_with_a_varying_number_of_entries_an_item() -> None:
    """Lists are cut like tensors; here each item has its own number of points, and the loss takes their mean."""

    def each(outputs: Tensor, targets: list[Tensor]) -> Tensor:
        return torch.stack([(output - points).abs().mean() for output, points in zip(outputs, targets, strict=True)])

    points = [drawn(1 + number % 3, 2, seed=number) for number in range(ITEMS)]
    assert_every_way_equals_one_batch(dense(2), batch_of(INPUTS, points), each)


# --- in a learner, over several steps ---


def balanced_bunch(kind: str, batch_size: int, photos: Path, tagged: Path) -> DataBunch:
    """24 photos whose classes have uneven weights, or 19 images with tags that are weighted by how rare they are."""
    if kind == "tags":
        return tag_bunch(tagged, batch_size=batch_size, balance="loss")
    bunch = photo_bunch(photos, batch_size=batch_size)
    return bunch.with_target(replace(bunch.target, class_weights=(0.2, 1.0, 5.0)))  # type: ignore[type-var]


@pytest.mark.parametrize(("kind", "large", "small", "accumulate"), [("classes", 12, 3, 4), ("tags", 19, 4, 5)])
def test_a_learner_with_a_balanced_loss(
    kind: str, large: int, small: int, accumulate: int, photos: Path, tagged: Path
) -> None:
    def trained(batch_size: int, **options: Any) -> dict[str, Tensor]:
        bunch = balanced_bunch(kind, batch_size, photos, tagged)
        learner = Learner(bunch, small_images(), optimizer=sgd, progress=False, **options)
        learner.fit(2, lr=RATE)
        assert len(learner.history.steps) == 2 * -(-len(bunch) // large)
        return weights_of(learner)

    whole, parts, start = trained(large), trained(small, accumulate=accumulate), small_images().state_dict()
    largest = max(difference([parts[name]], [whole[name]]) for name in whole)
    assert_small(largest)
    assert max(difference([start[name]], [whole[name]]) for name in whole) > 100 * TOLERANCE


def small_images() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            Floats(), nn.Conv2d(3, 4, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
            nn.Linear(16, 3),
        )  # fmt: skip


# --- recurrent models, which carry a state from batch to batch ---


class Recurrent(nn.Module):
    """Reads streams in pieces: `model(inputs, state)` reads on, `model(inputs)` reads from the beginning.

    Attributes:
        fits: The largest number of items that memory holds once `full_after` passes are done.
        full_after: See `fits`.
        passes: Passes so far.
    """

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.cell, self.last = nn.GRU(3, 5, batch_first=True), nn.Linear(5, 2)
        self.fits, self.full_after, self.passes = ITEMS, 0, 0

    def initial_state(self, batch_size: int) -> Tensor:
        return self.last.weight.new_zeros(batch_size, 5)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> Any:
        self.passes += 1
        if torch.is_grad_enabled() and self.passes > self.full_after and len(inputs) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        before = self.initial_state(len(inputs)) if state is None else state
        outputs, after = self.cell(inputs, before[None].contiguous())
        predicted = self.last(outputs)
        return predicted if state is None else (predicted, after[0].detach())


@dataclass(frozen=True)
class Streams(TensorTarget):
    """Numbers whose batches continue one another."""

    contiguous = True


STEPS = [(drawn(ITEMS, 4, 3, seed=number), drawn(ITEMS, 4, 2, seed=100 + number)) for number in range(4)]


def steps_by_hand(rate: float = RATE) -> list[Tensor]:
    """The weights after reading on for four steps, as one writes it by hand."""
    model = Recurrent()
    optimizer, state = torch.optim.SGD(model.parameters(), lr=rate), model.initial_state(ITEMS)
    for inputs, targets in STEPS:
        predicted, state = model(inputs, state)
        F.mse_loss(predicted, targets).backward()
        optimizer.step()
        optimizer.zero_grad()
    return [parameter.detach() for parameter in model.parameters()]


def recurrent_learner(model: nn.Module, steps: Any = STEPS, **options: Any) -> Learner:
    return Learner.from_loaders(
        steps, steps, model, loss=nn.MSELoss(), target=Streams(), optimizer=sgd, weight_decay=0.0, progress=False,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("microbatches", [1, 2, 3, 5])
def test_a_recurrent_model_reads_on_in_each_microbatch(microbatches: int) -> None:
    learner = recurrent_learner(Recurrent())
    learner.num_microbatches = microbatches
    learner.fit(1, lr=RATE)
    largest = difference([parameter.detach() for parameter in learner.model.parameters()], steps_by_hand())
    assert_small(largest)


def test_a_recurrent_model_reads_from_the_beginning_where_batches_do_not_continue_one_another() -> None:
    learner = Learner.from_loaders(
        STEPS, STEPS, model := Recurrent(), loss=nn.MSELoss(), optimizer=sgd, progress=False
    )  # fmt: skip
    learner.fit(1, lr=RATE)
    assert difference([parameter.detach() for parameter in model.parameters()], steps_by_hand()) > 100 * TOLERANCE


TEXT = numbers_below(20, ITEMS, 4 * 6 + 1, seed=6)
CHUNKS = [(TEXT[:, place : place + 6], TEXT[:, place + 1 : place + 7]) for place in range(0, 24, 6)]


def language_model() -> LanguageModel:
    """Without dropout, whose random numbers depend on how a batch is cut."""
    none = Dropouts(**{field.name: 0.0 for field in fields(Dropouts)})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LanguageModel(AwdLstm(20, pad=0, width=4, hidden=6, layers=2, dropouts=none))


@pytest.mark.parametrize("microbatches", [1, 2, 3, 5])
def test_the_language_model_with_its_regularised_loss(microbatches: int) -> None:
    loss = RegularisedTokenLoss(ar=2.0, tar=1.0)
    learner = Learner.from_loaders(
        CHUNKS, CHUNKS, language_model(), loss=loss, target=Streams(), optimizer=sgd, weight_decay=0.0, progress=False
    )  # fmt: skip
    learner.num_microbatches = microbatches
    learner.fit(1, lr=RATE)
    model = language_model().train()
    optimizer, state = torch.optim.SGD(model.parameters(), lr=RATE), model.initial_state(ITEMS)
    for token_ids, targets in CHUNKS:
        outputs, state = model(token_ids, state)
        loss(outputs, targets).backward()
        optimizer.step()
        optimizer.zero_grad()
    trained = [parameter.detach() for parameter in learner.model.parameters()]
    assert_small(difference(trained, [parameter.detach() for parameter in model.parameters()]))


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("full_after", [1, 2, 3])
def test_a_recurrent_model_whose_memory_runs_out_does_not_read_twice(accumulate: int, full_after: int) -> None:
    """Memory runs out in the first or the second batch of a step, and the step is computed again."""
    results = []
    for fits in (ITEMS, 5):
        learner = recurrent_learner(model := Recurrent(), accumulate=accumulate)
        model.fits, model.full_after = fits, full_after
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            learner.fit(1, lr=RATE)
        assert len(caught) == (0 if fits == ITEMS else 2)
        assert learner.num_microbatches == (1 if fits == ITEMS else 4)
        results.append([parameter.detach() for parameter in model.parameters()])
    largest = difference(results[1], results[0])
    assert_small(largest)


def test_each_epoch_reads_from_the_beginning_also_after_an_interruption(tmp_path: Path) -> None:
    straight = recurrent_learner(Recurrent())
    straight.fit(3, lr=RATE)
    interrupted = recurrent_learner(
        Recurrent(), callbacks=[oc.Checkpoint(tmp_path / "run.ckpt"), Break(0, KeyboardInterrupt())]
    )
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(3, lr=RATE)
    resumed = recurrent_learner(Recurrent())
    resumed.load(tmp_path / "run.ckpt")
    resumed.resume()
    assert_same(weights_of(resumed), weights_of(straight))


def test_the_loss_of_validation_is_that_of_reading_on() -> None:
    model, losses = Recurrent(), list[float]()
    learner, state = recurrent_learner(deepcopy(model)), model.initial_state(ITEMS)
    with torch.no_grad():
        for inputs, targets in STEPS:
            predicted, state = model(inputs, state)
            losses.append(float(F.mse_loss(predicted, targets)))
    assert learner.validate()["valid_loss"] == pytest.approx(sum(losses) / 4, rel=1e-5)


def test_a_smaller_last_batch_reads_on_with_its_first_streams() -> None:
    shorter = [*STEPS[:2], (take(STEPS[2][0], slice(0, 10)), take(STEPS[2][1], slice(0, 10)))]
    learner = recurrent_learner(Recurrent(), shorter)
    learner.num_microbatches = 3
    learner.fit(1, lr=RATE)
    model = Recurrent()
    optimizer, state = torch.optim.SGD(model.parameters(), lr=RATE), model.initial_state(ITEMS)
    for inputs, targets in shorter:
        predicted, state = model(inputs, state[: len(inputs)])
        F.mse_loss(predicted, targets).backward()
        optimizer.step()
        optimizer.zero_grad()
    trained = [parameter.detach() for parameter in learner.model.parameters()]
    assert difference(trained, [parameter.detach() for parameter in model.parameters()]) <= TOLERANCE


# --- details of a step ---


def test_the_callback_sees_clipped_gradients_of_the_whole_step() -> None:
    model = dense(3)
    state = learner_of(model, INPUTS, CLASSES, nn.CrossEntropyLoss(), clip=0.01).state
    step = OptimizerStep(state, model, sgd([{"params": list(model.parameters())}]))
    norms: list[float] = []
    step(
        batch_of(INPUTS, CLASSES).to(DEVICE).split(4),
        lambda: norms.append(
            float(torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm())
        ),
    )
    assert norms == pytest.approx([0.01], rel=1e-3)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_gradients_left_by_an_interrupted_step_are_dropped() -> None:
    model = dense(3)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    state = learner_of(model, INPUTS, CLASSES, nn.CrossEntropyLoss()).state
    OptimizerStep(state, model, sgd([{"params": list(model.parameters())}]))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_part_in_which_nothing_counts_adds_nothing() -> None:
    targets = CLASSES.clone()
    targets[:8] = -100
    model, loss = dense(3), CrossEntropy(ignore_index=-100)
    half = step_of(model, Batch(INPUTS[8:], CLASSES[8:], torch.arange(8)), loss)
    whole = step_of(model, batch_of(INPUTS, targets), loss, parts=2)
    assert difference(whole[0], half[0]) <= TOLERANCE
    nothing = step_of(model, batch_of(INPUTS, torch.full_like(targets, -100)), loss, parts=2)
    assert nothing[2] == 0
    assert all(not gradient.any() for gradient in nothing[0])
