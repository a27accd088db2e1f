"""The AWD-LSTM as a language model: which token comes next?

Source: Merity et al. 2017, arXiv:1708.02182.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from onecycle.registry import register
from onecycle.text.awd_lstm import AwdLstm, State
from onecycle.text.language_model_output import LanguageModelOutput
from onecycle.train.layer_groups import FineTuning, GroupedModel


class TiedDecoder(nn.Module):
    """Encoder outputs to a score for each token, with the weights of the embedding (Press & Wolf 2016).

    Args:
        vocabulary: Number of token ids.
    """

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, vectors: Tensor, weight: Tensor) -> Tensor:
        """Return logits, (..., vocabulary), of vectors, (..., width), with weights (vocabulary, width)."""
        return F.linear(vectors, weight, self.bias)


@register("model", "awd_lstm_language_model")
class LanguageModel(GroupedModel):
    """An AWD-LSTM that predicts the next token.

    The model keeps no state: whoever reads a long text in parts passes the state on from one part to the next.

    Args:
        encoder: The AWD-LSTM.

    Example:
        >>> from onecycle.text.awd_lstm import Dropouts
        >>> model = LanguageModel(AwdLstm(100, pad=0, width=4, hidden=6, layers=2, dropouts=Dropouts())).eval()
        >>> token_ids = torch.arange(12).reshape(2, 6)
        >>> first, state = model(token_ids[:, :4], model.initial_state(2))
        >>> second, state = model(token_ids[:, 4:], state)
        >>> torch.allclose(torch.cat([first, second], 1), model(token_ids), atol=1e-6)
        True
    """

    # Nothing is pretrained, and the head's weights are the embedding's.
    fine_tuning = FineTuning(frozen_epochs=0)

    def __init__(self, encoder: AwdLstm) -> None:
        super().__init__()
        self.body = encoder
        self.head = TiedDecoder(encoder.embedding.num_embeddings)

    def forward(self, inputs: Tensor, state: State | None = None) -> Any:
        """Return a score for each next token.

        Args:
            inputs: Token ids, int64, (batch, length).
            state: The state after the tokens before `inputs`, see `initial_state`; None starts from zeros.
        Returns:
            Logits, (batch, length, vocabulary); in training mode a `LanguageModelOutput` with them. With a state, a
            pair of this and the state after the last token, detached.
        """
        raw, dropped, after = self.body(inputs, state)
        logits = self.to_logits(dropped)
        outputs = LanguageModelOutput(logits, raw, dropped) if self.training else logits
        if state is None:
            return outputs
        return outputs, tuple((hidden.detach(), cell.detach()) for hidden, cell in after)

    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first token: of each layer two tensors of zeros, (batch_size, size)."""
        state: State = self.body.initial_state(batch_size)  # type: ignore[operator]
        return state

    def to_logits(self, vectors: Tensor) -> Tensor:
        """Return the logits, (..., vocabulary), of outputs of the encoder, (..., width)."""
        logits: Tensor = self.head(vectors, self.body.embedding.weight)  # type: ignore[union-attr]
        return logits

    def layer_groups(self) -> list[list[str]]:
        return [*self.body.layer_groups("body."), ["head.bias"]]  # type: ignore[operator]

    def to_config(self) -> dict[str, Any]:
        return {"kind": "awd_lstm_language_model", "encoder": self.body.config}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LanguageModel:
        return cls(AwdLstm.from_config(config["encoder"]))
