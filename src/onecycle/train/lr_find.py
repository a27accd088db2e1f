"""The learning-rate finder: sweep the rate up over a few short trainings, and read the curve of the loss.

Source of the sweep: Smith 2015, arXiv:1506.01186. How the curve is read is ours, and is told in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onecycle.errors import ModelError, TrainingError

if TYPE_CHECKING:
    from onecycle.data.figure import Picture

Curve = NDArray[np.float64]
# A few items are soon learnt by heart at any rate; then the floor says little. Above this, Adam forgets what it knew.
HIGHEST = 1e-2
# The head alone, with AdamW, learns well at this rate on every data set that we measured, see bench/rates.py.
USUAL_FOR_HEADS = 5e-3


@dataclass(frozen=True)
class Finding:
    """What the finder saw and advises.

    Attributes:
        rates: Rates that were tried, ascending.
        losses: Smoothed loss at each, the median over the sweeps.
        sweeps: Raw losses of each sweep; shorter where the loss exploded.
        lr: Advice for `lr=`: a rate, or a slice from the first to the last layer group.
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
        return f"lr={shown(self.lr)}, between {self.low:.1e} and {self.high:.1e}: {self.reason}"

    def plot(self) -> Picture:
        """Draw the curve, the sweeps it comes from, the range and the advice."""
        from onecycle.data.figure import Picture

        figure = Picture(figsize=(6, 3.8), layout="constrained")
        axes = figure.subplots()
        for sweep in self.sweeps:
            axes.plot(self.rates[: len(sweep)], sweep, color="0.8", linewidth=0.8)
        axes.plot(self.rates[: len(self.losses)], self.losses, color="tab:blue")
        axes.axvspan(self.low, self.high, color="tab:green", alpha=0.12, label=f"{self.low:.1e} to {self.high:.1e}")
        rate = self.lr.stop if isinstance(self.lr, slice) else self.lr
        axes.axvline(rate, color="tab:green", label=f"lr={shown(self.lr)}")
        low, high = float(self.losses.min()), float(self.losses[: max(len(self.losses) // 4, 1)].max())
        axes.set(
            xscale="log", xlabel="learning rate", ylabel="training loss", title=self.reason,
            ylim=(low - 0.1 * (high - low), high + 0.6 * (high - low) + 1e-3),
        )  # fmt: skip
        axes.title.set_fontsize(8)
        axes.title.set_wrap(True)
        axes.legend(frameon=False)
        return figure


def sweep_rates(start: float, stop: float, steps: int) -> Curve:
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


def find(
    rates: Curve,
    train: Callable[[int, Curve], list[float]],
    sweeps: int,
    frozen_rate: float | None,
    *,
    whole: bool = False,
    usual: float | None = None,
) -> Finding:
    """Sweep `sweeps` times and read the curve.

    Args:
        rates: Rates to try, ascending.
        train: Given a sweep's number and the rates, trains one step at each from the same weights, and returns the
            losses; it may end early when the loss explodes.
        sweeps: How many; the median over them takes away one seed's noise.
        frozen_rate: The rate that the head was trained with, if it has been: the advice ends below it.
        whole: All layers learn, not the head alone.
        usual: A rate that suits such a training from experience; the advice goes half way towards it.
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
    losses = smooth(median, width=max(len(rates) / 30, 1.0))
    # Not the standard deviation: where the loss explodes, a few steps are far off, and all would count as noise.
    noise = 1.48 * float(np.median(np.abs(median - losses)))
    lr, low, high, reason = read(rates[:length], losses, noise, frozen_rate, whole=whole, usual=usual)
    return Finding(rates, losses, raw, lr, low, high, reason)


def smooth(values: Curve, width: float) -> Curve:
    """Average with a bell curve whose standard deviation is `width` steps; the ends lean on what is there."""
    steps = np.arange(len(values))
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / width) ** 2)
    smoothed: Curve = (weights @ values) / weights.sum(axis=1)
    return smoothed


def read(
    rates: Curve,
    losses: Curve,
    noise: float,
    frozen_rate: float | None,
    *,
    whole: bool = False,
    usual: float | None = None,
) -> tuple[float | slice, float, float, str]:
    """Read a smoothed curve: return the advice, the range around it, and the reason in words."""
    lowest = int(losses.argmin())
    before = float(losses[: max(len(losses) // 5, 1)].mean())
    drop = before - float(losses[lowest])
    if lowest >= 2 and drop > max(4 * noise, 0.05 * abs(before)) and frozen_rate is None:
        # A tenth of the lowest point is steadier than the steepest point, which wanders along a long slope: measured
        # against a grid of fixed rates, see docs/design.md. Where the floor is wide, its middle is meant.
        floor = np.log(rates[losses <= losses.min() + 0.02 * drop])
        at = float(np.exp(floor.mean()))
        # Where all layers learn from the start (masks, points), a tenth was too low: see bench/rates.py.
        lr = min(at / (3 if whole else 10), HIGHEST)
        why = f"a {'third' if whole else 'tenth'} of that"
        why += "" if lr < HIGHEST else f", but no more than {HIGHEST:g}"
        if usual:
            # One curve wanders by a factor of three about rates that serve equally well; two opinions wander less.
            lr = math.sqrt(lr * usual)
            why += f", half way to the usual {usual:g}"
        reason = f"the loss falls from {before:.2g} to {losses[lowest]:.2g}, lowest around {at:.1e}; {why}"
        return _rounded(lr), lr / 3, lr * 3, reason
    turn = _turn(rates, losses, noise)
    high = min(frozen_rate / 5 if frozen_rate else turn / 3, turn, HIGHEST)
    # After a frozen stage the rates are spread as in the sweep: the first layers, pretrained, were thrown back by more.
    low = high / 100 if frozen_rate else min(turn, high) / 10
    why = "a fifth of the rate of the frozen stage" if frozen_rate else f"a third of that, at most {HIGHEST:g}"
    first = "1% of it" if frozen_rate else "a tenth of the turn or less"
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


def shown(lr: float | slice) -> str:
    """Return `lr` as one would write it.

    Example:
        >>> shown(slice(1e-5, 1e-3))
        'slice(1e-05, 0.001)'
    """
    return f"slice({lr.start:g}, {lr.stop:g})" if isinstance(lr, slice) else f"{lr:g}"


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")
