"""The options of training, each defined once: its type, default, help text and valid values.

This module imports neither torch nor numpy, so that the command line can list the options at once. It therefore does
not import `annotations` from `__future__` either: the types of the options that the command line has are types.
"""

# ruff: noqa: RUF009  option() returns a dataclass field

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from onecycle.deprecation import warn_renamed
from onecycle.errors import ModelError
from onecycle.foreign_names import unknown_options
from onecycle.train.option_fields import Rule, check_values, document_fields, is_number, is_whole, option, takes_options

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from torch import nn

    from onecycle.metrics import MetricLike
    from onecycle.train.mix import Mix

LearningRate = float | slice | Literal["auto"]
Names = Sequence[Any] | None
OptimizerMaker = Callable[[list[dict[str, Any]]], "torch.optim.Optimizer"]
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def adamw(parameters: list[dict[str, Any]]) -> "torch.optim.Optimizer":
    """Return AdamW (Loshchilov 2017, arXiv:1711.05101), the fused version where the device has it."""
    import torch

    device = parameters[0]["params"][0].device.type
    return torch.optim.AdamW(parameters, fused=device in ("cuda", "cpu", "mps"))


def makes_optimizer(value: Any) -> bool:
    """Return whether `value` can make an optimizer whose rates and weight decay are the learner's."""
    fixed = value.keywords if isinstance(value, functools.partial) else {}
    return callable(value) and not fixed.keys() & {"lr", "weight_decay"}


