"""Reading the curve of a learning-rate finder: which rate to take, between which limits, and why.

Source of the sweep: Smith 2015, arXiv:1506.01186. The reading is our own, and each result says how it was read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onecycle.errors import ModelError, TrainingError
from onecycle.notebook import html_lines
from onecycle.train.options import LearningRate

if TYPE_CHECKING:
    from onecycle.figure import Picture

Curve = NDArray[np.float64]
# A few items are soon memorised at any rate; then the lowest point says little. Above this, Adam damages pretrained
# weights.
HIGHEST = 1e-2
# The head alone, with AdamW, trains well at this rate on every data set that was measured, see bench/rates.py.
DEFAULT_HEAD_LR = 5e-3


@dataclass(frozen=True)
class LRFinderResult:
    """What the learning-rate finder measured and suggests.

    Attributes:
        rates: Rates that were tried, ascending.
        losses: Smoothed loss at each, the median over the sweeps.
        sweeps: Raw losses of each sweep; shorter where the loss exploded.
        lr: Suggestion for `lr=`: a rate, or a slice from the first to the last layer group.
        low: Lower end of the rates that should work.
        high: Upper end.
        reason: How the curve was read.
    """

    rates: Curve
    losses: Curve
    sweeps: tuple[Curve, ...]
    lr: float | slice
    low: float
    high: float
    reason: str

    def __repr__(self) -> str:
        return f"lr={format_lr(self.lr)}, between {self.low:.1e} and {self.high:.1e}: {self.reason}"

    def _repr_html_(self) -> str:
        return html_lines(repr(self)) + self.plot().to_html()

    def plot(self) -> Picture:
        """Draw the curve, the sweeps it comes from, the range and the suggestion."""
        from onecycle.figure import Picture

        figure = Picture(figsize=(6, 3.8), layout="constrained")
        axes = figure.subplots()
        for sweep in self.sweeps:
            axes.plot(self.rates[: len(sweep)], sweep, color="0.8", linewidth=0.8)
        axes.plot(self.rates[: len(self.losses)], self.losses, color="tab:blue")
        axes.axvspan(self.low, self.high, color="tab:green", alpha=0.12, label=f"{self.low:.1e} to {self.high:.1e}")
        rate = self.lr.stop if isinstance(self.lr, slice) else self.lr
        axes.axvline(rate, color="tab:green", label=f"lr={format_lr(self.lr)}")
        before = max(len(self.losses) // 4, int((self.rates[: len(self.losses)] <= self.high).sum()), 1)
        low, high = float(self.losses.min()), float(self.losses[:before].max())
        axes.set(
            xscale="log", xlabel="learning rate", ylabel="training loss", title=self.reason,
            ylim=(low - 0.1 * (high - low), high + 0.6 * (high - low) + 1e-3),
        )  # fmt: skip
        axes.title.set_fontsize(8)
        axes.title.set_wrap(True)
        axes.legend(frameon=False)
        return figure.ready()


def as_lr(lr: LearningRate | LRFinderResult) -> LearningRate:
    """Return a learning rate; of a finder's result, the one that it suggests."""
    return lr.lr if isinstance(lr, LRFinderResult) else lr


def sweep_lrs(start: float, stop: float, steps: int) -> Curve:
    """Return `steps` rates from `start` to `stop`, spread geometrically.

    Raises:
        ModelError: The range is empty or too short to read.
    """
    if not 0 < start < stop or steps < 8:
        raise ModelError(
            f"lr_find(start={start}, stop={stop}, steps={steps}).",
            "0 < start < stop, and 8 steps or more.",
            "widen it.",
        )
    return np.geomspace(start, stop, steps)


