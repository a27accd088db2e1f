"""The AWD-LSTM as a language model: which token comes next?

Source: Merity et al. 2017, arXiv:1708.02182.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from onecycle.text.awd_lstm import AwdLstm, State
from onecycle.train.groups import GroupedModel


class TiedDecoder(nn.Module):
    """Outputs of the encoder to a score for every token, by the embedding's own weights (Press & Wolf 2016)."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, features: Tensor, weight: Tensor) -> Tensor:
        """Return logits, (..., vocabulary)."""
        return F.linear(features, weight, self.bias)


class LanguageModel(GroupedModel):
    """An AWD-LSTM that says which token comes next.

    It remembers its state from one batch to the next, since batches hold the streams' next pieces; calling `train()` or
    `eval()`, as every epoch begins with, makes it forget.

    Args:
        encoder: The AWD-LSTM.

    Attributes:
        activations: While training: the encoder's outputs for the last batch, raw and after dropout, for the loss.
    """

    frozen_epochs = 0  # nothing is pretrained, and the head's weights are the embedding's

    def __init__(self, encoder: AwdLstm) -> None:
        super().__init__()
        self.body = encoder
        self.head = TiedDecoder(encoder.embedding.num_embeddings)
        self.state: State | None = None
        self.activations: tuple[Tensor, Tensor] | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits of each next token, (batch, length, vocabulary), reading on from the batch before."""
        held = self.state if self.state is not None and self.state[0][0].shape[1] == len(inputs) else None
        raw, dropped, after = self.body(inputs, held)
        self.state = [(hidden.detach(), cell.detach()) for hidden, cell in after]
        self.activations = (raw, dropped) if self.training else None
        return self.decode(dropped)

    def decode(self, features: Tensor) -> Tensor:
        """Return logits for outputs of the encoder, (..., vocabulary)."""
        logits: Tensor = self.head(features, self.body.embedding.weight)  # type: ignore[union-attr]
        return logits

    def train(self, mode: bool = True) -> LanguageModel:
        """Forget the state, and switch dropout on or off."""
        self.state = self.activations = None
        return super().train(mode)

    def layer_groups(self) -> list[list[str]]:
        """The embedding, each LSTM layer, and the decoder's bias."""
        return [*self.body.groups("body."), ["head.bias"]]  # type: ignore[operator]

    def to_config(self) -> dict[str, Any]:
        """Everything but the weights."""
        return {"kind": "awd_lstm_language_model", "encoder": self.body.config}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LanguageModel:
        """Build the model that `to_config` described, with random weights."""
        return cls(AwdLstm.from_config(config["encoder"]))
