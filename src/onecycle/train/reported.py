"""What a learner tells about itself: what it gets right and wrong, a report in one file, a card on the hub."""

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
    """`interpret`, `report` and `push_to_hub` of a learner."""

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

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        token: str | None = None,
        commit_message: str = "A model of onecycle",
    ) -> str:
        """Push the model to the Hugging Face hub with a card that says what it is, and return the address.

        The repository is made where there is none. It gets `config.json`, `model.safetensors` and the card `README.md`
        in one commit: never the data, nor pictures of it. What you write below the card's last line stays when you
        push again; a card that onecycle did not write stays as it is. `oc.from_hub(repo_id)` loads the model. It needs
        huggingface_hub: pip install "onecycle[hub]". Of several processes, all must call it, and the main one pushes.

        Args:
            repo_id: "user/name", or "name" for your own.
            private: Whether a repository that is made now is private; None takes the hub's default.
            revision: The branch; it is made where there is none. None takes the main branch.
            token: With the right to write; None takes HF_TOKEN, or that of `hf auth login`.
            commit_message: Of the commit.
        Raises:
            BundleError: The hub does not take it, cannot be reached, or holds a model of another library there.
        Example:
            >>> learner.push_to_hub("user/photos", private=True)  # doctest: +SKIP
            'https://huggingface.co/user/photos'
        """
        pushed: str = lookup("report", "hub")(
            self, repo_id, private=private, revision=revision, token=token, commit_message=commit_message
        )
        return pushed


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
