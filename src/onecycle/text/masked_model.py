"""A transformer encoder as a language model of masked tokens: which tokens were hidden?

It learns from texts without labels, so that an encoder gets to know a field before it classifies (Gururangan et al.
2020, arXiv:2004.10964).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from onecycle.text.transformer import TransformerModel, plain_config, random_encoder


class TokenEncoder(nn.Module):
    """The body: tokens, int64, (batch, length), to a vector for each, (batch, length, width)."""

    def __init__(self, encoder: nn.Module, pad: int) -> None:
        super().__init__()
        self.encoder, self.pad = encoder, pad

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens' vectors."""
        states: Tensor = self.encoder(input_ids=tokens, attention_mask=(tokens != self.pad).long()).last_hidden_state
        return states


class MaskedHead(nn.Module):
    """Vectors to a score for every token, by the embedding's own weights, as BERT's (Devlin et al. 2018)."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.dense, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        # The vectors of a trained encoder are a good beginning as they are.
        nn.init.eye_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, vectors: Tensor, weight: Tensor) -> Tensor:
        """Return logits, (batch, length, vocabulary)."""
        return F.linear(self.norm(F.gelu(self.dense(vectors))), weight, self.bias)


class MaskedModel(TransformerModel):
    """A transformer encoder that says which tokens were masked.

    Args:
        encoder: As `load_encoder` or `random_encoder` give it.
        pad: The token that fills up a batch.
    """

    frozen_epochs = 0  # the head alone, on an encoder that has never seen a mask, learns little

    def __init__(self, encoder: nn.Module, *, pad: int) -> None:
        super().__init__()
        self.config = {"kind": "masked_model", "encoder": plain_config(encoder), "pad": pad}
        self.body = TokenEncoder(encoder, pad)
        vocabulary, width = self._embedding().shape
        self.head = MaskedHead(width, vocabulary)

    def _embedding(self) -> Tensor:
        weight: Tensor = self.body.encoder.get_input_embeddings().weight  # type: ignore[operator, union-attr]
        return weight

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits of each token, (batch, length, vocabulary)."""
        logits: Tensor = self.head(self.body(inputs), self._embedding())
        return logits

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MaskedModel:
        """Build the model that `to_config` described, with random weights."""
        return cls(random_encoder(config["encoder"]), pad=config["pad"])