@document_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """All that `Learner` takes besides the data and the model.

    Example:
        >>> TrainOptions(weight_decay=0.1).weight_decay
        0.1
    """

    metrics: "Iterable[MetricLike] | None" = option(
        None,
        "Metrics to report: names, functions f(predictions, targets) -> float, or `Metric` objects. "
        "Default: the metrics of the target.",
        rule=Rule(lambda value: not isinstance(value, str), "a list of metrics.", '["accuracy"]'),
        shell=False,
    )
    loss: "nn.Module | Callable[..., Any] | None" = option(
        None, "Loss between outputs and encoded targets. Default: the loss of the target.", shell=False
    )
    label_smoothing: float = option(
        0.0,
        "Share of each label's probability that is spread evenly over all classes.",
        rule=Rule(lambda value: is_number(value) and 0 <= value < 1, "a number from 0 to below 1.", "0.1"),
    )
    optimizer: OptimizerMaker = option(
        adamw,
        "Function or class that makes an optimizer from parameter groups, which hold the rates and the weight decay.",
        rule=Rule(makes_optimizer, "a function or class that makes one, without lr and weight_decay, which are options "
                  "of their own.", "torch.optim.SGD"),
        shell=False,
    )  # fmt: skip
    mix: "Mix | None" = option(
        None,
        "`Mixup()` or `CutMix()`, to mix training items. Default: no mixing.",
        rule=Rule(lambda value: callable(value) and not isinstance(value, type), "an instance.", "Mixup()"),
        shell=False,
    )
    weight_decay: float = option(
        0.01,
        "Weight decay of all parameters except biases and normalization layers.",
        rule=Rule(lambda value: is_number(value) and value >= 0, "a number of at least 0.", "0.01"),
    )
    clip: float | None = option(
        None,
        "Largest norm of the gradient; larger gradients are scaled down to it. Default: no limit.",
        rule=Rule(lambda value: is_number(value) and value > 0, "a number above 0.", "1.0"),
    )
    ema: float | None = option(
        None,
        "Decay of an exponential moving average of the weights, such as 0.99; the averaged weights are validated and "
        "kept. Default: no average.",
        rule=Rule(lambda value: is_number(value) and 0 < value < 1, "a number between 0 and 1.", "0.99"),
    )
    accumulate: int = option(
        1,
        "Batches per optimizer step; their gradients are added up, as if they were one large batch.",
        rule=Rule(lambda value: is_whole(value) and value >= 1, "a whole number of at least 1.", "2"),
        panel="Memory",
    )
    checkpoint_activations: bool = option(
        False, "Compute activations again in the backward pass: less memory, more time.", panel="Memory",
        changes_weights=False,
    )  # fmt: skip
    tf32: bool = option(
        True,
        "Let GPUs that can multiply the numbers of fp32 in TF32, which has fewer digits and is several times as fast.",
    )
    cudnn_benchmark: bool = option(
        False,
        "Let a GPU try all of cuDNN's convolutions at each new shape of a batch, and use the fastest. The same seed "
        "then need not give the same weights. Default: only those that give the same bits every time.",
    )
    compile: bool = option(
        False,
        "Compile the forward pass of training with torch.compile, and on a GPU replay it as a CUDA graph where batches "
        "have one shape: less time a step, after half a minute or more at the beginning of each fit.",
    )
    sync_batchnorm: bool = option(
        False,
        "Let batch norms normalise by the batch of all processes, on GPUs: for shares of a few items. Default: each by "
        "its own share.",
    )
    callbacks: Sequence[Any] = option(
        (),
        "`Callback` objects that are called during every fit.",
        rule=Rule(lambda value: isinstance(value, Sequence), "a list of callbacks.", '[KeepBest("accuracy")]'),
        shell=False,
    )
    loggers: Names = option(
        None,
        "Trackers that get the numbers of every epoch: tensorboard, mlflow, wandb, trackio, or `Tracker` objects.",
        rule=Rule(lambda value: isinstance(value, list | tuple), "a list of trackers.", '["tensorboard"]'),
        changes_weights=False,
    )
    cache_features: bool = option(
        True, "Compute the outputs of frozen layers once and reuse them, where that is possible.",
        formerly="keep_features",
    )  # fmt: skip
    head_steps: int = option(
        200,
        "Optimizer steps that a head takes at least on cached features, over all fits of the same frozen layers; where "
        "epochs have fewer, each is several passes over the features.",
        rule=Rule(lambda value: is_whole(value) and value >= 1, "a whole number of at least 1.", "200"),
    )
    progress: bool = option(True, "Show a live table of progress.", changes_weights=False)
    seed: int | None = option(None, "Seed of everything random. Default: the seed of the data.", shell=False)
    accelerator: "Accelerator | None" = option(
        None, "`accelerate.Accelerator` for devices and processes. Default: chosen for this machine.", shell=False
    )

    def __post_init__(self) -> None:
        check_values(self)
        if self.label_smoothing and self.loss is not None:
            raise ModelError(
                f"label_smoothing={self.label_smoothing} with a loss= of your own, which does not know of it.",
                "one of them.",
                "smooth in the loss, for example losses.CrossEntropy(smoothing=0.1), and leave label_smoothing= out.",
            )

    @classmethod
    def from_keywords(cls, caller: str, /, **keywords: Any) -> Self:
        """Return the options that were passed to a function as keywords.

        Args:
            caller: Name of that function, for error messages.
            keywords: The options. Deprecated names are accepted with a warning.
        Raises:
            ModelError: An option is unknown or has an invalid value.
        Example:
            >>> TrainOptions.from_keywords("vision_learner", wd=0.1)
            Traceback (most recent call last):
            ...
            onecycle.errors.CallError: vision_learner() has no option wd=.
            ...
            Fix: use weight_decay= instead of wd=.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for field in dataclasses.fields(cls):
            old = field.metadata["formerly"]
            if old in keywords:
                if field.name in keywords:
                    raise ModelError(
                        f"{caller}() got {old}= and {field.name}=, which are one option.", "one of them.",
                        f"remove {old}=, its old name.",
                    )  # fmt: skip
                warn_renamed(f"{caller}({old}=)", f"{field.name}=")
                keywords[field.name] = keywords.pop(old)
        if unknown := [name for name in keywords if name not in known]:
            raise unknown_options(caller, unknown, known)
        return cls(**keywords)


def check_keywords(function: Callable[..., Any], keywords: Iterable[str]) -> None:
    """Refuse options that neither `function`, which lists all of its options in its signature, nor a learner has.

    Raises:
        ModelError: It names the function that was called, and the option that was meant.
    """
    known = [*inspect.signature(function).parameters][1:]  # the first is the data
    formerly = {field.metadata["formerly"] for field in dataclasses.fields(TrainOptions)}
    if unknown := [name for name in keywords if name not in known and name not in formerly]:
        raise unknown_options(function.__name__, unknown, known)


def takes_train_options(function: FunctionT) -> FunctionT:
    """Decorator that gives a function declared with `**options: Any` the options in its signature and docstring."""
    return takes_options(TrainOptions)(function)


def changes_weights(name: str) -> bool:
    """Return whether an option, as the shell stores it, may lead to another model; unknown ones may.

    Example:
        >>> changes_weights("lr"), changes_weights("no_progress")
        (True, False)
    """
    fields = {field.name: field for field in dataclasses.fields(TrainOptions)}
    field = fields.get(name.removeprefix("no_"))
    return field is None or bool(field.metadata["changes_weights"])
