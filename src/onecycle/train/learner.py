"""The learner: a model and its data, and everything that can be done with the two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from torch import nn

from onecycle.calls import explains_calls
from onecycle.data.bunch import DataBunch, check_bunch
from onecycle.data.plain import LoaderBunch
from onecycle.data.target import Target
from onecycle.deprecation import renamed_arguments
from onecycle.notebook import html_lines
from onecycle.train import (
    checkpoint,
    events,
    export,
    fine_tuning,
    fit,
    layer_groups,
    learn,
    loggers,
    lr_find,
    memory,
    precision,
)
from onecycle.train.deprecated_names import DeprecatedNames
from onecycle.train.learned import Learned
from onecycle.train.lr_curve import LRFinderResult, as_lr
from onecycle.train.options import LearningRate, TrainOptions, takes_train_options
from onecycle.train.plan import Size
from onecycle.train.predicting import Predicting
from onecycle.train.reported import Reported
from onecycle.train.schedule import Constant, OneCycle, Schedule
from onecycle.train.state import TrainState
from onecycle.train.summary import ModelSummary, summarize

if TYPE_CHECKING:
    pass


@explains_calls
class Learner(Predicting, Reported, DeprecatedNames):
    """Trains a model on a bunch.

    Args:
        data: The data.
        model: Any module that takes the bunch's prepared inputs and gives the target's outputs. A `GroupedModel` also
            has layer groups, and a body whose features can be cached.
        options: See `TrainOptions`.

    Attributes:
        state: The state of training.
        history: What happened so far.
        lr_finder_results: What lr="auto" found, each time.
        precision: How passes are computed, see `to_bf16`.
        num_microbatches: In how many parts each batch is computed, since memory ran out.

    Example:
        >>> learner = oc.Learner(bunch, model, metrics=["accuracy"])
        >>> learner.fit_one_cycle(3, lr=1e-3)
    """

    @takes_train_options
    def __init__(self, data: DataBunch, model: nn.Module, **options: Any) -> None:
        check_bunch(data, type(self).__name__)
        layer_groups.check_model(model)
        chosen = TrainOptions.from_keywords(type(self).__name__, **options)
        self.state = TrainState(data, model, chosen)
        self.callbacks = [*map(events.checked, chosen.callbacks), *map(loggers.Track, chosen.loggers or ())]
        self.data = data

    @classmethod
    def from_loaders(
        cls,
        train: Iterable[Any],
        valid: Iterable[Any],
        model: nn.Module,
        *,
        loss: nn.Module | Callable[..., Any],
        target: Target | None = None,
        **options: Any,
    ) -> Self:
        """Return a learner for plain PyTorch loaders of (inputs, targets).

        Args:
            target: What the outputs mean, such as `Category(("cat", "dog"))`; None takes them as they are.
        Example:
            >>> learner = oc.Learner.from_loaders(train, valid, model, loss=torch.nn.functional.cross_entropy)
        """
        return cls(LoaderBunch(train, valid, target), model, loss=loss, **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.state!r}"

    def _repr_html_(self) -> str:
        return html_lines(repr(self)) + (self.history._repr_html_() if len(self.history) else "")

    # --- data and layers ---

    @property
    def data(self) -> DataBunch:
        """The data. Give another bunch of the same classes to go on with it, such as a resized one."""
        return self.state.data

    @data.setter
    def data(self, bunch: DataBunch) -> None:
        memory.use_data(self.state, bunch)

    def freeze(self) -> None:
        """Freeze all layer groups but the last one, the head."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Let all layers learn."""
        self.freeze_to(0)

    def freeze_to(self, group: int) -> None:
        """Freeze the layer groups before `group`; negative numbers count from the end."""
        layer_groups.freeze_to(self.model, group)

    # --- precision and memory ---

    def to_bf16(self, *, force: bool = False) -> Self:
        """Compute passes in bf16, keep the weights in 32 bits; `force` also where that is slower. Returns itself."""
        precision.use_precision(self.state, "bf16", force=force)
        return self

    def to_fp16(self, *, force: bool = False) -> Self:
        """Compute passes in fp16 with a scaled loss; steps that overflow are skipped and noted in the history."""
        precision.use_precision(self.state, "fp16", force=force)
        return self

    def to_fp32(self) -> Self:
        """Compute everything in 32 bits again."""
        precision.use_precision(self.state, "fp32", force=True)
        return self

    def memory_report(self, batch_size: int | None = None) -> memory.MemoryReport:
        """Measure what a training step of the layers that learn now needs of memory, before training."""
        return memory.memory_report(self.state, batch_size)

    # --- training ---

    @renamed_arguments(first_tuned="freeze_to")
    def fine_tune(
        self,
        epochs: int | Sequence[int] | Literal["auto"] = "auto",
        lr: LearningRate | LRFinderResult = "auto",
        *,
        frozen_epochs: int | None = None,
        freeze_to: int | None = None,
        sizes: Sequence[Size] | None = None,
    ) -> None:
        """Train in the two steps: the head alone, then the layers below it too, earlier ones slower.

        Where nothing is said, the model's `fine_tuning` decides: photos keep the lower half of a pretrained backbone
        frozen; texts do too, and take the second step alone; masks and points take their first step on smaller images.

        Where neither `epochs` nor `freeze_to` is said, the second step on photos of classes depends on the first: where
        the head alone is right on fewer than 90% of the validation photos, pretrained features do not nearly suffice,
        and six epochs follow instead of three, with higher rates below the head (`HardData`). The history says so.

        Args:
            epochs: Epochs of the second step; a list for several sizes. 0 takes the first step alone, "auto" what suits
                the model and the data.
            lr: Rate of the head's step; the second step uses a slice below it. "auto" finds both.
            frozen_epochs: Epochs of a first step that trains the head alone; None takes what suits the model, 0 none.
            freeze_to: The first layer group of the second step; 0 trains all layers, None takes what suits the model.
            sizes: Input sizes for progressive resizing, such as [64, 128]: the two steps are taken at each.
        """
        stages = fine_tuning.stages_of(
            self.data, self.model, epochs, frozen_epochs=frozen_epochs, freeze_to=freeze_to, sizes=sizes
        )
        fit.fine_tune(self.state, stages, as_lr(lr))

    def fit_one_cycle(
        self, epochs: int, lr: LearningRate | LRFinderResult = "auto", *, schedule: OneCycle | None = None
    ) -> None:
        """Train for one cycle: the rate warms up to `lr`, then cools down, step by step."""
        self.fit(epochs, lr, schedule=schedule or OneCycle())

    def fit(self, epochs: int, lr: LearningRate | LRFinderResult = "auto", *, schedule: Schedule | None = None) -> None:
        """Train for `epochs`; `Callback` documents the order of events.

        While the body is frozen, its outputs are computed once and cached, and the head takes at least 200 optimizer
        steps on them: an epoch is then several passes over the features, and the history says how many steps. Later
        fits of the same frozen body do not add such passes.

        Args:
            epochs: How often each item is seen.
            lr: Peak rate: a number, `slice(first, last)` from the first to the last layer group, what `lr_find`
                returned, or "auto".
            schedule: Rate and momentum by progress; None keeps them constant.
        Raises:
            TrainingError: The loss is no longer finite; the weights are those of the last good epoch.
        """
        fit.fit(self.state, epochs, as_lr(lr), schedule or Constant())

    def resume(self, path: str | Path | None = None, *, allow_changes: bool = False) -> None:
        """Go on with what was interrupted, `fit` or `fine_tune`, to the weights it would have ended with.

        Args:
            path: The checkpoint to go on from; None goes on from here, after Ctrl-C or `load`.
            allow_changes: Go on although the learner was made in another way, such as with another batch size.
        Raises:
            ModelError: There is nothing to go on with, or the learner was made in another way.
        """
        fit.resume(self.state, path, allow_changes=allow_changes)

    def lr_find(
        self, *, start: float = 1e-6, stop: float = 1.0, steps: int | None = None, sweeps: int | None = None
    ) -> LRFinderResult:
        """Sweep the rate up over a few short trainings and suggest one; see `onecycle.train.lr_find.lr_find`."""
        return lr_find.lr_find(self.state, start=start, stop=stop, steps=steps, sweeps=sweeps)

    def learn(
        self, corrections: learn.Given | Sequence[learn.Given], *, only_corrections: bool = False,
        tolerance: float = 1.0,
    ) -> Learned:  # fmt: skip
        """Learn from what people corrected and confirmed; nothing changes where anything else would get worse.

        A new head is fitted to cached features of the old training items and of the judged ones. Every fifth judged
        answer is held back, and with the validation set decides whether the new head stays.

        Args:
            corrections: A journal, corrections, or their file; or a list of several, to learn from together.
            only_corrections: Train on the corrected items alone, at three times the rate, as lesson 3 does.
            tolerance: By how many percentage points both sets may fall; more where chance explains it.
        """
        return learn.learn(self.state, corrections, only_corrections=only_corrections, tolerance=tolerance)

    # --- looking and keeping ---

    def summary(self, depth: int = 3) -> ModelSummary:
        """Return the model's layers with the shapes of their outputs, their parameters, and which of them learn.

        Args:
            depth: How deep to look into modules of modules.
        """
        return summarize(self.state, depth)

    def save(self, path: str | Path) -> Path:
        """Save all that is needed to go on training, see `Checkpoint`. Of several processes, all must call it."""
        return checkpoint.save_checkpoint(self.state, path)

    def load(self, path: str | Path, *, allow_other_split: bool = False) -> None:
        """Bring back what `save` saved; warns where this learner was made in another way, and refuses another split."""
        checkpoint.load_checkpoint(self.state, path, allow_other_split=allow_other_split)

    def export(self, path: str | Path, **options: Any) -> Path:
        """Write the model for use with `load_model(path)`: a file, or a folder where `path` has no suffix.

        A path that ends in .onnx, .pt2 or .xml (OpenVINO) is written for another runtime, once its predictions for the
        validation items were compared with the model's, see docs/exporting.md. Of several processes, all must call it,
        and the main process writes.

        Args:
            path: Its suffix says what is written.
            options: For ONNX precision="int8" or "fp16", and tolerance=, what may be lost by that. web=True writes a
                folder with a page that classifies images in the browser, where runtime_files= says where
                onnxruntime-web is. Of exporters that are registered, their own.
        """
        return export.export_model(self.state, path, **options)
