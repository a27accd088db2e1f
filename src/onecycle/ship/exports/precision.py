"""In how many bits an exported file computes, and how much it may lose by that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from onecycle.errors import ModelError
from onecycle.ship.exports.proof import TOLERANCE

Precision = Literal["fp32", "fp16", "int8"]
HALF_TOLERANCE = 0.03
POINTS = 0.5


@dataclass(frozen=True)
class Asked:
    """What was asked of a file.

    Attributes:
        precision: "fp32"; "fp16", for half the size; or "int8", for a quarter of it and two thirds of the time on a
            CPU.
        tolerance: How much probabilities, or what else is predicted, may differ from the model's; of int8 how many
            points (hundredths) a metric may fall by.
    """

    precision: Precision
    tolerance: float


def asked_for(precision: str = "fp32", tolerance: float | None = None) -> Asked:
    """Return what is asked for, checked.

    Raises:
        ModelError: There is no such precision, or the tolerance is not above 0.
    Example:
        >>> asked_for("int8").tolerance
        0.5
    """
    if precision not in get_args(Precision):
        raise ModelError(
            f"precision={precision!r}.", f"one of: {', '.join(get_args(Precision))}.",
            f"pass precision={'int8' if 'int' in str(precision) else 'fp16'!r}, or leave it out.",
        )  # fmt: skip
    usual = {"fp32": TOLERANCE, "fp16": HALF_TOLERANCE, "int8": POINTS}[precision]
    given = usual if tolerance is None else tolerance
    if isinstance(given, bool) or not isinstance(given, int | float) or not given > 0:
        raise ModelError(
            f"tolerance={tolerance!r}.", "a number above 0.",
            f"leave it out: it is {usual:g}{' points' if precision == 'int8' else ''} for {precision}.",
        )  # fmt: skip
    return Asked(precision, float(given))  # type: ignore[arg-type]


def check_full(precision: str, name: str, why: str) -> None:
    """Refuse a format that has no precision but one.

    Raises:
        ModelError: Another one is asked for.
    """
    if asked_for(precision).precision != "fp32":
        raise ModelError(
            f"{name} is not written with precision={precision!r}: {why}.", "precision='fp32'.",
            "leave precision out, or export ONNX: a name that ends in .onnx.",
        )  # fmt: skip
