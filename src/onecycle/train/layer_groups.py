"""Layer groups: which parameters are frozen, and which learn at which rate."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from onecycle.data.bunch import DataBunch
from onecycle.errors import ModelError, users_level
from onecycle.train.randomness import seeded_generators

GroupedModelT = TypeVar("GroupedModelT", bound="GroupedModel")


@dataclass(frozen=True)
class HardData:
    """The main stage of `fine_tune` where pretrained features do not nearly suffice (measured in bench/README.md).

    Attributes:
        accuracy: It is taken where the head alone, trained in the frozen stage, is below this on the validation items.
        epochs: Of the main stage.
        freeze_to: The first layer group that it trains.
        spread: How many times lower the rate of the first layer group is than that of the head.
    """

    accuracy: float = 0.9
    epochs: int = 6
    freeze_to: int = 0
    spread: float = 10.0


@dataclass(frozen=True)
class FineTuning:
    """How a model is best fine-tuned where the user does not say.

    Attributes:
        epochs: Epochs of the main stage.
        frozen_epochs: Epochs of a first stage that trains the head alone.
        smaller_epochs: Epochs of a first stage that trains on smaller inputs instead.
        freeze_to: The first layer group that the main stage trains; those before it stay frozen.
        freeze_batchnorm_statistics: Keep the body's batch-norm statistics while it learns, as suits a pretrained one:
            those of a few small batches are worse than the ones it came with (measured in bench/README.md).
        default_lr: What lr="auto" takes with AdamW where more than the head learns, and no head was trained alone
            before; None lets the finder choose.
        hard: The main stage where the head alone is not accurate enough; None always takes the same.

    Example:
        >>> FineTuning(frozen_epochs=0, default_lr=4e-3).freeze_to
        0
    """

    epochs: int = 3
    frozen_epochs: int = 1
    smaller_epochs: int = 0
    freeze_to: int = 0
    freeze_batchnorm_statistics: bool = False
    default_lr: float | slice | None = None
    hard: HardData | None = None


class GroupedModel(nn.Module):
    """A model in two parts, a pretrained body and a new head, and in groups of layers from the input on.

    Attributes:
        body: Turns prepared inputs into features.
        head: Turns features into the target's outputs.
        fine_tuning: How it is best fine-tuned.

    Example:
        >>> class Small(GroupedModel):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 2)
        >>> model = Small()
        >>> freeze_to(model, 1)
        >>> trained_layers(model)
        'head'
    """

    body: nn.Module
    head: nn.Module
    fine_tuning: FineTuning = FineTuning()

    def forward(self, inputs: Any) -> Any:
        """Return the head's outputs for `inputs`."""
        return self.head(self.body(inputs))

    def microbatch_size(self, inputs: Any) -> int | None:
        """Return how many items at once suit the device, where that is fewer than the batch has; None for all."""
        return None

    def layer_groups(self) -> list[list[str]]:
        """Return the names of all parameters in groups, from the input to the output; the last group is the head."""
        parts = (("body", self.body), ("head", self.head))
        return [[f"{part}.{name}" for name, _ in module.named_parameters()] for part, module in parts]

    def checkpoint_activations(self) -> None:
        """Keep less in memory for the backward pass, and compute it again there.

        Raises:
            ModelError: This model cannot.
        """
        raise ModelError(
            f"A {type(self).__name__} cannot recompute its activations.",
            "a model with checkpoint_activations(), as vision_learner makes.",
            "leave checkpoint_activations out.",
        )


