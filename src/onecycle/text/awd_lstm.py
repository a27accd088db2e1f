"""AWD-LSTM: an LSTM with five kinds of dropout.

Source: Merity et al. 2017, arXiv:1708.02182.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from onecycle.data.config import check_fields

# (hidden state, cell state) of each layer, each (batch, size): tuples, so that rows of it can be taken.
State = tuple[tuple[Tensor, Tensor], ...]


@dataclass(frozen=True)
class Dropouts:
    """The five dropouts of an AWD-LSTM, each a probability.

    Attributes:
        embedding: Of a word, at all its positions in the batch.
        input: Of an element of the word vectors, the same at all positions of a text.
        weight: Of a weight from hidden state to hidden state, the same at all positions.
        hidden: Of an element between layers, the same at all positions of a text.
        output: Of an element after the last layer, the same at all positions of a text.

    Example:
        >>> Dropouts(0.1, 0.2, 0.3, 0.4, 0.5).scaled(0.5)
        Dropouts(embedding=0.05, input=0.1, weight=0.15, hidden=0.2, output=0.25)
    """

    embedding: float = 0.02
    input: float = 0.25
    weight: float = 0.2
    hidden: float = 0.15
    output: float = 0.1

    def scaled(self, factor: float) -> Dropouts:
        """Return all probabilities times `factor`: above 1 for little data, below 1 for much."""
        return Dropouts(**{name: value * factor for name, value in asdict(self).items()})


class LSTMOutput(NamedTuple):
    """Outputs of an `AwdLstm`.

    Attributes:
        raw: Outputs of the last layer, (batch, length, width).
        dropped: The same after dropout.
        state: The state after the last position.
    """

    raw: Tensor
    dropped: Tensor
    state: State


class WeightDropLSTM(nn.LSTM):
    """One LSTM layer with dropout on its hidden-to-hidden weights, drawn once per batch.

    The dropped weights are passed to torch's fused kernel, so that a step is as fast as that of `nn.LSTM`.

    Args:
        inputs: Size of the inputs.
        outputs: Size of the outputs.
        weight_dropout: Probability of dropping a weight.
    Source: Wan et al. 2013 (DropConnect).

    Example:
        >>> outputs, state = WeightDropLSTM(4, 6, 0.5)(torch.zeros(2, 3, 4))
        >>> outputs.shape
        torch.Size([2, 3, 6])
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
        """Return outputs, (batch, length, outputs), and the state after the last position, each (1, batch, outputs)."""
        if state is None:
            zeros = inputs.new_zeros(1, len(inputs), self.hidden_size)
            state = (zeros, zeros)
        # Under autocast a state may come from a layer of another type.
        state = (state[0].to(inputs.dtype), state[1].to(inputs.dtype))
        dropped = F.dropout(self.weight_hh_l0, self.weight_dropout, self.training)
        weights = [self.weight_ih_l0, dropped, self.bias_ih_l0, self.bias_hh_l0]
        if inputs.is_cuda:
            weights = _make_contiguous(weights)
        result = torch.lstm(inputs, state, weights, True, 1, 0.0, self.training, False, True)
        return result[0], (result[1], result[2])


def _make_contiguous(weights: Sequence[Tensor]) -> list[Tensor]:
    """Return weights that follow one another in memory; otherwise cuDNN warns, and copies them at every call."""
    flat = torch.cat([weight.flatten() for weight in weights])
    parts = torch.split(flat, [weight.numel() for weight in weights])
    return [part.view_as(weight) for part, weight in zip(parts, weights, strict=True)]


def locked_dropout(inputs: Tensor, probability: float, training: bool) -> Tensor:
    """Drop the same elements at all positions of a text, (batch, length, width).

    Source: Gal & Ghahramani 2015, arXiv:1512.05287.

    Example:
        >>> dropped = locked_dropout(torch.ones(2, 3, 4), 0.5, training=True)
        >>> torch.equal(dropped[:, 0], dropped[:, 1])
        True
    """
    if not training or probability == 0:
        return inputs
    mask = inputs.new_empty(len(inputs), 1, inputs.shape[2]).bernoulli_(1 - probability).div_(1 - probability)
    return inputs * mask


class AwdLstm(nn.Module):
    """The encoder: token ids, int64, (batch, length), to outputs at each position, (batch, length, width).

    Args:
        vocabulary: Number of token ids.
        pad: Id of the padding token.
        width: Size of the embedding and of the last layer, which are equal so that their weights can be tied.
        hidden: Size of the other layers.
        layers: Number of LSTM layers.
        dropouts: The five dropouts.

    Example:
        >>> encoder = AwdLstm(100, pad=0, width=4, hidden=6, layers=2, dropouts=Dropouts())
        >>> encoder(torch.ones(2, 3, dtype=torch.int64)).raw.shape
        torch.Size([2, 3, 4])
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
        self._output_sizes = [*[hidden] * (layers - 1), width]
        input_sizes = [width, *self._output_sizes[:-1]]
        self.layers = nn.ModuleList(
            WeightDropLSTM(inputs, outputs, dropouts.weight)
            for inputs, outputs in zip(input_sizes, self._output_sizes, strict=True)
        )

    def forward(self, token_ids: Tensor, state: State | None = None) -> LSTMOutput:
        """Read tokens, starting from `state`; None is a state of zeros."""
        return self.forward_vectors(self.embed(token_ids), state)

    def embed(self, token_ids: Tensor) -> Tensor:
        """Return the tokens' vectors, (batch, length, width); while training those of some words are zeros."""
        vectors: Tensor = self.embedding(token_ids)
        if not self.training or self.dropouts.embedding == 0:
            return vectors
        keep = 1 - self.dropouts.embedding
        words = vectors.new_empty(self.embedding.num_embeddings).bernoulli_(keep).div_(keep)
        return vectors * words[token_ids][..., None]

    def forward_vectors(self, vectors: Tensor, state: State | None = None) -> LSTMOutput:
        """Read vectors, (batch, length, width), instead of tokens."""
        raw = dropped = locked_dropout(vectors, self.dropouts.input, self.training)
        after: list[tuple[Tensor, Tensor]] = []
        for number, layer in enumerate(self.layers):
            # torch's own states have the batch in the second dimension.
            before = None if state is None else (state[number][0][None], state[number][1][None])
            raw, (hidden, cell) = layer(dropped, before)
            after.append((hidden[0], cell[0]))
            is_last = number == len(self.layers) - 1
            probability = self.dropouts.output if is_last else self.dropouts.hidden
            dropped = locked_dropout(raw, probability, self.training)
        return LSTMOutput(raw, dropped, tuple(after))

    def initial_state(self, batch_size: int) -> State:
        """Return a state of zeros on the device of the weights."""
        weight = self.embedding.weight
        return tuple(
            (weight.new_zeros(batch_size, size), weight.new_zeros(batch_size, size)) for size in self._output_sizes
        )

    def layer_groups(self, prefix: str) -> list[list[str]]:
        """Return the names of all parameters, with `prefix`: those of the embedding, then those of each layer."""
        modules = {"embedding": self.embedding, **{f"layers.{n}": layer for n, layer in enumerate(self.layers)}}
        return [
            [f"{prefix}{name}.{parameter}" for parameter, _ in module.named_parameters()]
            for name, module in modules.items()
        ]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AwdLstm:
        """Return an encoder with random weights as its `config` describes it."""
        dropouts = Dropouts(**config["dropouts"])
        check_fields(dropouts)
        return cls(**{**config, "dropouts": dropouts})
