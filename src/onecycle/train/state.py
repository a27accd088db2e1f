"""The state of training in one object, on which the loop, callbacks, checkpoints and the rate finder work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from onecycle.allocator import keep_freed_memory
from onecycle.data.batch import Batch
from onecycle.data.bunch import DataBunch
from onecycle.data.loader import Taken
from onecycle.data.plain import LoaderBunch
from onecycle.data.prefetch import prefetched
from onecycle.data.seeding import seeded
from onecycle.data.target import Target, same_labels
from onecycle.errors import DataError, ModelError, counted
from onecycle.inference.calibration import Calibration
from onecycle.inference.precision import Mode, Precision
from onecycle.inference.predictor import Predictor
from onecycle.losses import Loss, as_loss
from onecycle.metrics import resolve_metrics
from onecycle.metrics.reliability import CalibrationReport
from onecycle.processes import ALONE, Processes
from onecycle.train.cached_features import CachedFeatures
from onecycle.train.ema import Held
from onecycle.train.energy import EnergyMeter
from onecycle.train.history import EpochRecord, History
from onecycle.train.joined_model import joined
from onecycle.train.kept_outputs import KeptOutputs
from onecycle.train.layer_groups import checkpoint_activations, fine_tuning_of, layer_groups, trained_layers
from onecycle.train.loss_scaling import LossScaler
from onecycle.train.lr_curve import LRFinderResult
from onecycle.train.memory_format import placed
from onecycle.train.options import TrainOptions
from onecycle.train.plan import Fit, Plan
from onecycle.train.randomness import seed_generators, seeded_generators
from onecycle.train.sharded import divided_like, local, sharded, shards_weights


class TrainState:
    """Model, data and everything that training has found out so far.

    Args:
        data: The data.
        model: The model; it is moved to the accelerator's device.
        options: How to train.

    Attributes:
        accelerator: Device and processes.
        processes: Which of the processes that train together this is.
        loss: Between outputs and encoded labels.
        metrics: What is reported of every epoch.
        seed: Decides everything random.
        precision: How passes are computed.
        scaler: Scales the loss in fp16.
        num_microbatches: In how many parts each batch is computed, since memory ran out.
        history: What happened so far.
        lr_finder_results: What lr="auto" found, each time.
        frozen_lr: The rate that the head was last trained with while the body was frozen, or None.
        weights_record: The epoch whose weights the model has now, or None where no epoch has ended.
        callbacks: Called during every fit.
        fit: The fit under way, or None.
        plan: The stages of `fine_tune` under way, or None.
        cached_features: Outputs of the frozen body, or None.
        head_steps: Steps that a head has taken on the features of the frozen body as it is.
        calibration: How sure the model may be, besides the target's temperatures; None until it was found out.
        calibration_report: What was measured then.
        kept_outputs: Of the split that was looked at last.
        energy: What the machine took since the learner was made, where that can be read.
        code: The program that made and trained the learner, where a recipe wrote it; else empty.
        command: The command that did, if one did.
    """

    def __init__(self, data: DataBunch, model: nn.Module, options: TrainOptions) -> None:
        keep_freed_memory()
        if options.mix is not None and not data.target.mixable:
            raise ModelError(f"mix= does not fit {data.target.kind}.", "categories or tags.", "leave mix= out.")
        if options.checkpoint_activations:
            checkpoint_activations(model)
        self.options = options
        self.accelerator = options.accelerator or Accelerator()
        self.processes = Processes.of(self.accelerator)
        model = placed(model, self.accelerator, channels_last=not isinstance(data, LoaderBunch))
        model = joined(model, self.accelerator, self.processes, sync_batchnorm=options.sync_batchnorm)
        self.model = sharded(model, self.accelerator)
        self.data = data
        smoothing = options.label_smoothing
        self.loss: Loss = as_loss(options.loss or data.target.loss(smoothing=smoothing)).to(self.device)
        self.metrics = resolve_metrics(options.metrics, data.target)
        self.seed = data.options.seed if options.seed is None else options.seed
        self.precision, self.num_microbatches = Precision("fp32", self.device, options.tf32), 1
        self.scaler = LossScaler(self.precision)
        self.history = History()
        self.lr_finder_results: list[LRFinderResult] = []
        self.frozen_lr: float | None = None
        self.weights_record: EpochRecord | None = None
        self.callbacks: Sequence[Any] = ()
        self.fit: Fit | None = None
        self.plan: Plan | None = None
        self.cached_features: CachedFeatures | None = None
        self.head_steps = 0
        self.calibration: Calibration | None = None
        self.calibration_report: CalibrationReport | None = None
        self.kept_outputs = KeptOutputs()
        self.energy = EnergyMeter.of(self.device)
        self.code = self.command = ""

    def __repr__(self) -> str:
        lines = [
            f"{type(self.model).__name__} on {self.device}, {self.precision.mode}, "
            f"{len(layer_groups(self.model))} layer groups, training {trained_layers(self.model)}, "
            f"{counted(len(self.history), 'epoch')} done",
            *repr(self.data).splitlines(),
        ]
        return "\n  ".join(lines)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.accelerator.device
        return device

    @property
    def target(self) -> Target:
        """What is predicted."""
        return self.data.target

    def use_data(self, bunch: DataBunch) -> None:
        """Go on with another bunch of the same labels; the target stays, with the threshold that was found.

        Raises:
            ModelError: The bunch has other labels or classes.
        """
        if not same_labels(bunch.target, self.target):
            raise ModelError(
                f"The new bunch has other labels or classes: {bunch.target.summary}.",
                f"the learner's: {self.target.summary}.",
                "make a new learner, or label the new bunch as the old one.",
            )
        self.forget_calibration()
        self.data = bunch.with_target(self.target)
        self.forget_features()

    def use_precision(self, mode: Mode) -> None:
        """Compute passes in another precision from now on."""
        self.precision = Precision(mode, self.device, self.options.tf32)
        self.scaler = LossScaler(self.precision)
        self.cached_features = None

    def forget_features(self) -> None:
        """Drop cached features: the body or the data are about to change."""
        self.cached_features, self.head_steps = None, 0

    def forget_calibration(self) -> None:
        """Drop what was found out about how sure the model may be: weights or inputs are about to change."""
        if self.target.temperatures is not None:
            self.data = self.data.with_target(self.target.with_temperatures(None))
        self.calibration = self.calibration_report = None
        self.kept_outputs.forget()

    def predictor(self) -> Predictor:
        """Return the model with all it needs to predict."""
        precision = self.precision
        return Predictor(
            self.model, self.data.modality, self.target, self.device, precision.mode, precision.tf32, self.calibration
        )  # fmt: skip

    @property
    def num_batches(self) -> int:
        """Batches an epoch, of which each process has a share."""
        number: int = self.data.train.num_batches(self.processes.world)
        return number

    def train_batches(self, epoch: int, start: int = 0, before: Taken = ()) -> Iterator[Batch]:
        """Return the batches of an epoch, augmented and mixed, each a pure function of the seed and its number.

        Several processes have shares of the same batches, which may be empty. Their order does not depend on how many
        they are, what is random in a batch does.

        Args:
            epoch: Number of the epoch.
            start: Number of the first batch.
            before: What was taken of the epoch in batches of other sizes.
        """
        return prefetched(self._prepared_batches(epoch, start, before), self.device)

    def _prepared_batches(self, epoch: int, start: int, before: Taken) -> Iterator[Batch]:
        rank, world = self.processes.rank, self.processes.world
        modality, mix = self.data.train.dataset.modality, self.options.mix
        for read in self.data.train.epoch(
            epoch, rank=rank, world=world, start=start, before=before, device=self.device
        ):
            if not len(read):
                yield read
                continue
            generator = seeded(self.seed, epoch, read.number, rank)
            batch = modality.prepare(read.to(self.device), self.target, generator)
            batch = mix(batch, self.target, generator) if mix else batch
            batch.number = read.number
            yield batch

    def valid_batches(self, split: str = "valid") -> Iterator[Batch]:
        """Yield the batches of a split that are this process's own, as they were read."""
        return self.data.in_order_of(split).share(self.sharing.rank, self.sharing.world, self.device)

    @property
    def sharing(self) -> Processes:
        """The processes that share the items where nothing is learned.

        One that has only parts of the weights needs the others for each batch: then all compute all items.
        """
        return ALONE if shards_weights(self.accelerator) else self.processes

    def one_item(self) -> Batch:
        """Return the first training item that can be read, prepared, for a process that has none of its own.

        Raises:
            DataError: None can be read.
        """
        dataset = self.data.train.dataset
        for row in range(len(dataset)):
            try:
                return self.data.prepared(dataset, [row]).to(self.device)
            except DataError as error:
                failed = error
        raise failed

    @contextmanager
    def randomness(self, *numbers: int) -> Iterator[None]:
        """Make everything random depend on the seed and `numbers` alone, and leave the user's generators alone."""
        with seeded_generators(self.device, seeded(self.seed, *numbers).initial_seed()):
            yield

    def seed_step(self, *numbers: int) -> None:
        """Make what is drawn next, such as dropout, depend on the seed, `numbers` and the process alone."""
        rank = (self.processes.rank,) if self.processes.rank else ()
        seed_generators(self.device, seeded(self.seed, *numbers, *rank).initial_seed())

    # --- weights ---

    def copy_weights(self) -> dict[str, Tensor]:
        """Return a copy of all weights; where they are divided over processes (FSDP2), of this process's parts."""
        return {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Bring back what `copy_weights` returned."""
        held = self.model.state_dict()
        weights = divided_like(held, weights)
        if any(_differ(held[name], weights[name]) for name in held if name.startswith("body.")):
            self.forget_features()  # another body gives other features
        if (self.calibration or self.target.temperatures) and any(_differ(held[one], weights[one]) for one in held):
            self.forget_calibration()
        self.model.load_state_dict(weights)

    def averaged_weights(self, held: Held = nullcontext) -> AbstractContextManager[None]:
        """Put the moving average of the weights in their place while the context lasts, where a fit has one.

        Args:
            held: Holds back what would end an exchange half done, such as Ctrl-C.
        """
        ema = self.fit.ema if self.fit else None
        return ema.in_place(held) if ema else nullcontext()

    def uses_adamw(self) -> bool:
        """Return whether the optimizer is AdamW, for which suitable learning rates are known."""
        parameter = nn.Parameter(torch.zeros(1, device=self.device))
        made = self.options.optimizer([{"params": [parameter], "lr": 1e-3, "weight_decay": 0.0}])
        return isinstance(made, torch.optim.AdamW)

    def default_lr(self) -> float | slice | None:
        """Return the learning rate that suits model and optimizer from experience, if one is known."""
        return fine_tuning_of(self.model).default_lr if self.uses_adamw() else None


def _differ(one: Tensor, other: Tensor) -> bool:
    return not torch.equal(local(one), local(other).to(local(one)))
