"""Transformer encoders of Hugging Face: read from a folder or built from a config, and what must be known of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import transformers
from torch import nn
from transformers import AutoConfig, AutoModel, PretrainedConfig

from onecycle.errors import ModelError
from onecycle.train.groups import GroupedModel


class TransformerModel(GroupedModel):
    """A model whose body holds a transformer as `encoder`."""

    config: dict[str, Any]

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
