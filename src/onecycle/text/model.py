"""A transformer encoder, pooled to one vector for each text, and a head on it."""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from onecycle.errors import ModelError, suggest
from onecycle.registry import register
from onecycle.text.transformer import TransformerModel, build_encoder, encoder_config, max_tokens
from onecycle.train.heads import make_head
from onecycle.train.layer_groups import FineTuning

Pooling = Literal["mean", "first", "max", "mean_max"]
POOLINGS: tuple[str, ...] = ("mean", "first", "max", "mean_max")
MAX_WINDOW = 512


class PooledEncoder(nn.Module):
    """The body: token ids, int64, (batch, length), to a vector for each text, (batch, width).

    A text longer than `window` is read in windows; its vector is the mean of theirs, weighted by their tokens.

    Args:
        encoder: A Hugging Face transformer with `last_hidden_state` in its outputs.
        pad: Id of the padding token, which is ignored.
        pooling: "mean" or "max" over the tokens, both ("mean_max"), or the vector of the "first" token.
        window: The most tokens that are read at once.
    """

    def __init__(self, encoder: nn.Module, pad: int, pooling: Pooling, window: int) -> None:
        super().__init__()
        self.encoder, self.pad, self.pooling, self.window = encoder, pad, pooling, window

    def forward(self, token_ids: Tensor) -> Tensor:
        """Return a vector for each text, (batch, width)."""
        exporting = torch.compiler.is_exporting()
        if not exporting and token_ids.shape[1] <= self.window:
            return self._read(token_ids)
        texts, length = token_ids.shape
        width: Any = torch.sym_min(length, self.window)
        windows = (length + width - 1) // width
        split = nn.functional.pad(token_ids, (0, windows * width - length), value=self.pad).view(-1, width)
        counts = (split != self.pad).sum(1)
        vectors = self._read(split) if exporting else self._read_some(split, counts, windows)
        sums = (vectors * counts[:, None]).view(texts, windows, vectors.shape[1]).sum(1)
        return sums / counts.view(texts, windows).sum(1, keepdim=True).clamp_min(1)

    def _read_some(self, split: Tensor, counts: Tensor, windows: int) -> Tensor:
        """Return the vectors of all windows; of padding alone none are read, except the first window of each text.

        An exported program reads them, too: what it computes must not depend on what is in a batch.
        """
        is_read = counts > 0
        is_read[::windows] = True
        rows = is_read.nonzero()[:, 0]
        vectors = self._read(split[rows])
        return vectors.new_zeros(len(split), vectors.shape[1]).index_copy(0, rows, vectors)

    def _read(self, token_ids: Tensor) -> Tensor:
        is_token = token_ids != self.pad
        vectors = self.encoder(input_ids=token_ids, attention_mask=is_token.long()).last_hidden_state
        return pool(vectors, is_token, self.pooling)


def pool(vectors: Tensor, is_token: Tensor, pooling: Pooling) -> Tensor:
    """Return one float32 vector for each text; zeros for a text without tokens.

    Args:
        vectors: Of any float type, (batch, length, width).
        is_token: False for padding, bool, (batch, length).
        pooling: As for `PooledEncoder`.

    Example:
        >>> pool(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]]), "mean_max")
        tensor([[2., 3.]])
    """
    if pooling == "first":
        return vectors[:, 0].float() * is_token[:, :1]
    is_token = is_token[..., None]
    parts = []
    if pooling in ("mean", "mean_max"):
        parts.append((vectors.float() * is_token).sum(1) / is_token.sum(1).clamp_min(1))
    if pooling in ("max", "mean_max"):
        highest = vectors.float().masked_fill(~is_token, -torch.inf).amax(1)
        parts.append(highest.masked_fill(highest.isinf(), 0.0))
    return torch.cat(parts, 1)


@register("model", "text_model")
class TextModel(TransformerModel):
    """A transformer encoder, pooled to one vector for each text, and a head on it.

    Args:
        encoder: A transformer from `load_encoder` or `build_encoder`.
        outputs: Number of outputs.
        pad: Id of the padding token.
        pooling: How the tokens' vectors become one, see `PooledEncoder`.
        window: The most tokens that are read at once; None takes what the encoder can read, at most 512.
        hidden: Size of the head's hidden layer; 0 for a linear head.
        dropout: Before the last layer; half of it before the hidden one.

    Raises:
        ModelError: There is no such pooling, or the window is longer than the encoder can read.

    Example:
        >>> encoder = build_encoder({
        ...     "model_type": "bert", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2,
        ...     "num_attention_heads": 2, "intermediate_size": 24})
        >>> TextModel(encoder, outputs=3, pad=0)(torch.ones(2, 5, dtype=torch.int64)).shape
        torch.Size([2, 3])
    """

    # No frozen epochs, since the features of training and validation texts take two forward passes; the lower half of
    # the blocks stays frozen, whose training takes half as much time again. The rates of embeddings, lower half, upper
    # half and head are 1.6e-5, 8e-5, 4e-4 and 2e-3.
    fine_tuning = FineTuning(epochs=2, frozen_epochs=0, freeze_to=2, default_lr=slice(1.6e-5, 2e-3))

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
        window = _check_window(encoder, window)
        if pooling not in POOLINGS:
            fix = "leave it out." + suggest(str(pooling), POOLINGS)
            raise ModelError(f"pooling={pooling!r}.", f"one of: {', '.join(POOLINGS)}.", fix)
        self.config = {
            "kind": "text_model", "encoder": encoder_config(encoder), "outputs": outputs, "pad": pad,
            "pooling": pooling, "window": window, "hidden": hidden, "dropout": dropout,
        }  # fmt: skip
        self.body = PooledEncoder(encoder, pad, pooling, window)
        width = int(cast(PretrainedConfig, encoder.config).hidden_size) * (2 if pooling == "mean_max" else 1)
        self.head = make_head(width, outputs, hidden, dropout)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextModel:
        arguments = {key: value for key, value in config.items() if key not in ("kind", "encoder")}
        return cls(build_encoder(config["encoder"]), **arguments)


def _check_window(encoder: nn.Module, window: int | None) -> int:
    limit = max_tokens(encoder)
    window = min(limit, MAX_WINDOW) if window is None else window
    if not 1 <= window <= limit:
        raise ModelError(
            f"window={window}, but the encoder reads at most {limit} tokens at once.",
            f"1 to {limit}.",
            "leave window= out; longer texts are read in several windows.",
        )
    return window
