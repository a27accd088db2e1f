"""Checkpoints: all that is needed to go on training."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onecycle.bundle import read_bundle, write_bundle
from onecycle.data.categories import MultiCategory
from onecycle.data.target import same_label_configs
from onecycle.errors import ModelError, some
from onecycle.train.ema import ExponentialMovingAverage
from onecycle.train.history import EpochRecord, History
from onecycle.train.layer_groups import parameter_groups
from onecycle.train.schedule import schedule_from_config, schedule_to_config
from onecycle.train.state import Fit, TrainState


def save_checkpoint(state: TrainState, path: str | Path) -> Path:
    """Save weights, history, and during a fit its optimizer and position.

    What is random needs no saving: it depends on the seed and the number of the epoch alone.
    """
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    config: dict[str, Any] = {
        "kind": "checkpoint",
        "onecycle": importlib.metadata.version("onecycle"),
        "classes": list(state.target.classes),
        "target": state.target.to_config(),
        "seed": state.seed,
        "trainable": [name for name, parameter in state.model.named_parameters() if parameter.requires_grad],
        "frozen_lr": state.frozen_lr,
        "head_steps": state.head_steps,
        "history": state.history.to_config(),
        "weights_record": None if state.weights_record is None else asdict(state.weights_record),
        "precision": {"mode": state.precision.mode, **state.scaler.state_dict()},
        "fit": None if state.fit is None else _fit_to_config(state.fit),
    }
    return write_bundle(path, tensors | (_fit_tensors(state.fit) if state.fit else {}), config)


def load_checkpoint(state: TrainState, path: str | Path) -> None:
    """Bring back what `save_checkpoint` saved, into the state of a learner made in the same way.

    Raises:
        BundleError: The file is damaged or not a checkpoint.
        ModelError: It is of another model or other classes.
    """
    tensors, config = read_bundle(path, "checkpoint")
    if not same_label_configs(config["target"], state.target.to_config()):
        raise ModelError(
            f"{path} has other classes: {config['target']['kind']} of {some(config['classes'])}.",
            f"{state.target.kind} of {some(state.target.classes)}.",
            "load another.",
        )
    weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    _check_weights(state, weights, path)
    state.load_weights(weights)
    for name, parameter in state.model.named_parameters():
        parameter.requires_grad_(name in set(config["trainable"]))
    if isinstance(state.target, MultiCategory):
        state.data = state.data.with_target(replace(state.target, threshold=config["target"]["threshold"]))
    _load_progress(state, config)
    state.fit = None if config["fit"] is None else _fit_from(state, config["fit"], tensors)


def _check_weights(state: TrainState, weights: Mapping[str, Tensor], path: str | Path) -> None:
    own = state.model.state_dict()
    other = sorted(weights.keys() ^ own.keys()) or [n for n in own if own[n].shape != weights[n].shape]
    if other:
        raise ModelError(
            f"{path} is of another model: {len(other)} tensors differ, such as {other[0]}.",
            "a checkpoint of the same backbone and head.",
            "make the learner as it was made when it was saved.",
        )


def _load_progress(state: TrainState, config: dict[str, Any]) -> None:
    """Load all but the tensors; checkpoints of the first schema say `frozen_rate`, and lack what came later."""
    state.history = History.from_config(config["history"])
    state.frozen_lr = config["frozen_lr"] if "frozen_lr" in config else config["frozen_rate"]
    state.seed, state.cached_features = config["seed"], None
    state.head_steps = config.get("head_steps", 0)
    record = config.get("weights_record")
    state.weights_record = EpochRecord(**record) if record else None
    if config["precision"]["mode"] == state.precision.mode:
        state.scaler.load_state_dict(config["precision"])


def _fit_to_config(fit: Fit) -> dict[str, Any]:
    return {
        "epochs": fit.epochs, "lrs": fit.lrs, "schedule": schedule_to_config(fit.schedule), "passes": fit.passes,
        "done": fit.done, "copies": fit.copies, "average_steps": fit.ema.steps if fit.ema else None,
    }  # fmt: skip


def _fit_tensors(fit: Fit) -> dict[str, Tensor]:
    rows = fit.optimizer.state_dict()["state"]
    tensors = {f"optimizer.{i}.{key}": torch.as_tensor(value) for i, row in rows.items() for key, value in row.items()}
    averages = fit.ema.averages if fit.ema else []
    return tensors | {f"average.{number}": tensor for number, tensor in enumerate(averages)}


def _fit_from(state: TrainState, config: dict[str, Any], tensors: Mapping[str, Tensor]) -> Fit:
    lrs = config["lrs"] if "lrs" in config else config["rates"]
    copies = config["copies"] if "copies" in config else config["views"]
    schedule = schedule_from_config(config["schedule"])
    fit = Fit(config["epochs"], lrs, schedule, config["passes"], copies, config["done"])
    fit.optimizer = state.options.optimizer(parameter_groups(state.model, fit.lrs, state.options.weight_decay))
    fit.optimizer.load_state_dict({**fit.optimizer.state_dict(), "state": _optimizer_rows(fit.optimizer, tensors)})
    if config["average_steps"] is not None and state.options.ema:
        fit.ema = ExponentialMovingAverage(state.model, state.options.ema)
        fit.ema.steps = config["average_steps"]
        for place, average in enumerate(fit.ema.averages):
            average.copy_(tensors[f"average.{place}"])
    return fit


def _optimizer_rows(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """Return the optimizer's state of each parameter, by the parameter's number."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    rows: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".", 2)
            parameter = parameters[int(number)].detach()
            if tensor.shape == parameter.shape:  # fused optimizers expect the parameter's memory format
                tensor = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
            rows.setdefault(int(number), {})[key] = tensor
    return rows
