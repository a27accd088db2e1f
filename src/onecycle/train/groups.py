"""Layer groups: which parameters are frozen, and which learn at which rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from onecycle.errors import ModelError


class GroupedModel(nn.Module):
    """A model in two parts, a pretrained body and a new head, and in groups of layers from the input on.

    Attributes:
        body: Turns prepared inputs into features.
        head: Turns features into the target's outputs.
        fixed_statistics: Keep the body's batch-norm statistics while it learns, as suits a pretrained one: those of a
            few small batches are worse than the ones it came with (measured in bench/README.md).
        frozen_epochs: How many epochs `fine_tune` trains the head alone when not told.
        smaller_epochs: How many it trains all that learns on images of two thirds of the size, before the second step.
        first_tuned: The first layer group that `fine_tune` trains in its second step; those before it stay frozen.
        usual_rates: What lr="auto" takes with AdamW where more than the head learns, and no head was trained alone
            before; None lets it find them.
    """

    body: nn.Module
    head: nn.Module
    fixed_statistics: bool = False
    frozen_epochs: int = 1
    smaller_epochs: int = 0
    first_tuned: int = 0
    usual_rates: float | slice | None = None

    def forward(self, inputs: Any) -> Any:
        """Return the head's outputs for `inputs`."""
        return self.head(self.body(inputs))

    def layer_groups(self) -> list[list[str]]:
        """Return the names of all parameters in groups, from the input to the output; the last group is the head."""
        raise NotImplementedError

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

    def to_config(self) -> dict[str, Any]:
        """Return what a bundle must hold to build this model again, as JSON."""
        raise NotImplementedError


def layer_groups(model: nn.Module) -> list[list[str]]:
    """Return the parameter names of `model` in groups; a model that knows none is one group."""
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
    parameters = dict(model.named_parameters())
    first = group % len(groups)
    for number, names in enumerate(groups):
        for name in names:
            parameters[name].requires_grad_(number >= first)


def frozen_epochs(model: nn.Module) -> int:
    """Return how many epochs of the head alone suit a model."""
    return model.frozen_epochs if isinstance(model, GroupedModel) else 1


def smaller_epochs(model: nn.Module) -> int:
    """Return how many epochs on smaller images suit a model as a first step."""
    return model.smaller_epochs if isinstance(model, GroupedModel) else 0


def first_tuned(model: nn.Module) -> int:
    """Return the first layer group that the second step of `fine_tune` trains."""
    return model.first_tuned if isinstance(model, GroupedModel) else 0


def usual_rates(model: nn.Module) -> float | slice | None:
    """Return the rates that suit a model and AdamW from experience, if any are known."""
    return model.usual_rates if isinstance(model, GroupedModel) else None


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


def training_mode(model: nn.Module) -> None:
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
    if isinstance(model, GroupedModel) and model.fixed_statistics:
        for module in model.body.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def body_is_frozen(model: nn.Module) -> bool:
    """Tell whether only the head of a `GroupedModel` learns."""
    return isinstance(model, GroupedModel) and not any(p.requires_grad for p in model.body.parameters())


def rates_for(lr: float | slice, count: int) -> list[float]:
    """Return a learning rate for each of `count` groups.

    Args:
        lr: One rate for all; `slice(first, last)` spread geometrically; `slice(last)`: a tenth of it but for the last.
        count: Number of groups.
    Example:
        >>> rates_for(slice(1e-5, 1e-3), 3)
        [1e-05, 0.0001, 0.001]
    """
    if not isinstance(lr, slice):
        _check_rate(lr)
        return [float(lr)] * count
    _check_rate(lr.stop)
    if lr.start is None:
        return [lr.stop / 10] * (count - 1) + [float(lr.stop)]
    _check_rate(lr.start)
    if count == 1:
        return [float(lr.stop)]
    step = (lr.stop / lr.start) ** (1 / (count - 1))
    return [float(f"{lr.start * step**i:.12g}") for i in range(count)]


def parameter_groups(model: nn.Module, rates: Sequence[float], weight_decay: float) -> list[dict[str, Any]]:
    """Return the trainable parameters for an optimizer: a rate a layer group, no decay for norms and biases.

    Those with the same rate and decay come together: each group costs a step of the optimizer some time.
    """
    parameters = dict(model.named_parameters())
    together: dict[tuple[float, float], list[nn.Parameter]] = {}
    for names, rate in zip(layer_groups(model), rates, strict=True):
        for parameter in (parameters[name] for name in names if parameters[name].requires_grad):
            # Norm scales and biases are vectors; pulling them to zero gains nothing (Goyal 2017, arXiv:1706.02677).
            decay = weight_decay if parameter.ndim > 1 else 0.0
            together.setdefault((rate, decay), []).append(parameter)
    return [{"params": chosen, "lr": r, "peak": r, "weight_decay": decay} for (r, decay), chosen in together.items()]


def _check_rate(lr: Any) -> None:
    if not isinstance(lr, int | float) or not lr > 0:
        raise ModelError(f"Learning rate {lr!r}.", 'a positive number, slice(first, last), or "auto".', "pass lr=1e-3.")
