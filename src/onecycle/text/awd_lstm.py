"""AWD-LSTM: an LSTM with five kinds of dropout, and a classifier whose encoder it is.

Source: Merity et al. 2017, arXiv:1708.02182; for classification Howard & Ruder 2018, arXiv:1801.06146.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from onecycle.train.groups import GroupedModel
from onecycle.train.heads import make_head

# (hidden state, cell state) of each layer, each (1, batch, size).
State = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Dropouts:
    """The five dropouts, each a probability.

    Attributes:
        embedding: Of a word, wherever it stands in the batch.
        input: Of a number of the embedding, the same at all places of a text.
        weight: Of a weight from hidden state to hidden state, the same at all places.
        hidden: Between layers, the same at all places of a text.
        output: After the last layer, the same at all places of a text.
    """

    embedding: float = 0.02
    input: float = 0.25
    weight: float = 0.2
    hidden: float = 0.15
    output: float = 0.1

    def scaled(self, factor: float) -> Dropouts:
        """Return all of them times `factor`: more for little data, less for much."""
        return Dropouts(**{name: value * factor for name, value in asdict(self).items()})


# For a classifier, which has far fewer labels than a language model has words: fastai's.
CLASSIFIER = Dropouts(embedding=0.05, input=0.4, weight=0.5, hidden=0.3, output=0.4)


class Activations(NamedTuple):
    """What the LSTM gives: its last layer's outputs, the same after dropout, (batch, length, width), and its state."""

    raw: Tensor
    dropped: Tensor
    state: State


class WeightDropLSTM(nn.LSTM):
    """One LSTM layer whose hidden-to-hidden weights are dropped, once a batch (DropConnect: Wan et al. 2013).

    The dropped weights are handed to torch's fused kernel, so a step costs as much as that of a plain `nn.LSTM`.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, inputs: int, outputs: int, weight_dropout: float) -> None:
        super().__init__(inputs, outputs, batch_first=True)
        self.weight_dropout = weight_dropout

    def forward(  # type: ignore[override]
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return outputs, (batch, length, outputs), and the state after the last place."""
        if state is None:
            zeros = inputs.new_zeros(1, len(inputs), self.hidden_size)
            state = (zeros, zeros)
        dropped = F.dropout(self.weight_hh_l0, self.weight_dropout, self.training)
        weights = [self.weight_ih_l0, dropped, self.bias_ih_l0, self.bias_hh_l0]
        if inputs.is_cuda:
            weights = _in_one_piece(weights)
        result = torch.lstm(inputs, state, weights, True, 1, 0.0, self.training, False, True)
        return result[0], (result[1], result[2])


def _in_one_piece(weights: Sequence[Tensor]) -> list[Tensor]:
    """Lay weights one after the other in memory; cuDNN warns and copies them at every call where they are not."""
    flat = torch.cat([weight.flatten() for weight in weights])
    parts = torch.split(flat, [weight.numel() for weight in weights])
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]


def locked_dropout(inputs: Tensor, probability: float, training: bool) -> Tensor:
    """Drop the same numbers at all places of a text, (batch, length, width).

    Source: Gal & Ghahramani 2015, arXiv:1512.05287.
    """
    if not training or probability == 0:
        return inputs
    mask = inputs.new_empty(len(inputs), 1, inputs.shape[2]).bernoulli_(1 - probability).div_(1 - probability)
    return inputs * mask


