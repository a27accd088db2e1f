"""A transformer encoder that gives one vector a text, and a head on it."""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from onecycle.errors import ModelError
from onecycle.text.transformer import TransformerModel, most_tokens, plain_config, random_encoder
from onecycle.train.heads import make_head

Pooling = Literal["mean", "first", "max", "mean_max"]
POOLINGS: tuple[str, ...] = ("mean", "first", "max", "mean_max")
LONGEST_WINDOW = 512


class PooledEncoder(nn.Module):
    """The body: tokens, int64, (batch, length), to one vector each, (batch, width).

    A text that is longer than `window` is read in windows, and its vector is their mean, weighted by their tokens.

    Args:
        encoder: A transformer of Hugging Face that gives `last_hidden_state`.
        pad: The token that fills up a batch; it is not looked at.
        pooling: "mean" or "max" over the tokens, both ("mean_max"), or the "first" token's vector.
        window: Most tokens that are read at once.
    """

    def __init__(self, encoder: nn.Module, pad: int, pooling: Pooling, window: int) -> None:
        super().__init__()
        self.encoder, self.pad, self.pooling, self.window = encoder, pad, pooling, window

    def forward(self, tokens: Tensor) -> Tensor:
        """Return one vector a text, (batch, width)."""
        if tokens.shape[1] <= self.window:
            return self._read(tokens)
        windows = -(-tokens.shape[1] // self.window)
        padded = nn.functional.pad(tokens, (0, windows * self.window - tokens.shape[1]), value=self.pad)
        folded = padded.view(len(tokens) * windows, self.window)
        counts = (folded != self.pad).sum(1)
        filled = (counts > 0).nonzero()[:, 0]  # windows of padding alone are not read
        vectors = self._read(folded[filled])
        shares = counts[filled, None].to(vectors.dtype)
        sums = vectors.new_zeros(len(tokens), vectors.shape[1]).index_add(0, filled // windows, vectors * shares)
        return sums / counts.view(len(tokens), windows).sum(1, keepdim=True).clamp_min(1)

    def _read(self, tokens: Tensor) -> Tensor:
        there = tokens != self.pad
        states = self.encoder(input_ids=tokens, attention_mask=there.long()).last_hidden_state
        return pooled(states, there, self.pooling)


def pooled(states: Tensor, there: Tensor, pooling: Pooling) -> Tensor:
    """Return one float32 vector a text.

    Args:
        states: Float of any type, (batch, length, width).
        there: Which tokens are no padding, bool, (batch, length).
        pooling: As for `PooledEncoder`.
    """
    if pooling == "first":
        return states[:, 0].float()
    there = there[..., None]
    parts = []
    if pooling in ("mean", "mean_max"):
        # A text without tokens has the vector 0.
        parts.append((states.float() * there).sum(1) / there.sum(1).clamp_min(1))
    if pooling in ("max", "mean_max"):
        highest = states.float().masked_fill(~there, -torch.inf).amax(1)
        parts.append(highest.masked_fill(highest.isinf(), 0.0))
    return torch.cat(parts, 1)


class TextModel(TransformerModel):
    """A transformer encoder that gives one vector a text, and a head on it.

    Args:
        encoder: As `load_encoder` or `random_encoder` give it.
        outputs: Numbers the head gives.
        pad: The token that fills up a batch.
        pooling: How the tokens' vectors become one, see `PooledEncoder`.
        window: Most tokens that are read at once; None takes what the encoder can read, at most 512.
        hidden: Width of the head's hidden layer; 0 for a linear head.
        dropout: Before the last layer; half of it before the hidden one.

    Attributes:
        frozen_epochs: 0, since features of the training and validation texts cost two forward passes.
        first_tuned: The upper half of the blocks; to train the lower half as well costs half as much time again.
        usual_rates: Of embeddings, lower and upper half and head: 1.6e-5, 8e-5, 4e-4 and 2e-3.
    Raises:
        ModelError: There is no such pooling, or the window is longer than the encoder can read.
    """

    frozen_epochs = 0
    first_tuned = 2
    usual_rates = slice(1.6e-5, 2e-3)

    def __init__(
        self,
        encoder: nn.Module,
        outputs: int,
        *,
        pad: int,
        pooling: Pooling = "mean",
        window: int | None = None,
        hidden: int = 0,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ModelError(f"pooling={pooling!r}.", f"one of: {', '.join(POOLINGS)}.", "leave it out.")
        reach = most_tokens(encoder)
        window = min(reach, LONGEST_WINDOW) if window is None else window
        if not 1 <= window <= reach:
            raise ModelError(
                f"window={window}, but the encoder reads at most {reach} tokens at once.",
                f"1 to {reach}.",
                "leave window= out; longer texts are read in several windows.",
            )
        encoder_config = cast(PretrainedConfig, encoder.config)
        self.config = {
            "kind": "text_model", "encoder": plain_config(encoder), "outputs": outputs, "pad": pad,
            "pooling": pooling, "window": window, "hidden": hidden, "dropout": dropout,
        }  # fmt: skip
        self.body = PooledEncoder(encoder, pad, pooling, window)
        width = int(encoder_config.hidden_size) * (2 if pooling == "mean_max" else 1)
        self.head = make_head(width, outputs, hidden, dropout)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextModel:
        """Build the model that `to_config` described, with random weights."""
        parts = {key: value for key, value in config.items() if key not in ("kind", "encoder")}
        return cls(random_encoder(config["encoder"]), **parts)
