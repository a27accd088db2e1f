"""A transformer encoder as a masked language model: which tokens were masked?

It is trained on texts without labels, to adapt an encoder to a field before it classifies (Gururangan et al. 2020,
arXiv:2004.10964).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from onecycle.registry import register
from onecycle.text.language_model_output import DeferredLogits, get_logits
from onecycle.text.transformer import TransformerModel, build_encoder, encoder_config
from onecycle.train.layer_groups import FineTuning


class TokenEncoder(nn.Module):
    """The body: token ids, int64, (batch, length), to a vector for each token, (batch, length, width).

    Args:
        encoder: A Hugging Face transformer with `last_hidden_state` in its outputs.
        pad: Id of the padding token.
    """

    def __init__(self, encoder: nn.Module, pad: int) -> None:
        super().__init__()
        self.encoder, self.pad = encoder, pad

    def forward(self, token_ids: Tensor) -> Tensor:
        """Return the tokens' vectors, (batch, length, width)."""
        mask = (token_ids != self.pad).long()
        vectors: Tensor = self.encoder(input_ids=token_ids, attention_mask=mask).last_hidden_state
        return vectors


class MaskedHead(nn.Module):
    """Vectors to a score for each token, with the weights of the embedding, as in BERT (Devlin et al. 2018).

    Args:
        width: Size of the vectors.
        vocabulary: Number of token ids.
    """

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.dense, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        # The vectors of a trained encoder are a good start without a change.
        nn.init.eye_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, vectors: Tensor, weight: Tensor) -> Tensor:
        """Return logits, (..., vocabulary), of vectors, (..., width)."""
        return F.linear(self.norm(F.gelu(self.dense(vectors))), weight, self.bias)


@register("model", "masked_model")
class MaskedModel(TransformerModel):
    """A transformer encoder that predicts masked tokens.

    Args:
        encoder: A transformer from `load_encoder` or `build_encoder`.
        pad: Id of the padding token.

    Attributes:
        defer_logits: While training, return `DeferredLogits`, as `TokenLoss` takes them: the head then computes the
            tokens that count alone.

    Example:
        >>> encoder = build_encoder({
        ...     "model_type": "bert", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2,
        ...     "num_attention_heads": 2, "intermediate_size": 24})
        >>> MaskedModel(encoder, pad=0)(torch.ones(2, 5, dtype=torch.int64)).shape
        torch.Size([2, 5, 50])
    """

    # The head alone, on an encoder that was never trained on masks, learns little.
    fine_tuning = FineTuning(frozen_epochs=0)

    def __init__(self, encoder: nn.Module, *, pad: int) -> None:
        super().__init__()
        self.defer_logits = False
        self.config = {"kind": "masked_model", "encoder": encoder_config(encoder), "pad": pad}
        self.body = TokenEncoder(encoder, pad)
        vocabulary, width = self._embedding().shape
        self.head = MaskedHead(width, vocabulary)

    def _embedding(self) -> Tensor:
        weight: Tensor = self.body.encoder.get_input_embeddings().weight  # type: ignore[operator, union-attr]
        return weight

    def forward(self, inputs: Tensor) -> Tensor | DeferredLogits:
        """Return the logits of each token, (batch, length, vocabulary)."""
        outputs = DeferredLogits(self.body(inputs), self._logits)
        return outputs if self.training and self.defer_logits else get_logits(outputs)

    def _logits(self, vectors: Tensor) -> Tensor:
        logits: Tensor = self.head(vectors, self._embedding())
        return logits

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MaskedModel:
        return cls(build_encoder(config["encoder"]), pad=config["pad"])
