"""Metrics from what users write: names, metrics, functions, and meters of other libraries."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from onecycle.data.target import Target
from onecycle.errors import ModelError
from onecycle.metrics.meters import StoredValues
from onecycle.metrics.metric import Metric
from onecycle.registry import lookup

MetricLike = str | Metric | Callable[..., Any]


def resolve_metrics(metrics: MetricLike | Iterable[MetricLike] | None, target: Target) -> tuple[Metric, ...]:
    """Return metrics, each with a name of its own.

    Args:
        metrics: One or several of: a registered name; a `Metric`; a function that makes one, such as
            `metrics.accuracy`; a plain function `f(predictions, targets)`, as in `from_function`. None takes the
            target's own.
        target: What is predicted.
    Raises:
        ModelError: A name is unknown, an object is none of these, or a metric does not fit the target.
    Example:
        >>> def spread(predictions, targets):
        ...     return predictions.std()
        >>> [metric.name for metric in resolve_metrics(["accuracy", "f2", spread], Category(("cat", "dog")))]
        ['accuracy', 'f2', 'spread']
    """
    chosen: Any = target.default_metrics if metrics is None else metrics
    if isinstance(chosen, str) or not isinstance(chosen, Iterable) or _is_meter(chosen):
        chosen = [chosen]
    resolved = _with_names_of_their_own([_as_metric(metric) for metric in chosen])
    for metric in resolved:
        metric.meter(target)  # what does not fit is refused now, not after the first epoch
    return resolved


def from_function(
    function: Callable[[Any, Any], Any], name: str | None = None, higher_is_better: bool = True
) -> Metric:
    """Return a metric from a plain function.

    It is called once an epoch, with all predictions and targets on the CPU; never averaged over batches.

    Args:
        function: Takes predictions and targets, tensors (items, ...) (or lists, where items differ in size), in the
            target's terms; returns a number.
        name: Its column in the history; None takes the function's name.
        higher_is_better: Whether a higher value is better.
    Example:
        >>> def largest_error(predictions, targets):
        ...     return (predictions - targets).abs().max()
        >>> metric = from_function(largest_error, higher_is_better=False)
        >>> meter = metric.meter(target=None)
        >>> meter.update(torch.tensor([1.0, 5.0]), torch.tensor([1.0, 2.0]))
        >>> metric.name, meter.compute()
        ('largest_error', tensor(3., dtype=torch.float64))
    """
    called = name or _function_name(function)

    def measure(predictions: Any, targets: Any) -> Tensor:
        return _as_scalar(function(predictions, targets), called)

    return Metric(called, lambda target: StoredValues(measure, device="cpu"), higher_is_better)


def from_meter(make_meter: Callable[[], Any], name: str, higher_is_better: bool = True) -> Metric:
    """Return a metric from a class with `update` and `compute`, such as those of torchmetrics.

    Args:
        make_meter: The class, or a function without arguments that makes a fresh instance.
        name: Its column in the history.
        higher_is_better: Whether a higher value is better.
    Raises:
        ModelError: `make_meter` is an instance, or what it makes has no `update` and `compute`.
    Example:
        >>> from torchmetrics.classification import BinaryF1Score
        >>> metric = from_meter(lambda: BinaryF1Score(threshold=0.2), "binary_f1")
        >>> meter = metric.meter(target=None)
        >>> meter.update(torch.tensor([0.1, 0.3]), torch.tensor([0, 1]))
        >>> meter.compute()
        tensor(1., dtype=torch.float64)
    """
    if not callable(make_meter) or (_is_meter(make_meter) and not isinstance(make_meter, type)):
        raise ModelError(
            f"from_meter got {_described(make_meter)}.",
            "a class, or a function that makes a fresh meter.",
            "write from_meter(lambda: ..., name), with the meter in place of the dots.",
        )
    return Metric(name, lambda target: _OtherMeter(make_meter(), name), higher_is_better)


class _OtherMeter:
    """A meter of another library."""

    def __init__(self, meter: Any, name: str) -> None:
        if not _is_meter(meter):
            raise ModelError(
                f"The meter of {name!r} is {_described(meter)}.",
                "an object with update(predictions, targets) and compute().",
                "return such an object from the function that is given to from_meter.",
            )
        self.meter, self.name = meter, name

    def update(self, predictions: Any, targets: Any) -> None:
        if isinstance(self.meter, nn.Module) and isinstance(predictions, Tensor):
            self.meter.to(predictions.device)
        self.meter.update(predictions, targets)

    def compute(self) -> Tensor:
        return _as_scalar(self.meter.compute(), self.name)


def _as_metric(metric: Any, name: str | None = None) -> Metric:
    """Return a metric from anything that can be one; `name` is that under which it is registered."""
    if isinstance(metric, str):
        return _as_metric(lookup("metric", metric), metric)
    if isinstance(metric, type) and (issubclass(metric, Metric) or hasattr(metric, "meter")) and _takes(metric, 0):
        metric = metric()
    if hasattr(metric, "name") and callable(getattr(metric, "meter", None)):
        return Metric(metric.name, metric.meter, getattr(metric, "higher_is_better", True))
    if _is_meter(metric):
        raise ModelError(
            f"A metric is {_described(metric)}, which counts but has no name.",
            "a name, a Metric, or a function.",
            'write metrics.from_meter(lambda: ..., "name"), with the meter in place of the dots.',
        )
    if callable(metric) and not isinstance(metric, type):
        return _from_callable(metric, name)
    raise ModelError(
        f"A metric is {_described(metric)}.",
        "a name such as 'accuracy', a Metric such as metrics.fbeta(2), or a function of predictions and targets.",
        "pass one of these.",
    )


def _from_callable(function: Callable[..., Any], name: str | None) -> Metric:
    if _takes(function, 0):
        made = function()
        if isinstance(made, Metric):
            return made
        raise ModelError(
            f"The metric {_function_name(function)} returned {_described(made)} when called without arguments.",
            "a function that makes a Metric, or one of predictions and targets.",
            "let it take two arguments and return a number.",
        )
    if _takes(function, 2):
        return from_function(function, name)
    raise ModelError(
        f"The metric {_function_name(function)} can be called neither without arguments nor with two.",
        "a function that makes a Metric, or one of predictions and targets.",
        f"call it with its arguments, {_function_name(function)}(...), if that makes a metric.",
    )


def _with_names_of_their_own(metrics: list[Metric]) -> tuple[Metric, ...]:
    """Number those that share a name: "f2", "f2_2"."""
    seen: Counter[str] = Counter()
    names = {metric.name for metric in metrics}
    named = []
    for metric in metrics:
        name = metric.name
        seen[name] += 1
        if seen[name] > 1:
            number = next(n for n in range(seen[name], seen[name] + len(metrics)) if f"{name}_{n}" not in names)
            metric = Metric(f"{name}_{number}", metric.meter, metric.higher_is_better)
            names.add(metric.name)
        named.append(metric)
    return tuple(named)


def _as_scalar(value: Any, name: str) -> Tensor:
    try:
        scalar = torch.as_tensor(value, dtype=torch.float64, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        scalar = None
    if scalar is None or scalar.numel() != 1:
        raise ModelError(
            f"The metric {name!r} returned {_described(value)}.",
            "a single number: a float, or a tensor with one element.",
            "return one number, such as the mean; several values are several metrics.",
        )
    return scalar.detach().reshape(())


def _takes(function: Callable[..., Any], arguments: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * arguments)
    except TypeError:
        return False
    except ValueError:  # a function written in C, which does not say: one of predictions and targets
        return arguments == 2
    return True


def _is_meter(thing: object) -> bool:
    return all(callable(getattr(thing, name, None)) for name in ("update", "compute"))


def _function_name(function: Any) -> str:
    if isinstance(function, functools.partial):
        return _function_name(function.func)
    name = str(getattr(function, "__name__", type(function).__name__))
    return "metric" if name == "<lambda>" else name


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"the class {value.__name__}" if isinstance(value, type) else f"{value!r} ({type(value).__name__})"
