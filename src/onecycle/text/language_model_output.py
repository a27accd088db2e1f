"""What a language model returns, in training and at prediction."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class LanguageModelOutput(NamedTuple):
    """What an AWD-LSTM language model returns while training: its loss regularises more than the logits.

    Attributes:
        logits: Score of each next token, (batch, length, vocabulary).
        raw: Outputs of the last LSTM layer, (batch, length, width).
        dropped: The same after dropout, (batch, length, width).
    """

    logits: Tensor
    raw: Tensor
    dropped: Tensor


def get_logits(outputs: Tensor | LanguageModelOutput) -> Tensor:
    """Return the logits of a language model's outputs, (batch, length, vocabulary)."""
    return outputs.logits if isinstance(outputs, LanguageModelOutput) else outputs
