"""What a language model returns, in training and at prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class DeferredLogits:
    """What a masked language model returns while training: logits that are computed of the tokens that count alone.

    Those are 15%, and the scores of a whole vocabulary take as long as the encoder.

    Attributes:
        vectors: What the encoder returned for each token, (batch, length, width).
        head: Returns the logits of vectors, (tokens, vocabulary).
    """

    vectors: Tensor
    head: Callable[[Tensor], Tensor]

    def at(self, positions: Tensor) -> Tensor:
        """Return the logits at positions among all tokens, counted row by row, int64, (tokens,)."""
        return self.head(self.vectors.flatten(0, -2).index_select(0, positions))


def get_logits(outputs: Tensor | LanguageModelOutput | DeferredLogits) -> Tensor:
    """Return the logits of a language model's outputs, (batch, length, vocabulary)."""
    if isinstance(outputs, DeferredLogits):
        return outputs.head(outputs.vectors)
    return outputs.logits if isinstance(outputs, LanguageModelOutput) else outputs
