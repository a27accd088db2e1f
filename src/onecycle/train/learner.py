"""The learner: a model, its data, and the open loop that brings them together."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from onecycle.data.bunch import DataBunch
from onecycle.data.dataset import DataLoader, seeded
from onecycle.data.items import ItemList
from onecycle.data.modality import Batch
from onecycle.data.target import same_answers
from onecycle.errors import ModelError, StopTraining, TrainingError
from onecycle.train import answers, checkpoint, events, groups, memory, precision
from onecycle.train.average import WeightAverage
from onecycle.train.callbacks import ProgressTable
from onecycle.train.events import Callback
from onecycle.train.features import KeptFeatures, keep_features
from onecycle.train.fit import (
    Fit,
    LearningRate,
    Losses,
    OptimizerMaker,
    adamw,
    endless,
    in_groups,
    not_finite,
    runs_plain,
    set_pace,
    two_thirds,
    unfrozen_rates,
)
from onecycle.train.history import EpochRecord, History
from onecycle.train.lr_find import USUAL_FOR_HEADS, Curve, Finding, find, shown, sweep_rates
from onecycle.train.metrics import MetricLike, resolve_metrics
from onecycle.train.mix import Mix
from onecycle.train.pieces import in_pieces
from onecycle.train.precision import Mode, Precision, suited
from onecycle.train.predictor import Prediction, Predictions, Predictor
from onecycle.train.schedule import Constant, OneCycle, Schedule

if TYPE_CHECKING:
    from onecycle.data.figure import Picture

GroupedModelT = TypeVar("GroupedModelT", bound=groups.GroupedModel)


class LearnerOptions(TypedDict, total=False):
    """What `vision_learner` and its like hand on to `Learner`; the meaning is told there."""

    metrics: Iterable[MetricLike] | None
    loss: nn.Module | None
    label_smoothing: float
    optimizer: OptimizerMaker
    mix: Mix | None
    weight_decay: float
    clip: float | None
    ema: float | None
    accumulate: int
    checkpoint_activations: bool
    callbacks: Sequence[Callback]
    keep_features: bool
    progress: bool
    seed: int | None
    accelerator: Accelerator | None


class Learner:
    """Trains a model on a bunch.

    Args:
        data: The data.
        model: Any module that takes the bunch's prepared inputs and gives the target's outputs. A `GroupedModel` also
            has layer groups, a body whose features can be kept, and can be exported.
        metrics: Names or `Metric`s to watch; None takes the target's own.
        loss: Between outputs and encoded targets; None takes the target's own.
        label_smoothing: For the target's own loss.
        optimizer: Makes an optimizer from parameter groups.
        mix: `Mixup()` or `CutMix()`; None mixes nothing.
        weight_decay: For all parameters but norms and biases.
        clip: Largest norm of the gradient; None clips nothing.
        ema: Decay of a moving average of the weights that is validated and kept in their stead; None averages nothing.
        accumulate: Batches a step: gradients are added up over so many, as if they were one large batch.
        checkpoint_activations: Keep less for the backward pass and compute it again: less memory, more time.
        callbacks: Observers of every fit.
        keep_features: Compute the frozen body's outputs once, where they can be reused.
        progress: Show a live table.
        seed: Decides everything random; None takes the bunch's.
        accelerator: Device, precision and processes; None chooses for this machine.

    Attributes:
        history: What happened so far.
        findings: What lr="auto" saw, each time.
        precision: How passes are computed, see `to_bf16`.
        pieces: Into how many pieces each batch is cut, since memory ran out.
    """

    def __init__(
        self,
        data: DataBunch,
        model: nn.Module,
        *,
        metrics: Iterable[MetricLike] | None = None,
        loss: nn.Module | None = None,
        label_smoothing: float = 0.0,
        optimizer: OptimizerMaker = adamw,
        mix: Mix | None = None,
        weight_decay: float = 0.01,
        clip: float | None = None,
        ema: float | None = None,
        accumulate: int = 1,
        checkpoint_activations: bool = False,
        callbacks: Sequence[Callback] = (),
        keep_features: bool = True,
        progress: bool = True,
        seed: int | None = None,
        accelerator: Accelerator | None = None,
    ) -> None:
        if accumulate < 1:
            raise ModelError(f"accumulate={accumulate}.", "1 or more batches a step.", "pass accumulate=2.")
        if mix is not None and not data.target.mixable:
            raise ModelError(f"mix= does not fit {data.target.kind}.", "categories or tags.", "leave mix= out.")
        self.accelerator = accelerator or Accelerator()
        self.target = data.target
        self.model = model.to(self.accelerator.device)
        self.metrics = resolve_metrics(metrics, self.target)
        self.loss = (loss or self.target.loss(smoothing=label_smoothing)).to(self.accelerator.device)
        self.optimizer, self.mix, self.weight_decay, self.clip, self.ema = (
            optimizer,
            mix,
            weight_decay,
            clip,
            ema,
        )
        self.callbacks = [events.checked(callback) for callback in callbacks]
        self.keep_features, self.progress = keep_features, progress
        self.seed = data.options.seed if seed is None else seed
        self.history = History()
        self.findings: list[Finding] = []
        self.frozen_rate: float | None = None
        self.fit_under_way: Fit | None = None
        self.kept: KeptFeatures | None = None
        self.accumulate, self.pieces = accumulate, 1
        self.precision = Precision("fp32", self.accelerator.device)
        if checkpoint_activations:
            groups.checkpoint_activations(self.model)
        self.data = data

    # --- data and layers ---

    @property
    def data(self) -> DataBunch:
        """The data. Give another bunch of the same classes to go on with it, such as a resized one."""
        return self._data

    @data.setter
    def data(self, bunch: DataBunch) -> None:
        if not same_answers(bunch.target.to_config(), self.target.to_config()):
            raise ModelError(
                f"The new bunch has other labels or classes: {bunch.target.summary}.",
                f"the learner's: {self.target.summary}.",
                "make a new learner, or label the new bunch as the old one.",
            )
        self._data, self.kept = bunch, None
        if bunch.options.batch_size == "auto" and bunch.fitting is None:
            self._data = bunch.with_batch_size(memory.largest_batch(self))
            self.history.notes.append(f"batches of {self._data.batch_size} fit into memory")

    def freeze(self) -> None:
        """Freeze all but the last layer group, the head."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Let all layers learn."""
        self.freeze_to(0)

    def freeze_to(self, group: int) -> None:
        """Freeze the layer groups before `group`; negative numbers count from the end."""
        groups.freeze_to(self.model, group)

    # --- precision and memory ---

    def to_bf16(self, *, force: bool = False) -> Self:
        """Compute forward and backward passes in bf16, the weights stay in 32 bits; returns the learner.

        Args:
            force: Also on a device that is slower that way.
        """
        return self._to("bf16", force)

    def to_fp16(self, *, force: bool = False) -> Self:
        """Compute forward and backward passes in fp16, with a scaled loss; returns the learner.

        Steps whose gradients overflow are skipped, counted and noted in the history.

        Args:
            force: Also on a device that is slower that way.
        """
        return self._to("fp16", force)

    def to_fp32(self) -> Self:
        """Compute everything in 32 bits again; returns the learner."""
        return self._to("fp32", force=True)

    def _to(self, mode: Mode, force: bool) -> Self:
        used, reason = (mode, "") if force else suited(mode, self.accelerator.device)
        if not force and used == "bf16" and self.accelerator.device.type == "cpu":
            # On processors, 16 bits speed up products of matrices, and slow down the small convolutions of many models.
            cost = precision.relative_cost(self, Precision(used, self.accelerator.device))
            if cost > 1:
                used, reason = "fp32", f"here this model takes {cost:.1f} times as long in {used}; using fp32"
        if reason:
            warnings.warn(f"{mode} was asked for: {reason}.", stacklevel=3)
        self.precision, self.kept = Precision(used, self.accelerator.device), None
        return self

    def memory_report(self, batch_size: int | None = None) -> memory.MemoryReport:
        """Measure what a training step of the layers that learn now needs of memory, before training.

        Args:
            batch_size: Items a batch; None takes the bunch's.
        """
        return memory.memory_report(self, batch_size)

    # --- training ---

    def fine_tune(
        self,
        epochs: int | Sequence[int],
        lr: LearningRate = "auto",
        *,
        frozen_epochs: int | None = None,
        first_tuned: int | None = None,
        sizes: Sequence[int | tuple[int, int]] | None = None,
    ) -> None:
        """Train in the two steps: the head alone, then the layers below it too, earlier ones slower.

        Where nothing is said, the model's `frozen_epochs`, `first_tuned` and `usual_rates` decide. Photos keep the
        lower half of a pretrained backbone as it is, which ends as well as tuning all of it, in 0.6 of the time. Texts
        do too, and take the second step alone. Masks and points have no use for a frozen step: their first one trains
        all layers for an epoch on images of two thirds of the size, for a usable model in two thirds of the time.

        Args:
            epochs: Epochs of the second step; a list for several sizes. 0 takes the first step alone.
            lr: Rate of the head's step; the second step uses a slice below it. "auto" finds both.
            frozen_epochs: Epochs of a first step that trains the head alone; None takes the first step that suits the
                model, 0 none.
            first_tuned: The first layer group of the second step; 0 trains all layers, None takes what suits the model.
            sizes: Input sizes for progressive resizing, such as [64, 128]: the two steps are taken at each.
        """
        stages: list[int | tuple[int, int] | None] = [None] if sizes is None else list(sizes)
        counts = [epochs] * len(stages) if isinstance(epochs, int) else list(epochs)
        if len(counts) != len(stages):
            raise ModelError(
                f"epochs={epochs}, sizes={sizes}.",
                "an epoch count for each size.",
                "pass lists of the same length.",
            )
        first_tuned = groups.first_tuned(self.model) if first_tuned is None else first_tuned
        if frozen_epochs is None:
            frozen_epochs = groups.frozen_epochs(self.model)
            if sizes is None:
                lr = self._begin_smaller(lr, first_tuned)
        for count, size in zip(counts, stages, strict=True):
            if size is not None:
                self.data = self.data.resize(size)
            if frozen_epochs:
                self.freeze()
                self.fit_one_cycle(frozen_epochs, lr)
            if count:
                self.freeze_to(first_tuned)
                given = frozen_epochs and isinstance(lr, int | float)
                self.fit_one_cycle(count, unfrozen_rates(self.frozen_rate) if given else lr)

    def _begin_smaller(self, lr: LearningRate, first_tuned: int) -> LearningRate:
        """Train on smaller images, where that suits model and data as a first step; return the rate to go on with."""
        whole, epochs, sweeps = self.data, groups.smaller_epochs(self.model), len(self.findings)
        size = two_thirds(whole.modality.item_shape(training=False))
        if not epochs or size is None:
            return lr
        self.history.notes.append(f"epoch {len(self.history) + 1} trains on images of {size[0]}x{size[1]} pixels")
        self.data = whole.train_at(size)
        try:
            self.freeze_to(first_tuned)
            self.fit_one_cycle(epochs, lr)
        finally:
            self.data = whole
        return self.findings[-1].lr if len(self.findings) > sweeps else lr

    def fit_one_cycle(self, epochs: int, lr: LearningRate = "auto", *, schedule: OneCycle | None = None) -> None:
        """Train for one cycle: the rate warms up to `lr`, then cools down, step by step."""
        self.fit(epochs, lr, schedule=schedule or OneCycle())

    def fit(self, epochs: int, lr: LearningRate = "auto", *, schedule: Schedule | None = None) -> None:
        """Train for `epochs`.

        The order of events::

            on_fit_start
            for each epoch:
                on_epoch_start
                for each step, of one batch or of `accumulate`:
                    outputs = model(inputs); loss(outputs, targets).backward()
                    clip
                    on_backward_end
                    optimizer.step()
                    on_batch_end
                validate
                on_epoch_end
            on_fit_end(error)        always, also after Ctrl-C

        Args:
            epochs: How often each item is seen.
            lr: Peak rate: a number, `slice(first, last)` from the first to the last layer group, or "auto".
            schedule: The pace; None keeps it constant.
        Raises:
            TrainingError: The loss is no longer finite; the weights are those of the last good epoch.
        """
        if epochs < 1:
            raise ModelError(f"epochs={epochs}.", "1 or more.", "pass epochs=1.")
        rates = self._rates(lr)
        if groups.body_is_frozen(self.model):
            self.frozen_rate = rates[-1]
        kept = self._features(epochs)
        passes, views = (kept.passes(epochs), len(kept.views)) if kept else (0, 0)
        self._run(Fit(epochs, rates, schedule or Constant(), passes=passes, views=views))

    def resume(self) -> None:
        """Go on with the fit that `load` brought back, from the epoch after the last finished one."""
        fit = self.fit_under_way
        if fit is None:
            raise ModelError(
                "There is no fit to go on with.",
                "a checkpoint that was saved during a fit, with the Checkpoint callback.",
                "load one, or call fit().",
            )
        if fit.passes:
            self._features(fit.views)
        self._run(fit)

    def _run(self, fit: Fit) -> None:
        kept = self.kept if fit.passes else None
        module = self._learning(kept)
        if fit.optimizer is None:
            fit.optimizer = self.optimizer(groups.parameter_groups(self.model, fit.rates, self.weight_decay))
            fit.average = WeightAverage(self.model, self.ema) if self.ema else None
        training, optimizer = self._prepared(module, fit.optimizer)
        optimizer.zero_grad()  # an interrupted step may have left gradients behind
        steps = -(-max(fit.passes, 1) * len(self.data.train) // self.accumulate)
        observers = [
            *self.callbacks,
            *([ProgressTable()] if self.progress and self.accelerator.is_main_process else []),
        ]
        good = self.copy_weights()
        error: BaseException | None = None
        self.fit_under_way = fit
        started: list[Callback] = []
        try:
            for observer in observers:
                started.append(observer)
                observer.on_fit_start(self, events.FitStart(fit.epochs, steps, fit.done))
            while fit.done < fit.epochs:
                start = time.perf_counter()
                for observer in observers:
                    observer.on_epoch_start(self, events.EpochStart(fit.done))
                with self._randomness(len(self.history)):
                    batches = kept.train_batches(len(self.history), fit.passes) if kept else self._train_batches()
                    train_loss = self._train_epoch(fit, training, optimizer, batches, steps, observers)
                with self.averaged():
                    values = self._evaluate(module, kept.valid_batches() if kept else self.plain_batches("valid"))
                valid_loss = values.pop("valid_loss")
                record = EpochRecord(
                    len(self.history) + 1, self._stage(), self.data.modality.describe().model, max(fit.rates),
                    train_loss, valid_loss, values, time.perf_counter() - start,
                )  # fmt: skip
                self.history.epochs.append(record)
                fit.done += 1
                good = self.copy_weights()
                stop: StopTraining | None = None
                for observer in observers:  # all hear of the epoch's end, also when one of them ends the fit
                    try:
                        observer.on_epoch_end(self, events.EpochEnd(fit.done - 1, record))
                    except StopTraining as asked:
                        stop = stop or asked
                if stop:
                    raise stop
            self.fit_under_way = None
        except StopTraining as stop:
            self.history.notes.append(f"stopped after epoch {len(self.history)}: {stop.reason}")
            self.fit_under_way = None
        except FloatingPointError as diverged:
            self.load_weights(good)
            error = not_finite(int(diverged.args[0]), fit, len(self.history))
            raise error from None
        except BaseException as other:
            error = other
            raise
        finally:
            if fit.average and error is None:
                fit.average.swap()
            for observer in started:
                observer.on_fit_end(self, events.FitEnd(error))
            if summary := self.precision.summary():
                self.history.notes.append(summary)
            self._release()

    def _prepared(self, module: nn.Module, optimizer: Any) -> tuple[nn.Module, Any]:
        """Let the accelerator wrap both, unless it has nothing to add: its wrappers cost each step 0.2 ms."""
        if runs_plain(self.accelerator):
            return module, optimizer
        prepared: tuple[nn.Module, Any] = self.accelerator.prepare(module, optimizer)
        return prepared

    def _release(self) -> None:
        """Let go of what `_prepared` wrapped."""
        if not runs_plain(self.accelerator):
            self.accelerator.free_memory()

    def _train_epoch(
        self,
        fit: Fit,
        module: nn.Module,
        optimizer: Any,
        batches: Iterator[Batch],
        steps: int,
        observers: list[Callback],
    ) -> float:
        groups.training_mode(self.model)
        losses, rates = Losses(forgiving=self.precision.scaler is not None), []
        for number, together in enumerate(in_groups(batches, self.accumulate)):
            step = fit.done * steps + number
            rate = set_pace(fit.optimizer, fit.schedule(min(step / (fit.epochs * steps), 1.0)))
            loss = self._train_step(step, module, optimizer, together, observers)
            if self.precision.exhausted:
                raise FloatingPointError(number + 1)
            if fit.average:
                fit.average.update()
            losses.add(loss)
            rates.append(rate)
            for observer in observers:
                observer.on_batch_end(self, events.BatchEnd(step, together[-1], loss, rate))
        losses.flush()
        self.history.steps += zip(losses.values, rates, strict=False)
        if not losses.seen:
            raise TrainingError("There was not one batch to train on.", "readable items.", "run bunch.check().")
        return losses.mean

    def _train_step(
        self, step: int, module: nn.Module, optimizer: Any, batches: list[Batch], observers: list[Callback]
    ) -> Tensor:
        loss = self._gradients(module, optimizer, batches)
        self.precision.unscale(optimizer)
        if self.clip is not None:
            self.accelerator.clip_grad_norm_(module.parameters(), self.clip)
        for observer in observers:
            observer.on_backward_end(self, events.BackwardEnd(step))
        self.precision.step(optimizer)
        optimizer.zero_grad()
        return loss

    def _gradients(self, module: nn.Module, optimizer: Any, batches: list[Batch]) -> Tensor:
        """Add up the gradients of all batches as if they were one; where memory runs out, in smaller pieces."""
        items = sum(map(len, batches))
        while True:
            try:
                total = torch.zeros((), device=self.accelerator.device)
                for batch in batches:
                    for piece in batch.split(self.pieces) if self.pieces > 1 else [batch]:
                        piece = piece.to(self.accelerator.device)
                        with self.precision.autocast():
                            loss: Tensor = self.loss(module(piece.inputs), piece.targets)
                        share = len(piece) / items
                        self.precision.backward(loss * share if share < 1 else loss, self.accelerator)
                        total = total + loss.detach() * share
                return total
            except (RuntimeError, MemoryError) as error:
                if not memory.out_of_memory(error) or self.pieces >= max(map(len, batches)):
                    raise
            # Outside the handler, whose traceback would hold on to the tensors that did not fit.
            optimizer.zero_grad()
            self.accelerator.free_memory()
            self.pieces *= 2
            note = f"memory ran out: batches are now cut into {self.pieces} pieces, and their gradients added up"
            self.history.notes.append(note)
            warnings.warn(note, stacklevel=2)

    @torch.no_grad()
    def _evaluate(self, module: nn.Module, batches: Iterator[Batch]) -> dict[str, float]:
        """Return the loss and every metric over `batches`."""
        module.eval()
        meters = {metric.name: metric.meter(self.target) for metric in self.metrics}
        total, count = 0.0, 0
        for batch in batches:
            if batch.targets is None:
                raise ModelError("These items have no labels.", "labelled items.", "use add_test(..., labelled=True).")
            batch = batch.to(self.accelerator.device)
            with self.precision.autocast():
                outputs = in_pieces(module, batch.inputs)
                loss = self.loss(outputs, batch.targets)
            total, count = total + float(loss) * len(batch), count + len(batch)
            answers, targets = self.target.activate(outputs).cpu(), batch.targets.cpu()  # type: ignore[union-attr]
            measured = self.target.measured(answers, targets, batch.frames)
            for meter in meters.values():
                meter.update(*measured)
        values = {name: float(meter.compute()) for name, meter in meters.items()}
        return {"valid_loss": total / max(count, 1), **values}

    def _train_batches(self) -> Iterator[Batch]:
        """Yield the batches of the next epoch, augmented and mixed, each a pure function of the seed and its number."""
        epoch, rank = len(self.history), self.accelerator.process_index
        modality = self.data.train.dataset.modality
        for number, batch in enumerate(self.data.train.epoch(epoch, rank=rank, world=self.accelerator.num_processes)):
            generator = seeded(self.seed, epoch, number, rank)
            batch = modality.prepare(batch.to(self.accelerator.device), self.target, generator)
            yield self.mix(batch, self.target, generator) if self.mix else batch

    def plain_batches(self, part: str | DataLoader, view: int | None = None) -> Iterator[Batch]:
        """Yield the batches of a part as at prediction, or augmented where `view` numbers a way to."""
        loader = self.data.loader(part) if isinstance(part, str) else part
        for number, batch in enumerate(loader.epoch(0)):
            generator = None if view is None else seeded(self.seed, view, number)
            yield loader.dataset.modality.prepare(batch.to(self.accelerator.device), self.target, generator)

    def _features(self, epochs: int) -> KeptFeatures | None:
        """Return the frozen body's kept outputs, computing them if need be; None where they cannot be reused."""
        usable = self.keep_features and self.mix is None and self.accelerator.num_processes == 1
        if not usable or not isinstance(self.model, groups.GroupedModel) or not groups.body_is_frozen(self.model):
            self.kept = None  # the body is about to learn: what was kept will no longer hold
            return None
        if self.kept is None or len(self.kept.views) < min(epochs, 4):
            self.kept = keep_features(self.model.body, self.data, epochs, self.precision)
        return self.kept

    def _learning(self, kept: KeptFeatures | None) -> nn.Module:
        """Return what is trained: the head alone where the body's outputs are kept, else the whole model."""
        if kept is None:
            return self.model
        assert isinstance(self.model, groups.GroupedModel)
        return self.model.head

    def _stage(self) -> str:
        names = groups.layer_groups(self.model)
        parameters = dict(self.model.named_parameters())
        frozen = sum(not any(parameters[name].requires_grad for name in group) for group in names)
        return "all" if not frozen else "head" if frozen == len(names) - 1 else f"from group {frozen}"

    @contextmanager
    def _randomness(self, *numbers: int) -> Iterator[None]:
        """Make everything random depend on the seed and `numbers` alone, and leave the user's generators alone."""
        with torch.random.fork_rng():
            torch.manual_seed(seeded(self.seed, *numbers).initial_seed())
            yield

    # --- the learning rate ---

    def lr_find(
        self, *, start: float = 1e-6, stop: float = 1.0, steps: int | None = None, sweeps: int | None = None
    ) -> Finding:
        """Sweep the rate up over a few short trainings and advise one. Weights and random state are as before.

        Args:
            start: Lowest rate of the last layer group.
            stop: Highest.
            steps: Steps a sweep; None takes 60 on kept features, else about half an epoch, 20 to 60.
            sweeps: How many; None takes 3 on kept features, else 1.
        """
        kept = self._features(1)
        steps = steps or (60 if kept else min(max(len(self.data.train) // 2, 20), 60))
        weights = self.copy_weights()

        def sweep(number: int, rates: Curve) -> list[float]:
            self.load_weights(weights)
            with self._randomness(number, 1):
                return self._sweep(kept, number, rates)

        try:
            head_only = groups.body_is_frozen(self.model)
            rates = sweep_rates(start, stop, steps)
            return find(
                rates,
                sweep,
                sweeps or (3 if kept else 1),
                None if head_only else self.frozen_rate,
                whole=not head_only,
                usual=USUAL_FOR_HEADS if head_only and self.optimizer is adamw else None,
            )
        finally:
            self.load_weights(weights)
            self._release()

    def _sweep(self, kept: KeptFeatures | None, number: int, rates: Curve) -> list[float]:
        """Train one step at each rate until the loss explodes; return the losses."""
        names = groups.layer_groups(self.model)
        # After the frozen stage the advice is a slice; without one, a single rate for all.
        spread = groups.rates_for(slice(0.01, 1.0) if self.frozen_rate else 1.0, len(names))
        parameters = groups.parameter_groups(self.model, spread, self.weight_decay)
        module = self._learning(kept)
        training, optimizer = self._prepared(module, self.optimizer(parameters))
        groups.training_mode(self.model)
        losses: list[float] = []
        batches = endless(lambda epoch: kept.train_batches(epoch, 1) if kept else self._train_batches(), number * 1000)
        for rate, batch in zip(rates, batches, strict=False):
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate
            loss = float(self._train_step(0, training, optimizer, [batch], []))
            losses.append(loss)
            # Exploded: far above both the best so far and where it began. (NaN is above nothing, and ends it too.)
            if not loss <= max(4 * min(losses), 2 * max(losses[:5])):
                losses.pop()
                break
        return losses

    def _rates(self, lr: LearningRate) -> list[float]:
        if isinstance(lr, str):
            if lr != "auto":
                raise ModelError(f"lr={lr!r}.", 'a number, a slice, or "auto".', 'pass lr="auto".')
            lr, why = self._auto_rate()
            self.history.notes.append(f"before epoch {len(self.history) + 1}: {why}")
        return groups.rates_for(lr, len(groups.layer_groups(self.model)))

    def _auto_rate(self) -> tuple[float | slice, str]:
        """Return what lr="auto" stands for now, and the reason in words.

        A sweep of the whole model costs an epoch on little data, and says no more than what is known already: the rate
        of a frozen stage, or the usual rates of such a model.
        """
        if not groups.body_is_frozen(self.model):
            if self.frozen_rate:
                rates = unfrozen_rates(self.frozen_rate)
                return rates, f"lr={shown(rates)}, from the rate of the frozen stage"
            usual = groups.usual_rates(self.model)
            if usual is not None and self.optimizer is adamw:
                return usual, f"lr={shown(usual)}, as is usual"
        finding = self.lr_find()
        self.findings.append(finding)
        return finding.lr, repr(finding)

    # --- using what was learnt ---

    def validate(self, part: str = "valid") -> dict[str, float]:
        """Return the loss and the metrics on a part: "valid", "train" (as at prediction), or a labelled "test"."""
        loader: str | DataLoader = part
        if part == "train":
            loader = self.data.in_order(self.data.dataset_of(self.data.train.dataset.part))
        return self._evaluate(self.model, self.plain_batches(loader))

    def predictor(self) -> Predictor:
        """Return the model with all it needs to answer, as `load_model` does from a bundle."""
        return Predictor(self.model, self.data.modality, self.target, self.accelerator.device)

    def predict(self, item: Any) -> Prediction:
        """Answer for one input: for images a path, a PIL image, or an array of uint8 pixels."""
        return self.predictor().predict(item)

    def predict_all(self, part: str | ItemList[Any] = "valid") -> Predictions:
        """Answer for "train", "valid", "test", or new items such as `ImageList.from_folder(...)`."""
        return answers.predict_views(self, part, [None])

    def tta(self, part: str | ItemList[Any] = "valid", *, views: int = 4) -> Predictions:
        """Test-time augmentation: answer for the items as they are and for augmented views; return the average.

        Args:
            part: As for `predict_all`.
            views: Augmented views; they weigh half together, the plain item the other half.
        """
        return answers.predict_views(self, part, [None, *range(1, views + 1)])

    def tune_threshold(self, metric: MetricLike | None = None) -> float:
        """Find the threshold for tags that is best on the validation items, and keep it with the model.

        Args:
            metric: What to be best at; None takes the first that is watched.
        """
        return answers.tune_threshold(self, metric)

    def show_results(self, count: int = 12, *, worst: bool = False) -> Picture:
        """Draw validation items with their label and the answer; `worst` draws those with the highest loss."""
        return answers.show_results(self, count, worst=worst)

    # --- keeping what was learnt ---

    def copy_weights(self) -> dict[str, Tensor]:
        """Return a copy of all weights."""
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def averaged(self) -> AbstractContextManager[None]:
        """Put the moving average of the weights in their place while the context lasts, where a fit keeps one."""
        average = self.fit_under_way.average if self.fit_under_way else None
        return average.in_place() if average else nullcontext()

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Bring back what `copy_weights` returned."""
        held = self.model.state_dict()
        if any(name.startswith("body.") and not torch.equal(held[name], weights[name]) for name in held):
            self.kept = None  # another body gives other features
        self.model.load_state_dict(weights)

    def save(self, path: str | Path) -> Path:
        """Save all that is needed to go on training: weights, history, and during a fit its optimizer and position.

        What is random needs no saving: it depends on the seed and the number of the epoch alone.
        """
        return checkpoint.save_checkpoint(self, path)

    def load(self, path: str | Path) -> None:
        """Bring back what `save` saved, into a learner made in the same way; `resume()` goes on with a fit under way.

        Raises:
            BundleError: It cannot be trusted.
            ModelError: It is of another model or other classes.
        """
        checkpoint.load_checkpoint(self, path)

    def export(self, path: str | Path) -> Path:
        """Write the model for use: `onecycle.load_model(path).predict(...)` needs neither the data nor this code.

        Args:
            path: A name with a suffix, such as planet.onecycle, becomes one file; a name without one a folder.
        """
        return checkpoint.export_model(self, path)


def seeded_model(bunch: DataBunch, build: Callable[[], GroupedModelT], seed: int | None) -> GroupedModelT:
    """Return a model built from the learner's own seed, or the bunch's, and leave the user's generator alone."""
    with torch.random.fork_rng():
        torch.manual_seed(bunch.options.seed if seed is None else seed)
        return build()
