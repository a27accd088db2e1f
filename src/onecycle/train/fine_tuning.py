"""The two-step process: which stages suit a model, and at which rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from onecycle.data.bunch import DataBunch
from onecycle.data.modality import Modality
from onecycle.errors import ModelError
from onecycle.train.layer_groups import fine_tuning_of, freeze_to
from onecycle.train.memory import use_data
from onecycle.train.options import LearningRate
from onecycle.train.state import TrainState

Size = int | tuple[int, int]


@dataclass(frozen=True)
class Stage:
    """One fit of `fine_tune`.

    Attributes:
        kind: "smaller" trains on smaller inputs, "frozen" the head alone, "main" all layers that should learn.
        epochs: Of the fit.
        freeze_to: The first layer group that learns.
        size: Size of the inputs from this stage on; None leaves it.
        smaller: How training inputs are read in this stage alone.
    """

    kind: Literal["smaller", "frozen", "main"]
    epochs: int
    freeze_to: int
    size: Size | None = None
    smaller: Modality | None = None


def stages_of(
    data: DataBunch,
    model: nn.Module,
    epochs: int | Sequence[int],
    *,
    frozen_epochs: int | None,
    freeze_to: int | None,
    sizes: Sequence[Size] | None,
) -> list[Stage]:
    """Return the stages of `fine_tune`; the model's `fine_tuning` decides what the arguments leave open.

    Raises:
        ModelError: There are not as many epochs as sizes.
    """
    each_size: list[Size | None] = [None] if sizes is None else list(sizes)
    counts = [epochs] * len(each_size) if isinstance(epochs, int) else list(epochs)
    if len(counts) != len(each_size):
        raise ModelError(
            f"epochs={epochs}, sizes={sizes}.", "an epoch count for each size.", "pass lists of the same length."
        )
    record = fine_tuning_of(model)
    first = record.freeze_to if freeze_to is None else freeze_to
    stages: list[Stage] = []
    if frozen_epochs is None and sizes is None and record.smaller_epochs:
        smaller = data.modality.smaller()
        stages += [] if smaller is None else [Stage("smaller", record.smaller_epochs, first, smaller=smaller)]
    frozen = record.frozen_epochs if frozen_epochs is None else frozen_epochs
    for count, size in zip(counts, each_size, strict=True):
        stages += [Stage("frozen", frozen, -1, size)] if frozen else []
        stages += [Stage("main", count, first, size)] if count else []
    return stages


def run_stages(
    state: TrainState,
    stages: Sequence[Stage],
    lr: LearningRate,
    *,
    fit: Callable[[int, LearningRate], None],
) -> None:
    """Run the stages one after the other.

    Args:
        state: What is trained.
        stages: As `stages_of` gives them.
        lr: Rate of the first stage; the main stage after a frozen one uses a slice below it.
        fit: Trains for some epochs at a rate.
    """
    size: Size | None = None
    after_frozen = False
    for stage in stages:
        if stage.size is not None and stage.size != size:
            size = stage.size
            use_data(state, state.data.resize(size))
        freeze_to(state.model, stage.freeze_to)
        if stage.smaller is not None:
            lr = _fit_smaller(state, stage, lr, fit)
        elif stage.kind == "main" and after_frozen and isinstance(lr, int | float):
            fit(stage.epochs, unfrozen_lrs(state.frozen_lr))
        else:
            fit(stage.epochs, lr)
        after_frozen |= stage.kind == "frozen"


def _fit_smaller(
    state: TrainState, stage: Stage, lr: LearningRate, fit: Callable[[int, LearningRate], None]
) -> LearningRate:
    """Train on smaller inputs, validated at their full size; return the rate to go on with."""
    assert stage.smaller is not None
    full, found = state.data, len(state.lr_finder_results)
    state.history.notes.append(f"epoch {len(state.history) + 1} trains on {stage.smaller.describe().model}")
    use_data(state, full.train_as(stage.smaller))
    try:
        fit(stage.epochs, lr)
    finally:
        use_data(state, full)
    return state.lr_finder_results[-1].lr if len(state.lr_finder_results) > found else lr


def unfrozen_lrs(frozen_lr: float | None) -> slice:
    """Return the main stage's rates: the last layers at a fifth of the frozen stage's, the first at 1% of that."""
    last = (frozen_lr or 1e-2) / 5
    return slice(last / 100, last)