def find_lr(
    rates: Curve,
    train: Callable[[int, Curve], list[float]],
    sweeps: int,
    frozen_lr: float | None,
    *,
    all_layers: bool = False,
    default: float | None = None,
) -> LRFinderResult:
    """Sweep `sweeps` times and read the curve.

    Args:
        rates: Rates to try, ascending.
        train: Given a sweep's number and the rates, trains one step at each from the same weights, and returns the
            losses; it may end early when the loss explodes.
        sweeps: How many; their median removes the noise of a single seed.
        frozen_lr: The rate that the head was trained with, if it has been: the suggestion ends below it.
        all_layers: All layers learn, not the head alone.
        default: A rate that is known to suit such a training; the suggestion is the geometric mean of both.
    Raises:
        TrainingError: There is no curve: a sweep's first loss is not finite.
    """
    raw = tuple(np.array(train(number, rates)) for number in range(sweeps))
    length = min(map(len, raw))
    if length == 0:
        raise TrainingError(
            f"The loss was not finite at the first step of lr_find, at lr={rates[0]:g}.",
            "a finite loss.",
            "check the data with bunch.check(), and the loss.",
        )
    median = np.median([sweep[:length] for sweep in raw], axis=0)
    losses = smooth(median, bandwidth=max(len(rates) / 30, 1.0))
    # Not the standard deviation: where the loss explodes, a few steps are far off, and all would count as noise.
    noise = 1.48 * float(np.median(np.abs(median - losses)))
    lr, low, high, reason = read_curve(rates[:length], losses, noise, frozen_lr, all_layers=all_layers, default=default)
    return LRFinderResult(rates, losses, raw, lr, low, high, reason)


def smooth(values: Curve, bandwidth: float) -> Curve:
    """Average with a bell curve whose standard deviation is `bandwidth` steps, over the steps that exist."""
    steps = np.arange(len(values))
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / bandwidth) ** 2)
    smoothed: Curve = (weights @ values) / weights.sum(axis=1)
    return smoothed


def read_curve(
    rates: Curve,
    losses: Curve,
    noise: float,
    frozen_lr: float | None,
    *,
    all_layers: bool = False,
    default: float | None = None,
) -> tuple[float | slice, float, float, str]:
    """Read a smoothed curve: return the suggestion, the range around it, and the reason in words."""
    lowest = int(losses.argmin())
    before = float(losses[: max(len(losses) // 5, 1)].mean())
    drop = before - float(losses[lowest])
    if lowest >= 2 and drop > max(4 * noise, 0.05 * abs(before)) and frozen_lr is None:
        # A tenth of the lowest point is steadier than the steepest point, which wanders along a long slope: measured
        # against a grid of fixed rates, see docs/design.md. Where the floor is wide, its middle is meant.
        floor = np.log(rates[losses <= losses.min() + 0.02 * drop])
        at = float(np.exp(floor.mean()))
        # Where all layers learn from the start (masks, points), a tenth was too low: see bench/rates.py.
        lr = min(at / (3 if all_layers else 10), HIGHEST)
        why = f"a {'third' if all_layers else 'tenth'} of that"
        why += "" if lr < HIGHEST else f", but no more than {HIGHEST:g}"
        if default:
            # A single curve varies by a factor of three between rates that work equally well; the mean of two estimates
            # varies less.
            lr = math.sqrt(lr * default)
            why += f", and the geometric mean of it and the usual {default:g}"
        reason = f"the loss falls from {before:.2g} to {losses[lowest]:.2g}, lowest around {at:.1e}; {why}"
        return _rounded(lr), lr / 3, lr * 3, reason
    turn = _turn(rates, losses, noise)
    high = min(frozen_lr / 5 if frozen_lr else turn / 3, turn, HIGHEST)
    # After a frozen stage the rates are spread as in the sweep: the first layers, pretrained, were thrown back by more.
    low = high / 100 if frozen_lr else min(turn, high) / 10
    why = "a fifth of the rate of the frozen stage" if frozen_lr else f"a third of that, at most {HIGHEST:g}"
    first = "1% of it" if frozen_lr else "a tenth of the turn or less"
    return (
        slice(_rounded(low), _rounded(high)),
        low,
        high,
        f"the loss is flat and turns up at {turn:.1e}; last layers at {why}, first layers at {first}",
    )


def _turn(rates: Curve, losses: Curve, noise: float) -> float:
    """Return the last rate before the loss leaves its lowest level for good."""
    limit = float(losses.min()) + max(3 * noise, 0.1 * abs(float(losses.min())))
    above = losses > limit
    lowest = int(losses.argmin())
    up = np.flatnonzero(above[lowest:])
    return float(rates[lowest + max(int(up[0]) - 1, 0)] if len(up) else rates[-1])


def format_lr(lr: float | slice) -> str:
    """Return `lr` as one would write it.

    Example:
        >>> format_lr(slice(1e-5, 1e-3))
        'slice(1e-05, 0.001)'
    """
    return f"slice({lr.start:g}, {lr.stop:g})" if isinstance(lr, slice) else f"{lr:g}"


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")
