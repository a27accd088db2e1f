"""What a learner predicts for the items of a split, or for new ones: scores, predictions, pictures."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from onecycle.data.new_items import NewItems, check_is_path, rows_of
from onecycle.data.rows import Rows
from onecycle.errors import check_count, counted, users_level
from onecycle.inference import evaluation
from onecycle.inference import show_results as pictures
from onecycle.inference.predictions import Predictions
from onecycle.processes import ALONE, Processes
from onecycle.train.state import TrainState

if TYPE_CHECKING:
    from onecycle.figure import Picture

SPLITS = ("train", "valid", "test")


def evaluate_split(state: TrainState, split: str) -> dict[str, float]:
    """Return the loss and the metrics on the labelled items of a split, shared out among all processes.

    Raises:
        DataError: It has no items.
    """
    outputs = state.predictor().run(state.valid_batches(split), most_items=state.data.batch_size)
    state.data.filled_loader(split)
    return named_after(split, evaluation.evaluate(outputs, state.target, state.loss, state.metrics, state.sharing))


def named_after(split: str, scores: dict[str, float]) -> dict[str, float]:
    """Return the scores of a split with the loss called after it: "train_loss" is not what validation found.

    Example:
        >>> named_after("train", {"valid_loss": 0.5, "accuracy": 0.8})
        {'train_loss': 0.5, 'accuracy': 0.8}
    """
    return {f"{split}_loss" if name == "valid_loss" else name: value for name, value in scores.items()}


def split_to_look_at(state: TrainState) -> str:
    """Return "valid"; where nothing is held back "train", which a warning says."""
    if state.data.validates:
        return "valid"
    warnings.warn(
        f"There are no validation items: these are the {counted(len(state.data.train.dataset), 'training item')}, "
        "which the model knows. New items it predicts less well.",
        stacklevel=users_level(),
    )
    return "train"


def predict_split(
    state: TrainState,
    split: str | NewItems,
    augmentations: Sequence[int | None] = (None,),
    processes: Processes | None = None,
    sets: float | None = None,
) -> Predictions:
    """Return the predictions for a split or for new items, the mean over augmented copies.

    Args:
        augmentations: Numbers of the copies; None is the item as it is.
        processes: Share the items out among these; None: among those that train.
        sets: See `Predictor.predict`.
    """
    if isinstance(split, str) and split not in SPLITS:
        check_is_path(split, SPLITS)
    items: str | Rows = split if isinstance(split, str) and split in SPLITS else rows_of(split, state.data.modality)
    if isinstance(items, str):
        state.data.filled_loader(items)
    return evaluation.predict_loader(
        state.predictor(), state.data.in_order_of(items), loss=state.loss, augmentations=augmentations,
        seed=state.seed, sets=sets, processes=processes or state.sharing,
    )  # fmt: skip


def show_results(state: TrainState, count: int, *, worst: bool) -> Picture:
    """Draw validation items, spread over the set or the worst mistakes among them."""
    check_count(count)
    split = split_to_look_at(state)
    dataset = state.data.watched
    rows = pictures.spread_rows(len(dataset), count)
    if worst:
        # Not shared out: pictures may be asked for in one process alone.
        rows = pictures.worst_rows(predict_split(state, split, processes=ALONE), dataset, count)
        if not rows:
            return pictures.no_mistakes(len(dataset))
    batch = state.data.read(dataset, rows)
    names = [dataset.name(row) for row in batch.index.tolist()]
    return pictures.show_results(state.predictor(), batch, names, state.loss)