class AwdLstm(nn.Module):
    """The encoder: tokens, int64, (batch, length), to outputs at each place, (batch, length, width).

    Args:
        vocabulary: How many tokens there are.
        width: Of the embedding and of the last layer, which must be alike for the weights to be tied.
        hidden: Width of the other layers.
        layers: How many LSTM layers.
        dropouts: The five dropouts.
        pad: The token that fills up a batch.
    """

    def __init__(
        self, vocabulary: int, *, pad: int, width: int = 400, hidden: int = 1152, layers: int = 3, dropouts: Dropouts
    ) -> None:
        super().__init__()
        self.config = {
            "vocabulary": vocabulary, "pad": pad, "width": width, "hidden": hidden, "layers": layers,
            "dropouts": asdict(dropouts),
        }  # fmt: skip
        self.dropouts, self.width, self.pad = dropouts, width, pad
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=pad)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        sizes = [width, *[hidden] * (layers - 1), width]
        self.layers = nn.ModuleList(
            WeightDropLSTM(sizes[number], sizes[number + 1], dropouts.weight) for number in range(layers)
        )

    def forward(self, tokens: Tensor, state: State | None = None) -> Activations:
        """Read on from `state`, or from the beginning of a text."""
        return self.from_vectors(self.embed(tokens), state)

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the tokens' vectors, (batch, length, width); while training some words have none."""
        vectors: Tensor = self.embedding(tokens)
        if not self.training or self.dropouts.embedding == 0:
            return vectors
        keep = 1 - self.dropouts.embedding
        words = vectors.new_empty(self.embedding.num_embeddings).bernoulli_(keep).div_(keep)
        return vectors * words[tokens][..., None]

    def from_vectors(self, vectors: Tensor, state: State | None = None) -> Activations:
        """Read vectors instead of tokens."""
        raw = dropped = locked_dropout(vectors, self.dropouts.input, self.training)
        after: State = []
        for number, layer in enumerate(self.layers):
            raw, last = layer(dropped, None if state is None else state[number])
            after.append(last)
            final = number == len(self.layers) - 1
            probability = self.dropouts.output if final else self.dropouts.hidden
            dropped = locked_dropout(raw, probability, self.training)
        return Activations(raw, dropped, after)

    def groups(self, prefix: str) -> list[list[str]]:
        """Return the names of all parameters below `prefix`: the embedding, then each layer."""
        rows = [self.embedding, *self.layers]
        stems = ["embedding", *(f"layers.{number}" for number in range(len(self.layers)))]
        return [
            [f"{prefix}{stem}.{name}" for name, _ in row.named_parameters()]
            for stem, row in zip(stems, rows, strict=True)
        ]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AwdLstm:
        """Build the encoder that its `config` describes, with random weights."""
        return cls(**{**config, "dropouts": Dropouts(**config["dropouts"])})


class ConcatPooling(nn.Module):
    """The classifier's body: last, highest and mean output of the LSTM over the real tokens, (batch, 3 * width)."""

    def __init__(self, encoder: AwdLstm) -> None:
        super().__init__()
        self.encoder = encoder
        self.pad = encoder.pad

    def forward(self, tokens: Tensor) -> Tensor:
        """Return one vector a text; padding stands at the end, so the LSTM reads it last and it changes nothing."""
        outputs = self.encoder(tokens).dropped.float()
        there = (tokens != self.pad)[..., None]
        counts = there.sum(1).clamp_min(1)
        last = outputs[torch.arange(len(tokens)), counts[:, 0] - 1]
        highest = outputs.masked_fill(~there, -torch.inf).amax(1)
        highest = highest.masked_fill(highest.isinf(), 0.0)
        return torch.cat([last, highest, (outputs * there).sum(1) / counts], 1)


class AwdLstmClassifier(GroupedModel):
    """The encoder of a language model that gives one vector a text, and a head on it.

    Args:
        encoder: The AWD-LSTM.
        outputs: Numbers the head gives.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        dropout: Before the last layer; half of it before the hidden one.
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
        """The embedding, each LSTM layer, and the head."""
        groups = self.body.encoder.groups("body.encoder.")  # type: ignore[operator, union-attr]
        return [*groups, [f"head.{name}" for name, _ in self.head.named_parameters()]]

    def to_config(self) -> dict[str, Any]:
        """Everything but the weights."""
        return dict(self.config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AwdLstmClassifier:
        """Build the model that `to_config` described, with random weights."""
        parts = {key: value for key, value in config.items() if key not in ("kind", "encoder")}
        return cls(AwdLstm.from_config(config["encoder"]), **parts)
