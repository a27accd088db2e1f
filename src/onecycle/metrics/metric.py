"""What a metric is, and which targets a metric fits."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol

from torch import Tensor

from onecycle.calls import explained
from onecycle.data.target import Target
from onecycle.errors import ModelError
from onecycle.registry import is_built_in, list_registered, lookup

P = ParamSpec("P")


class Meter(Protocol):
    """Adds up over the batches of an epoch.

    Where several processes share the items, one that has `merge(other)`, `state_dict()` and `load_state_dict(state)`
    is merged; any other gets the predictions and targets of all items, in the order of the batches.
    """

    def update(self, predictions: Any, targets: Any, /) -> None:
        """Add a batch: predictions and targets in the user's terms, as the target's `metric_inputs` returns them."""

    def compute(self) -> Tensor:
        """Return the value over all batches, scalar; NaN where there was nothing to measure."""


@dataclass(frozen=True)
class Metric:
    """A metric: a name, and how to make a meter once the target is known.

    Attributes:
        name: Its column in the history.
        meter: Makes a fresh meter for a target.
        higher_is_better: Whether a higher value is better.
    Example:
        >>> from onecycle.metrics import CountMeter
        >>> def count_items(predictions, targets):
        ...     return torch.tensor(len(targets))
        >>> metric = Metric("items", lambda target: CountMeter(count_items, lambda count: count))
        >>> meter = metric.meter(target=None)
        >>> meter.update(torch.rand(3, 2), torch.tensor([0, 1, 1]))
        >>> meter.compute()
        tensor(3., dtype=torch.float64)
    """

    name: str
    meter: Callable[[Target], Meter]
    higher_is_better: bool = True


def fits(*kinds: str) -> Callable[[Callable[P, Metric]], Callable[P, Metric]]:
    """Return a decorator that states which kinds of target the metrics that a function makes fit.

    Other built-in kinds are refused, with the registered metrics that fit them. A kind of the user's own never is, and
    neither are plain tensors, which no metric is made for.

    Args:
        kinds: Names under which the targets are registered.
    Example:
        >>> @register("metric", "bias")
        ... @fits("numbers")
        ... def bias() -> Metric:
        ...     return from_function(lambda predictions, targets: (predictions - targets).mean(), "bias")
        >>> resolve_metrics("bias", Numbers(("age",), (40.0,), (12.0,)))[0].name
        'bias'
        >>> resolve_metrics("bias", Category(("cat", "dog")))
        Traceback (most recent call last):
        onecycle.errors.ModelError: bias does not fit a target of kind 'category'.
        Expected a metric that fits it: accuracy, auroc, average_precision, error_rate, f1, f2, top_5.
        Fix: use for example 'accuracy'.
    """

    def decorate(make: Callable[P, Metric]) -> Callable[P, Metric]:
        @functools.wraps(make)
        def make_checked(*args: P.args, **kwargs: P.kwargs) -> Metric:
            metric = explained(make)(*args, **kwargs)

            def meter(target: Target) -> Meter:
                if target.kind not in kinds and is_built_in("target", target.kind) and (fitting := _fitting(target)):
                    raise ModelError(
                        f"{metric.name} does not fit a target of kind {target.kind!r}.",
                        f"a metric that fits it: {', '.join(fitting)}.",
                        f"use for example {fitting[0]!r}.",
                    )
                return metric.meter(target)

            return Metric(metric.name, meter, metric.higher_is_better)

        make_checked.fits = kinds  # type: ignore[attr-defined]
        return make_checked

    return decorate


def _fitting(target: Target) -> list[str]:
    """Return the registered metrics that fit a target, its own default ones first."""
    names = [name for name in list_registered("metric") if target.kind in getattr(lookup("metric", name), "fits", ())]
    return sorted(names, key=lambda name: name not in target.default_metrics)
