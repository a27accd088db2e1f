"""Losses that can be scaled, added, and averaged exactly over the parts of a batch.

`CrossEntropy() + 0.5 * Dice()` is a loss too. Plain functions, torch's modules and subclasses of `Loss` all train.
"""

from __future__ import annotations

from onecycle.losses.classification import BinaryCrossEntropy, ClassLoss, CrossEntropy, Dice, Focal
from onecycle.losses.function import FunctionLoss, TorchLoss, as_loss
from onecycle.losses.loss import IGNORE_INDEX, Loss, MeanLoss, ScaledLoss, SumLoss
from onecycle.losses.regression import L1, MSE, NumberLoss, SmoothL1, Wing

__all__ = [
    "IGNORE_INDEX", "L1", "MSE", "BinaryCrossEntropy", "ClassLoss", "CrossEntropy", "Dice", "Focal", "FunctionLoss",
    "Loss", "MeanLoss", "NumberLoss", "ScaledLoss", "SmoothL1", "SumLoss", "TorchLoss", "Wing", "as_loss",
]  # fmt: skip
