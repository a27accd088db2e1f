"""A classifier on the encoder of an AWD-LSTM language model.

Source: Howard & Ruder 2018, arXiv:1801.06146.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from onecycle.registry import register
from onecycle.text.awd_lstm import AwdLstm, Dropouts
from onecycle.train.heads import make_head
from onecycle.train.layer_groups import GroupedModel

# fastai's. More than a language model's, since a classifier is trained on far fewer labels than there are words.
CLASSIFIER_DROPOUTS = Dropouts(embedding=0.05, input=0.4, weight=0.5, hidden=0.3, output=0.4)


class ConcatPooling(nn.Module):
    """The classifier's body: last, highest and mean output of the LSTM over a text's tokens, (batch, 3 * width).

    Args:
        encoder: The AWD-LSTM.

    Example:
        >>> encoder = AwdLstm(100, pad=0, width=4, hidden=6, layers=1, dropouts=Dropouts())
        >>> ConcatPooling(encoder)(torch.ones(2, 3, dtype=torch.int64)).shape
        torch.Size([2, 12])
    """

    def __init__(self, encoder: AwdLstm) -> None:
        super().__init__()
        self.encoder = encoder
        self.pad = encoder.pad

    def forward(self, token_ids: Tensor) -> Tensor:
        """Return a vector for each text; the LSTM reads padding last, so that it has no effect."""
        outputs = self.encoder(token_ids).dropped.float()
        is_token = (token_ids != self.pad)[..., None]
        counts = is_token.sum(1).clamp_min(1)
        # Not by row numbers: an exported program would keep how many there were in its example.
        last = outputs.gather(1, (counts - 1)[..., None].expand(-1, 1, outputs.shape[2]))[:, 0]
        highest = outputs.masked_fill(~is_token, -torch.inf).amax(1)
        highest = highest.masked_fill(highest.isinf(), 0.0)
        return torch.cat([last, highest, (outputs * is_token).sum(1) / counts], 1)


@register("model", "awd_lstm_classifier")
class AwdLstmClassifier(GroupedModel):
    """The encoder of a language model, pooled to one vector for each text, and a head on it.

    Args:
        encoder: The AWD-LSTM.
        outputs: Number of outputs.
        hidden: Size of the head's hidden layer; 0 for a linear head.
        dropout: Before the last layer; half of it before the hidden one.

    Example:
        >>> encoder = AwdLstm(100, pad=0, width=4, hidden=6, layers=1, dropouts=Dropouts())
        >>> AwdLstmClassifier(encoder, outputs=2)(torch.ones(3, 5, dtype=torch.int64)).shape
        torch.Size([3, 2])
    """

    def __init__(self, encoder: AwdLstm, outputs: int, *, hidden: int = 50, dropout: float = 0.1) -> None:
        super().__init__()
        self.config = {
            "kind": "awd_lstm_classifier", "encoder": encoder.config, "outputs": outputs, "hidden": hidden,
            "dropout": dropout,
        }  # fmt: skip
        self.body = ConcatPooling(encoder)
        self.head = make_head(3 * encoder.width, outputs, hidden, dropout)

    def layer_groups(self) -> list[list[str]]:
        groups = self.body.encoder.layer_groups("body.encoder.")  # type: ignore[operator, union-attr]
        return [*groups, [f"head.{name}" for name, _ in self.head.named_parameters()]]

    def to_config(self) -> dict[str, Any]:
        return dict(self.config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AwdLstmClassifier:
        arguments = {key: value for key, value in config.items() if key not in ("kind", "encoder")}
        return cls(AwdLstm.from_config(config["encoder"]), **arguments)
