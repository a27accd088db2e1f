"""Hugging Face transformer encoders: loaded from a folder or built from a config, and their properties."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import transformers
from torch import nn
from transformers import AutoConfig, AutoModel, PretrainedConfig

from onecycle.errors import ModelError
from onecycle.text.architectures import allowed_options, check_architecture
from onecycle.train.layer_groups import GroupedModel

# Of an encoder that has no limit.
NO_LIMIT = 2**31
_LOCAL = {"local_files_only": True, "trust_remote_code": False}


class TransformerModel(GroupedModel):
    """A model whose body has a transformer as its `encoder`."""

    config: dict[str, Any]

    def layer_groups(self) -> list[list[str]]:
        """Return the names of all parameters: embeddings, lower half of the blocks, upper half, and head."""
        groups = [[f"body.encoder.{name}" for name in group] for group in encoder_groups(self.body.encoder)]  # type: ignore[arg-type]
        return [*groups, [f"head.{name}" for name, _ in self.head.named_parameters()]]

    def checkpoint_activations(self) -> None:
        checkpoint_encoder(self.body.encoder)  # type: ignore[arg-type]

    def to_config(self) -> dict[str, Any]:
        return dict(self.config)


def load_encoder(folder: str | Path) -> nn.Module:
    """Return the encoder in a folder, from its `config.json` and `model.safetensors`; no code and no pickle is loaded.

    Raises:
        ModelError: It cannot be read, or is of a kind that is not among `ARCHITECTURES`.
    """
    try:
        with silence_transformers():
            options = json.loads((Path(folder) / "config.json").read_bytes())
            check_architecture(options.get("model_type"))
            config = AutoConfig.from_pretrained(folder, **_LOCAL)
            encoder = AutoModel.from_pretrained(
                folder, config=_without_attention_dropout(config), use_safetensors=True, **_LOCAL
            )
    except ModelError:
        raise
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(
            f"No encoder can be read from {folder}: {str(error).strip().splitlines()[0]}",
            "a folder with the config.json and model.safetensors of a transformer encoder.",
            "check the folder, or pass the name of another encoder.",
        ) from error
    return _without_pooler(encoder)


def build_encoder(config: dict[str, Any]) -> nn.Module:
    """Return an encoder with random weights from its config, which may come from anyone: see `architectures`.

    Raises:
        ModelError: It is of a kind that is not among `ARCHITECTURES`.
    Example:
        >>> encoder = build_encoder({
        ...     "model_type": "bert", "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2,
        ...     "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 20})
        >>> max_tokens(encoder)
        20
    """
    known = _without_attention_dropout(AutoConfig.for_model(**allowed_options(config)))
    return _without_pooler(AutoModel.from_config(known, trust_remote_code=False))


def encoder_config(encoder: nn.Module) -> dict[str, Any]:
    """Return an encoder's config as JSON, without the path that it was loaded from."""
    config = cast(PretrainedConfig, encoder.config).to_dict()
    return {key: value for key, value in config.items() if key not in ("_name_or_path", "auto_map")}


def _without_attention_dropout(config: PretrainedConfig) -> PretrainedConfig:
    """Return the config without dropout in attention, which prevents the use of fused kernels.

    On a CPU, forward and backward passes of MiniLM take about 0.6 of the time without it.
    """
    for name in ("attention_probs_dropout_prob", "attention_dropout"):
        if hasattr(config, name):
            setattr(config, name, 0.0)
    return config


def _without_pooler(encoder: Any) -> nn.Module:
    # BERT has a layer on the first token's vector. It is not used, and its weights would never be trained.
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return cast(nn.Module, encoder)


def max_tokens(encoder: nn.Module) -> int:
    """Return how many tokens an encoder can read at once; `NO_LIMIT` if it has no limit."""
    positions = getattr(encoder.config, "max_position_embeddings", None)
    if positions is None or positions < 0:
        return NO_LIMIT
    for module in encoder.modules():
        # RoBERTa and similar models count positions from the padding id plus one.
        if isinstance(module, nn.Embedding) and module.num_embeddings == positions and module.padding_idx is not None:
            return int(positions) - module.padding_idx - 1
    return int(positions)


def encoder_groups(encoder: nn.Module) -> list[list[str]]:
    """Return the names of an encoder's parameters: before its blocks, lower half of the blocks, and upper half.

    Parameters after the blocks are in the last group.

    Raises:
        ModelError: The encoder has no list of blocks.
    """
    lists = [(name, module) for name, module in encoder.named_modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise ModelError(
            f"A {type(encoder).__name__} has no list of blocks.",
            "a transformer encoder.",
            "pass the name of another encoder.",
        )
    prefix, blocks = max(lists, key=lambda pair: sum(parameter.numel() for parameter in pair[1].parameters()))
    lower = tuple(f"{prefix}.{number}." for number in range(len(blocks) // 2))
    groups: list[list[str]] = [[], [], []]
    group = 0
    for name, _ in encoder.named_parameters():
        if name.startswith(f"{prefix}."):
            group = 1 if name.startswith(lower) else 2
        groups[group].append(name)
    return [group for group in groups if group]


def checkpoint_encoder(encoder: nn.Module) -> None:
    """Make a transformer recompute its activations in the backward pass, which saves memory.

    Raises:
        ModelError: The transformer does not support it.
    """
    try:
        enable = getattr(encoder, "activation_checkpointing_enable", None) or encoder.gradient_checkpointing_enable
        enable({"use_reentrant": False})  # type: ignore[operator]
    except ValueError as error:
        raise ModelError(
            f"A {type(encoder).__name__} cannot recompute its activations.",
            "an encoder with gradient checkpointing.",
            "leave checkpoint_activations out; accumulate= and to_bf16() save memory too.",
        ) from error


@contextmanager
def silence_transformers() -> Iterator[None]:
    """Silence the reports of transformers on missing and unexpected weights, and its progress bars."""
    logging: Any = transformers.utils.logging
    level, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if has_bars:
            logging.enable_progress_bar()
