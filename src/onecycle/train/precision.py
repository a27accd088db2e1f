"""Which precision is worth using for a learner on its device."""

from __future__ import annotations

import warnings

from onecycle.errors import users_level
from onecycle.inference.precision import Mode, Precision, relative_cost, supported
from onecycle.train.state import TrainState


def use_precision(state: TrainState, mode: Mode, *, force: bool = False) -> None:
    """Compute passes in `mode`, or, unless forced, in 32 bits where that is faster, with a warning."""
    used, reason = (mode, "") if force else fastest_precision(state, mode)
    if reason and state.processes.is_main:
        warnings.warn(f"{mode} was asked for: {reason}.", stacklevel=users_level())
    state.use_precision(used)


def fastest_precision(state: TrainState, mode: Mode) -> tuple[Mode, str]:
    """Return the mode to use where `mode` is asked for, in all processes, and the reason where it is another."""
    return state.processes.decide(lambda: _fastest_precision(state, mode))


def _fastest_precision(state: TrainState, mode: Mode) -> tuple[Mode, str]:
    used, reason = supported(mode, state.device)
    if used != "bf16" or state.device.type != "cpu":
        return used, reason
    # On processors, 16 bits speed up products of matrices, and slow down the small convolutions of many models.
    few = state.data.prepared(state.data.train.dataset, range(min(8, len(state.data)))).to(state.device)
    cost = relative_cost(state.model, few.inputs, Precision(used, state.device))
    if cost > 1:
        return "fp32", f"here this model takes {cost:.1f} times as long in {used}; using fp32"
    return used, reason
