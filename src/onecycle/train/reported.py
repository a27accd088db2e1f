"""What a learner tells about itself: what it gets right and wrong, and a report in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onecycle.calls import explains_calls
from onecycle.inference import show_results as pictures
from onecycle.inference.interpretation.evaluated import evaluate_items
from onecycle.inference.interpretation.interpretation import Interpretation, Source
from onecycle.registry import list_registered, lookup
from onecycle.train.prediction import named_after, split_to_look_at
from onecycle.train.state import TrainState

if TYPE_CHECKING:
    from onecycle.figure import Picture


@explains_calls
class Reported:
    """`interpret` and `report` of a learner."""

    state: TrainState

    def interpret(self, split: str | None = None) -> Any:
        """Return what the model gets right and wrong: tables and figures from one pass over a split.

        What there is depends on the labels: `confusion_matrix()`, `most_confused()`, `per_class()` with 95% intervals,
        `calibration()`, `top_losses()`; of tags `thresholds()`, of masks `hardest()`, of points `errors()`, of numbers
        `residuals()`. Of several processes, all must call it.

        Args:
            split: "valid", "train" or a labelled "test"; None takes "valid", or where nothing validates "train",
                with a warning.
        Example:
            >>> learner.interpret().confusion_matrix().matrix.shape
            (3, 3)
        """
        return interpret(self.state, split)

    def report(self, path: str | Path, *, explain: bool = True) -> Path:
        """Write a report as one HTML file that opens offline, and return its path.

        It says what was trained on what, with curves, scores of each class and their 95% intervals, confusions, worst
        mistakes and best successes with heat maps, calibration before and after, and the times. It needs jinja2: pip
        install "onecycle[report]". Of several processes, all must call it, and the main process writes.

        Args:
            path: The file, replaced where it exists.
            explain: Also look for what takes passes over all items: doubtful labels, near-duplicates of images with
                the scores without them, the words of texts that mattered, samples of a language model.
        Example:
            >>> learner.report("report.html").name
            'report.html'
        """
        written: Path = lookup("report", "html")(self, path, explain=explain)
        return written


def interpret(state: TrainState, split: str | None = None) -> Interpretation:
    """Return the interpretation of a split that fits the labels; see `Reported.interpret`."""
    chosen = split or split_to_look_at(state)
    state.data.filled_loader(chosen)
    kind = state.target.kind if state.target.kind in list_registered("interpretation") else "other"
    reads: type[Interpretation] = lookup("interpretation", kind)
    loader = state.data.in_order_of(chosen)
    outputs = state.kept_outputs.run(state.predictor(), loader, state.sharing)
    evaluated = evaluate_items(outputs, state.target, state.loss, state.metrics, reads, state.sharing)

    def show(rows: Sequence[int]) -> Picture:
        batch = state.data.read(loader.dataset, rows)
        names = [loader.dataset.name(row) for row in batch.index.tolist()]
        return pictures.show_results(state.predictor(), batch, names, state.loss)

    evaluated = replace(evaluated, scores=named_after(chosen, evaluated.scores))
    return reads(evaluated, Source(chosen, loader.dataset, state.target, show))
