"""The two-step process: which stages suit a model, and at which rates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from torch import nn

from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError
from onecycle.train.layer_groups import FineTuning, fine_tuning_of, freeze_to
from onecycle.train.main_stage import choose_stage
from onecycle.train.memory import use_data
from onecycle.train.option_fields import is_whole
from onecycle.train.options import LearningRate
from onecycle.train.plan import Plan, Size, Stage
from onecycle.train.state import TrainState


def stages_of(
    data: DataBunch,
    model: nn.Module,
    epochs: int | Sequence[int] | Literal["auto"],
    *,
    frozen_epochs: int | None,
    freeze_to: int | None,
    sizes: Sequence[Size] | None,
) -> list[Stage]:
    """Return the stages of `fine_tune`; the model's `fine_tuning` decides what the arguments leave open.

    Raises:
        ModelError: There are not as many epochs as sizes.
    """
    if frozen_epochs is not None and not (is_whole(frozen_epochs) and frozen_epochs >= 0):
        raise ModelError(f"frozen_epochs={frozen_epochs!r}.", "a whole number of 0 or more.", "pass frozen_epochs=1.")
    each_size: list[Size | None] = [None] if sizes is None else list(sizes)
    record = fine_tuning_of(model)
    usual = _epochs(epochs, record)
    counts = [usual] * len(each_size) if isinstance(usual, int) else list(usual)
    if len(counts) != len(each_size):
        raise ModelError(
            f"epochs={epochs}, sizes={sizes}.", "an epoch count for each size.", "pass lists of the same length."
        )
    first = record.freeze_to if freeze_to is None else freeze_to
    stages: list[Stage] = []
    if frozen_epochs is None and sizes is None and record.smaller_epochs:
        stages += [] if data.modality.smaller() is None else [Stage("smaller", record.smaller_epochs, first)]
    frozen = record.frozen_epochs if frozen_epochs is None else frozen_epochs
    left_open = epochs == "auto" and freeze_to is None and record.hard is not None and frozen > 0
    for count, size in zip(counts, each_size, strict=True):
        stages += [Stage("frozen", frozen, -1, size)] if frozen else []
        stages += [Stage("main", count, first, size, open=left_open)] if count else []
    return stages


def _epochs(epochs: Any, record: FineTuning) -> int | Sequence[int]:
    if not isinstance(epochs, str):
        return epochs  # type: ignore[no-any-return]
    if epochs != "auto":
        raise ModelError(f"epochs={epochs!r}.", 'a whole number, a list of them, or "auto".', 'pass epochs="auto".')
    return record.epochs


def run_plan(state: TrainState, *, fit: Callable[[int, LearningRate], None], resume: Callable[[], None]) -> None:
    """Run the stages of the plan that are left, the first of them from where it was interrupted.

    Args:
        state: What is trained; its `plan` says how.
        fit: Trains for some epochs at a rate.
        resume: Goes on with the fit under way.
    """
    plan = state.plan
    assert plan is not None
    while plan.current < len(plan.stages):
        stage = plan.stages[plan.current]
        if stage.open and state.fit is None:
            stage = plan.stages[plan.current] = choose_stage(state, stage)
        with _data_of(state, plan, stage):
            if state.fit is None:
                freeze_to(state.model, stage.freeze_to)
                plan.sweeps = len(state.lr_finder_results)
                fit(stage.epochs, _lr_of(state, plan, stage))
            else:
                resume()
        if stage.kind == "smaller" and len(state.lr_finder_results) > plan.sweeps:
            plan.lr = state.lr_finder_results[-1].lr
        plan.current += 1
    state.plan = None


def _lr_of(state: TrainState, plan: Plan, stage: Stage) -> LearningRate:
    """Return a stage's rate: a slice below the frozen stage's for the layers that learn after it."""
    after_frozen = any(earlier.kind == "frozen" for earlier in plan.stages[: plan.current])
    known = isinstance(plan.lr, int | float) or stage.spread != Stage.spread
    if stage.kind == "main" and after_frozen and known and not isinstance(plan.lr, slice):
        return unfrozen_lrs(state.frozen_lr, stage.spread)
    return plan.lr


@contextmanager
def _data_of(state: TrainState, plan: Plan, stage: Stage) -> Iterator[None]:
    """Use the data of a stage: from it on at its size, and during it alone on smaller inputs, validated in full."""
    resumed = None if state.fit is None else (state.fit.batch_size, state.head_steps)
    if stage.size is not None and stage.size != plan.size:
        use_data(state, plan.data.resize(stage.size), batch_size=resumed and resumed[0])
        plan.size = stage.size
    elif resumed:
        use_data(state, state.data, batch_size=resumed[0])
    if stage.kind != "smaller":
        if resumed:
            state.head_steps = resumed[1]
        yield
        return
    full, smaller = state.data, state.data.modality.smaller()
    assert smaller is not None
    use_data(state, full.train_as(smaller))
    try:
        yield
    finally:
        use_data(state, full)


def unfrozen_lrs(frozen_lr: float | None, spread: float = Stage.spread) -> slice:
    """Return the main stage's rates: the head's is a fifth of the frozen stage's, the first `spread` times lower."""
    last = (frozen_lr or 1e-2) / 5
    return slice(last / spread, last)
