"""What a learner predicts for the items of a split, or for new ones: scores, predictions, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onecycle.data.new_items import NewItems, check_is_path, rows_of
from onecycle.inference import evaluation
from onecycle.inference import show_results as pictures
from onecycle.inference.predictions import Predictions
from onecycle.processes import ALONE, Processes
from onecycle.train.state import TrainState

if TYPE_CHECKING:
    from onecycle.figure import Picture

SPLITS = ("train", "valid", "test")


def evaluate_split(state: TrainState, split: str) -> dict[str, float]:
    """Return the loss and the metrics on the labelled items of a split, shared out among all processes."""
    outputs = state.predictor().run(state.valid_batches(split), most_items=state.data.batch_size)
    return evaluation.evaluate(outputs, state.target, state.loss, state.metrics, state.sharing)


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
    items = split if isinstance(split, str) and split in SPLITS else rows_of(split, state.data.modality)
    return evaluation.predict_loader(
        state.predictor(), state.data.in_order_of(items), loss=state.loss, augmentations=augmentations,
        seed=state.seed, sets=sets, processes=processes or state.sharing,
    )  # fmt: skip


def show_results(state: TrainState, count: int, *, worst: bool) -> Picture:
    """Draw validation items, spread over the set or the worst mistakes among them."""
    from onecycle.figure import check_count

    check_count(count)
    dataset = state.data.watched
    rows = pictures.spread_rows(len(dataset), count)
    if worst:
        split = "valid" if len(state.data.valid.dataset) else "train"
        # Not shared out: pictures may be asked for in one process alone.
        rows = pictures.worst_rows(predict_split(state, split, processes=ALONE), dataset, count)
        if not rows:
            return pictures.no_mistakes(len(dataset))
    batch = state.data.read(dataset, rows)
    names = [dataset.name(row) for row in batch.index.tolist()]
    return pictures.show_results(state.predictor(), batch, names, state.loss)