def check_model(model: Any) -> None:
    """Refuse what is not a module that can learn.

    Raises:
        ModelError: It is not.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"The model of a learner is {model!r}.",
            "an instance of torch.nn.Module.",
            f"write {model.__name__}()." if isinstance(model, type) else "pass a module.",
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError(
            f"{type(model).__name__} has no parameters that can be trained.",
            "a model with a parameter whose requires_grad is True.",
            "call model.requires_grad_(True), or use another model.",
        )


def layer_groups(model: nn.Module) -> list[list[str]]:
    """Return the parameter names of `model` in groups; a model without layer groups is one group."""
    if isinstance(model, GroupedModel):
        return model.layer_groups()
    return [[name for name, _ in model.named_parameters()]]


def freeze_to(model: nn.Module, group: int) -> None:
    """Freeze all groups before `group` (negative counts from the end) and unfreeze the others."""
    groups = layer_groups(model)
    if not -len(groups) <= group < len(groups):
        raise ModelError(
            f"freeze_to({group}), but the model has {len(groups)} layer groups.",
            f"a number from {-len(groups)} to {len(groups) - 1}.",
            "freeze() trains the head alone, unfreeze() trains all.",
        )
    if group == -1 and len(groups) == 1:
        warnings.warn(
            f"A {type(model).__name__} has one layer group: all of it learns, nothing is frozen. "
            "A GroupedModel has a body and a head.",
            stacklevel=users_level(),
        )
    parameters = dict(model.named_parameters())
    first = group % len(groups)
    for number, names in enumerate(groups):
        for name in names:
            parameters[name].requires_grad_(number >= first)


def fine_tuning_of(model: nn.Module) -> FineTuning:
    """Return how a model is best fine-tuned; a plain module has no head that could be trained alone."""
    return model.fine_tuning if isinstance(model, GroupedModel) else FineTuning(frozen_epochs=0)


def checkpoint_activations(model: nn.Module) -> None:
    """Let a model compute activations again in the backward pass.

    Raises:
        ModelError: It cannot.
    """
    if not isinstance(model, GroupedModel):
        raise ModelError(
            f"A {type(model).__name__} cannot recompute its activations.",
            "a GroupedModel, such as vision_learner makes.",
            "leave checkpoint_activations out, or call torch.utils.checkpoint in the model itself.",
        )
    model.checkpoint_activations()


def set_training_mode(model: nn.Module) -> None:
    """Put the model in training mode, but keep whatever is wholly frozen in inference mode.

    Frozen means frozen: dropout is off and batch norm keeps its statistics.
    """
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
    if isinstance(model, GroupedModel) and body_is_frozen(model):
        model.body.eval()  # parts without parameters too, such as stochastic depth
    if isinstance(model, GroupedModel) and model.fine_tuning.freeze_batchnorm_statistics:
        for module in model.body.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def body_is_frozen(model: nn.Module) -> bool:
    """Return whether only the head of a `GroupedModel` learns."""
    return isinstance(model, GroupedModel) and not any(p.requires_grad for p in model.body.parameters())


def group_lrs(lr: float | slice, count: int) -> list[float]:
    """Return a learning rate for each of `count` layer groups.

    Args:
        lr: One rate for all; `slice(first, last)` spread geometrically; `slice(last)`: a tenth of it but for the last.
        count: Number of groups.
    Example:
        >>> group_lrs(slice(1e-5, 1e-3), 3)
        [1e-05, 0.0001, 0.001]
    """
    if not isinstance(lr, slice):
        _check_lr(lr)
        return [float(lr)] * count
    _check_lr(lr.stop)
    if lr.start is None:
        return [lr.stop / 10] * (count - 1) + [float(lr.stop)]
    _check_lr(lr.start)
    if count == 1:
        return [float(lr.stop)]
    step = (lr.stop / lr.start) ** (1 / (count - 1))
    return [float(f"{lr.start * step**i:.12g}") for i in range(count)]


def parameter_groups(model: nn.Module, lrs: Sequence[float], weight_decay: float) -> list[dict[str, Any]]:
    """Return the trainable parameters for an optimizer: a rate a layer group, no decay for norms and biases.

    Those with the same rate and decay come together: each group costs a step of the optimizer some time.
    """
    parameters = dict(model.named_parameters())
    together: dict[tuple[float, float], list[nn.Parameter]] = {}
    for names, lr in zip(layer_groups(model), lrs, strict=True):
        for parameter in (parameters[name] for name in names if parameters[name].requires_grad):
            # Norm scales and biases are vectors; pulling them to zero gains nothing (Goyal 2017, arXiv:1706.02677).
            decay = weight_decay if parameter.ndim > 1 else 0.0
            together.setdefault((lr, decay), []).append(parameter)
    return [
        {"params": chosen, "lr": lr, "peak_lr": lr, "weight_decay": decay} for (lr, decay), chosen in together.items()
    ]


def _check_lr(lr: Any) -> None:
    if not isinstance(lr, int | float) or not lr > 0:
        fix = f"pass lr=slice({lr[0]!r}, {lr[-1]!r})." if isinstance(lr, list | tuple) and lr else "pass lr=1e-3."
        raise ModelError(f"Learning rate {lr!r}.", 'a positive number, slice(first, last), or "auto".', fix)


def trained_layers(model: nn.Module) -> str:
    """Return which layers learn: "all", "head", or "from group 1"."""
    groups, parameters = layer_groups(model), dict(model.named_parameters())
    frozen = sum(not any(parameters[name].requires_grad for name in group) for group in groups)
    return "all" if not frozen else "head" if frozen == len(groups) - 1 else f"from group {frozen}"


def seeded_model(build: Callable[[], GroupedModelT], data: DataBunch, options: Mapping[str, Any]) -> GroupedModelT:
    """Return the model that `build` makes, with random weights that depend on the seed of the learner alone.

    Args:
        build: Makes the model.
        data: What the learner trains on; its seed is the learner's where the options have none.
        options: The learner's, as keywords.
    """
    seed = options.get("seed")
    with seeded_generators(torch.device("cpu"), data.options.seed if seed is None else seed):
        return build()
