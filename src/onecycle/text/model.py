"""A transformer encoder that gives one vector a text, and a head on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig

from onecycle.errors import ModelError
from onecycle.train.groups import GroupedModel
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


class TextModel(GroupedModel):
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

    def layer_groups(self) -> list[list[str]]:
        """Embeddings, the lower and the upper half of the encoder's blocks, and the head."""
        groups = [[f"body.encoder.{name}" for name in group] for group in encoder_groups(self.body.encoder)]  # type: ignore[arg-type]
        return [*groups, [f"head.{name}" for name, _ in self.head.named_parameters()]]

    def checkpoint_activations(self) -> None:
        """Let the encoder recompute its activations."""
        checkpoint_encoder(self.body.encoder)  # type: ignore[arg-type]

    def to_config(self) -> dict[str, Any]:
        """Everything but the weights."""
        return dict(self.config)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TextModel:
        """Build the model that `to_config` described, with random weights."""
        parts = {key: value for key, value in config.items() if key not in ("kind", "encoder")}
        return cls(random_encoder(config["encoder"]), **parts)


# --- encoders ---


def load_encoder(folder: str | Path) -> nn.Module:
    """Return the encoder that lies in a folder, from its `config.json` and `model.safetensors`; no code, no pickle.

    Raises:
        ModelError: It cannot be read, or is of a kind that transformers does not know.
    """
    try:
        with quiet():
            config = _lean(AutoConfig.from_pretrained(folder, local_files_only=True))
            encoder = AutoModel.from_pretrained(folder, config=config, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"No encoder can be read from {folder}: {str(error).strip().splitlines()[0]}",
            "a folder with the config.json and model.safetensors of a transformer encoder.",
            "check the folder, or name another encoder.",
        ) from error
    return _without_pooler(encoder)


def random_encoder(config: dict[str, Any]) -> nn.Module:
    """Return an encoder with random weights, as its config describes it. Only transformers' own kinds can be built."""
    known = AutoConfig.for_model(**config)
    return _without_pooler(AutoModel.from_config(_lean(known)))


def plain_config(encoder: nn.Module) -> dict[str, Any]:
    """Return an encoder's config as JSON, without the path that it came from."""
    config = cast(PretrainedConfig, encoder.config).to_dict()
    return {key: value for key, value in config.items() if key not in ("_name_or_path", "auto_map")}


def _lean(config: PretrainedConfig) -> PretrainedConfig:
    """Return the config without dropout on attention, which keeps the fused kernels from being used.

    On a CPU, forward and backward passes of MiniLM take about 0.6 of the time without it.
    """
    for name in ("attention_probs_dropout_prob", "attention_dropout"):
        if hasattr(config, name):
            setattr(config, name, 0.0)
    return config


def _without_pooler(encoder: Any) -> nn.Module:
    # BERT's own layer on the first token: we pool ourselves, and weights that never learn are only in the way.
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return cast(nn.Module, encoder)


def most_tokens(encoder: nn.Module) -> int:
    """Return how many tokens an encoder can read at once; a very large number where nothing limits it."""
    positions = getattr(encoder.config, "max_position_embeddings", None)
    if positions is None or positions < 0:
        return 2**31
    for module in encoder.modules():
        # RoBERTa and its like count positions from the padding's number on.
        if isinstance(module, nn.Embedding) and module.num_embeddings == positions and module.padding_idx is not None:
            return int(positions) - module.padding_idx - 1
    return int(positions)


def encoder_groups(encoder: nn.Module) -> list[list[str]]:
    """Return the names of an encoder's parameters: before its blocks, their lower half, their upper with the rest."""
    lists = [(name, module) for name, module in encoder.named_modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise ModelError(
            f"A {type(encoder).__name__} has no list of blocks.", "a transformer encoder.", "name another encoder."
        )
    stem, blocks = max(lists, key=lambda pair: sum(parameter.numel() for parameter in pair[1].parameters()))
    half = len(blocks) // 2
    lower = {f"{stem}.{number}." for number in range(half)}
    groups: list[list[str]] = [[], [], []]
    place = 0
    for name, _ in encoder.named_parameters():
        if name.startswith(f"{stem}."):
            place = 1 if any(name.startswith(prefix) for prefix in lower) else 2
        groups[place].append(name)  # what comes after the blocks goes with the upper ones
    return [group for group in groups if group]


def checkpoint_encoder(encoder: nn.Module) -> None:
    """Let a transformer recompute its activations in the backward pass.

    Raises:
        ModelError: It cannot.
    """
    try:
        switch = getattr(encoder, "activation_checkpointing_enable", None) or encoder.gradient_checkpointing_enable
        switch({"use_reentrant": False})  # type: ignore[operator]
    except ValueError as error:
        raise ModelError(
            f"A {type(encoder).__name__} cannot recompute its activations.",
            "an encoder with gradient checkpointing.",
            "leave checkpoint_activations out; accumulate= and to_bf16() save memory too.",
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from reporting on weights that a model has or lacks, and from drawing progress bars."""
    log: Any = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
