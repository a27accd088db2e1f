"""When memory is short: accumulation, microbatches, recomputed activations, and how much memory a step needs."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from learners import Floats, Record, assert_same, photo_bunch, plain_model, tiny, weights_of
from onecycle.errors import DataError, ModelError
from onecycle.train import memory
from onecycle.train.learner import Learner


def no_norm(outputs: int = 3) -> nn.Module:
    """A model whose items do not know of each other."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            Floats(), nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 8, outputs)
        )


def learner_of(photos: Path, model: nn.Module | None = None, *, batch_size: int = 8, **options: Any) -> Learner:
    bunch = photo_bunch(photos, batch_size=batch_size)
    return Learner(bunch, model or no_norm(), **{"progress": False, "optimizer": sgd, **options})


def sgd(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=0.1)


# --- accumulation ---


Pairs = list[tuple[Tensor, Tensor]]


def batches_of(photos: Path, size: int) -> Pairs:
    """The 24 photos in batches of `size` items, as plain loaders give them."""
    bunch = photo_bunch(photos)
    whole = bunch.prepared(bunch.train.dataset, range(24))
    return list(zip(whole.inputs.split(size), whole.targets.split(size), strict=True))


@pytest.mark.parametrize(("small", "count"), [(4, 2), (3, 3), (5, 2), (8, 3)])
def test_accumulated_batches_equal_one_large_one(small: int, count: int, photos: Path) -> None:
    """24 items; 3 x 3 and 5 x 2 leave a last step of fewer items, and 5 x 2 a batch of 4 among those of 5."""

    def learner(batches: Pairs, **options: Any) -> Learner:
        loss = nn.CrossEntropyLoss()
        return Learner.from_loaders(
            batches, batches, no_norm(), loss=loss, optimizer=sgd, progress=False, **options
        )  # fmt: skip

    one = learner(batches_of(photos, small * count))
    several = learner(batches_of(photos, small), accumulate=count, callbacks=[record := Record()])
    for each in (one, several):
        each.fit_one_cycle(2, lr=1e-2)
    for name, tensor in weights_of(one).items():
        torch.testing.assert_close(tensor, weights_of(several)[name], atol=1e-6, rtol=1e-5)
    steps = -(-24 // (small * count)) * 2
    assert len(several.history.steps) == len(one.history.steps) == steps
    assert record.names.count("on_batch_end") == record.names.count("on_backward_end") == steps


def test_accumulation_works_on_cached_features_and_with_clipping(photos: Path) -> None:
    learner = tiny(photo_bunch(photos), accumulate=2, clip=0.1)
    learner.fit_one_cycle(1, lr=1e-3)
    assert learner.state.cached_features is not None
    assert learner.history[-1].train_loss > 0


def test_no_batches_a_step_are_refused(photos: Path) -> None:
    with pytest.raises(
        ModelError, match=r"accumulate=0.\nExpected a whole number of at least 1.\nFix: pass accumulate=2."
    ):
        learner_of(photos, accumulate=0)


# --- memory runs out ---


class Full(nn.Module):
    """Returns its inputs, and has no memory for more than `fits` items."""

    def __init__(self, fits: int, error: Exception) -> None:
        super().__init__()
        self.fits, self.error, self.sizes = fits, error, list[int]()

    def forward(self, inputs: Tensor) -> Tensor:
        if torch.is_grad_enabled() and len(inputs) > self.fits:
            raise self.error
        self.sizes.append(len(inputs))
        return inputs


OUT = [
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    RuntimeError("MPS backend out of memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT, ids=["cuda", "cpu", "mps", "python"])
def test_batches_are_computed_in_microbatches_that_fit_with_the_same_result(error: Exception, photos: Path) -> None:
    roomy, full = learner_of(photos), learner_of(photos, nn.Sequential(gate := Full(100, error), no_norm()))
    gate.fits = 2
    roomy.fit(2, lr=1e-2)
    with pytest.warns(UserWarning, match="memory ran out: batches are now computed in") as caught:
        full.fit(2, lr=1e-2)
    assert full.num_microbatches == 4
    assert len(caught) == 2
    assert full.history.notes == [
        f"memory ran out: batches are now computed in {number} microbatches" for number in (2, 4)
    ]
    for mine, theirs in zip(full.model[1].parameters(), roomy.model.parameters(), strict=True):  # type: ignore[index]
        torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


def test_microbatches_are_kept_for_later_fits(photos: Path) -> None:
    learner = learner_of(photos, nn.Sequential(gate := Full(2, OUT[0]), no_norm()))
    with pytest.warns(UserWarning, match="memory ran out"):
        learner.fit(1, lr=1e-2)
    gate.sizes.clear()
    learner.fit(1, lr=1e-2)
    assert set(gate.sizes[:12]) == {2}
    assert len(learner.history.notes) == 2


def test_one_item_that_does_not_fit_is_an_error(photos: Path) -> None:
    learner = learner_of(photos, nn.Sequential(gate := Full(100, MemoryError()), no_norm()))
    gate.fits = 0
    with pytest.warns(UserWarning, match="memory ran out"), pytest.raises(MemoryError):
        learner.fit(1, lr=1e-2)


def test_other_errors_are_raised(photos: Path) -> None:
    learner = learner_of(photos, nn.Sequential(gate := Full(100, RuntimeError("shapes differ")), no_norm()))
    gate.fits = 2
    with pytest.raises(RuntimeError, match="shapes differ"):
        learner.fit(1, lr=1e-2)
    assert learner.num_microbatches == 1


# --- recomputed activations ---


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_resnet", "test_vit"])
def test_recomputed_activations_give_the_same_gradients_with_less_memory(backbone: str, photos: Path) -> None:
    size = 160 if backbone == "test_vit" else 48
    plain, short = (
        tiny(
            photo_bunch(photos, size=size), backbone, frozen=False, checkpoint_activations=on, seed=1, optimizer=sgd,
            dropout=0.0,
        )
        for on in (False, True)
    )  # fmt: skip
    assert short.memory_report().activations < 0.8 * plain.memory_report().activations
    for learner in (plain, short):
        learner.fit(1, lr=1e-3)
    for name, tensor in plain.model.named_parameters():
        torch.testing.assert_close(tensor, dict(short.model.named_parameters())[name], atol=1e-4, rtol=1e-3)


def test_a_model_that_cannot_recompute_activations_is_refused(photos: Path) -> None:
    with pytest.raises(ModelError, match=r"A Sequential cannot recompute.*\nExpected a GroupedModel.*\nFix: leave"):
        learner_of(photos, checkpoint_activations=True)


# --- how much memory a step needs ---


def test_weights_gradients_and_optimizer_are_counted_exactly(photos: Path) -> None:
    for optimizer, copies in ((sgd, 0), (None, 2), (lambda g: torch.optim.SGD(g, momentum=0.9), 1)):
        options = {} if optimizer is None else {"optimizer": optimizer}
        learner = Learner(photo_bunch(photos), plain_model(), progress=False, **options)
        report = learner.memory_report()
        count = sum(parameter.numel() for parameter in learner.model.parameters())
        assert report.gradients * 2**20 == count * 4
        assert report.optimizer * 2**20 == count * 4 * copies
        assert report.parameters > report.gradients  # batch norm's statistics are in it
    learner.model.requires_grad_(False)
    assert learner.memory_report().gradients == 0


def test_activations_are_as_counted_by_hand(photos: Path) -> None:
    """Saved of each item: the flat floats for the first layer's weight, and 16 for ReLU and the second layer."""
    pixels = 32 * 32 * 3
    model = nn.Sequential(nn.Flatten(), Floats(), nn.Linear(pixels, 16), nn.ReLU(), nn.Linear(16, 3))
    report = Learner(photo_bunch(photos), model, progress=False).memory_report()
    assert report.activations * 2**20 / 8 == (pixels + 16 + 3) * 4
    assert report.inputs * 2**20 == 8 * pixels * 4  # float32
    assert "A training step with 8 items a batch, in MB:" in repr(report)


def test_measuring_changes_nothing_and_grows_with_batch_and_area(photos: Path) -> None:
    learner = tiny(photo_bunch(photos, size=32), frozen=False)
    before, state = learner.copy_weights(), torch.random.get_rng_state()
    small = learner.memory_report()
    assert_same(before, learner.copy_weights())
    assert torch.equal(state, torch.random.get_rng_state())
    assert learner.memory_report(16).activations == pytest.approx(2 * small.activations)
    learner.data = learner.data.resize(64)
    assert learner.memory_report().activations == pytest.approx(4 * small.activations, rel=0.1)


# --- batch_size="auto" ---


def test_an_automatic_batch_size_is_the_largest_that_fits(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bunch = photo_bunch(photos, batch_size="auto")  # type: ignore[arg-type]
    assert bunch.batch_size == 64
    one = tiny(photo_bunch(photos), frozen=False).memory_report(1)
    each = one.inputs + 2 * one.activations
    room = (one.gradients + one.optimizer + 5.9 * each) / memory.SAFE
    monkeypatch.setattr(memory, "FEWEST_STEPS", 1)
    monkeypatch.setattr(memory, "free_memory", lambda device: room * 2**20)
    learner = tiny(bunch)
    assert learner.data.batch_size == 4
    assert learner.history.notes == ['batch_size="auto" chose 4, by free memory and the number of items']
    assert [p.requires_grad for p in learner.model.body.parameters()] == [False] * len(  # type: ignore[union-attr]
        list(learner.model.body.parameters())  # type: ignore[union-attr]
    )
    learner.data = learner.data.resize(16)  # a quarter of the pixels: found again
    assert learner.data.batch_size in (8, 16)
    monkeypatch.setattr(memory, "free_memory", lambda device: 2**45)
    assert memory.largest_batch(learner.state) == 16  # no more than there are items
    monkeypatch.setattr(memory, "free_memory", lambda device: 0)
    assert memory.largest_batch(learner.state) == 1


def test_an_automatic_batch_size_leaves_12_steps_an_epoch(photos: Path) -> None:
    assert tiny(photo_bunch(photos, batch_size="auto")).data.batch_size == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [0, -3, "large", 2.5])
def test_an_invalid_batch_size_is_refused(wrong: Any, photos: Path) -> None:
    with pytest.raises(DataError, match=f"batch_size={wrong!r}"):
        photo_bunch(photos, batch_size=wrong)
