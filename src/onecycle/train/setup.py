"""How a learner was made, in JSON, so that a checkpoint can say what differs where it is loaded."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import Any

from onecycle.train.state import TrainState

OPTIONS = (
    "loss", "label_smoothing", "optimizer", "mix", "weight_decay", "clip", "ema", "accumulate", "cache_features",
    "head_steps",
)  # fmt: skip


def describe_setup(state: TrainState) -> dict[str, Any]:
    """Return what decides the course of training besides the model, by name."""
    data = state.data if state.plan is None else state.plan.data
    loading = {name: getattr(data.options, name) for name in ("batch_size", "seed", "balance", "contiguous")}
    return {
        **{f"data {name}": value for name, value in (loading | data.order_options).items()},
        **{f"inputs {name}": value for name, value in data.modality.to_config().items()},
        **{f"option {name}": _text(getattr(state.options, name)) for name in OPTIONS},
        "precision": state.precision.mode,
    }


def describe_split(state: TrainState) -> dict[str, str] | None:
    """Return a checksum of the names and labels of each split; None for plain loaders, whose items have no names."""
    labelled = getattr(state.data, "labelled", None)
    if labelled is None:
        return None
    return {"training": labelled.train.checksum, "validation": labelled.valid.checksum}


def differences(saved: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Return what differs between two setups, a line each.

    Example:
        >>> differences({"data batch_size": 64}, {"data batch_size": 32})
        ['data batch_size is 32, and was 64']
    """
    names = [name for name in {**saved, **own} if saved.get(name) != own.get(name)]
    return [f"{name} is {own.get(name)}, and was {saved.get(name)}" for name in names]


def with_same_batches(
    saved: Mapping[str, Any], own: Mapping[str, Any], processes_before: int, processes: int
) -> dict[str, Any]:
    """Return a saved setup, in which the batch size is the own one where all processes together have the same batches.

    Example:
        >>> with_same_batches({"data batch_size": 32}, {"data batch_size": 64}, processes_before=2, processes=1)
        {'data batch_size': 64}
    """
    name = "data batch_size"
    before, now = saved.get(name), own.get(name)
    if isinstance(before, int) and isinstance(now, int) and before * processes_before == now * processes:
        return {**saved, name: now}
    return dict(saved)


def _text(value: Any) -> Any:
    """Return an option as JSON: functions and classes by name, objects as they are printed, without an address."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, functools.partial):
        return f"{_text(value.func)}{sorted(value.keywords.items())}"
    if inspect.isfunction(value) or isinstance(value, type):
        return value.__qualname__
    return repr(value).split(" at 0x")[0]
