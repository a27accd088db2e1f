"""Builds the models of bundles from their configs; whoever only predicts imports nothing of training here."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from onecycle.errors import OnecycleError
from onecycle.registry import lookup

CALIBRATION = "/calibration"
"""The tensors of the calibration begin with this: no module has a slash in its name."""


def build_model(config: dict[str, Any], *, hint_module: str | None = None) -> nn.Module:
    """Return the model that `model_to_config` described, with random weights."""
    cls = lookup("model", config["kind"], hint_module=hint_module)
    if hasattr(cls, "from_config"):
        model: nn.Module = cls.from_config(config)
        return model
    made: nn.Module = cls(**{name: value for name, value in config.items() if name != "kind"})
    return made


def build_without_memory(config: dict[str, Any], *, hint_module: str | None = None) -> nn.Module:
    """Return what `build_model` does, its tensors without memory where its constructor allows that."""
    try:
        with torch.device("meta"):
            return build_model(config, hint_module=hint_module)
    except OnecycleError:
        raise
    except Exception:  # a constructor that computes with its weights
        return build_model(config, hint_module=hint_module)
