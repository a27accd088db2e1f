"""Keeping a learner: checkpoints to go on from, and bundles to use."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from onecycle.data.target import MultiCategory, same_answers
from onecycle.errors import ModelError, some
from onecycle.train import groups
from onecycle.train.average import WeightAverage
from onecycle.train.bundle import read_bundle, write_bundle
from onecycle.train.fit import Fit
from onecycle.train.history import History
from onecycle.train.schedule import schedule_from_config, schedule_to_config

if TYPE_CHECKING:
    from onecycle.train.learner import Learner


def save_checkpoint(learner: Learner, path: str | Path) -> Path:
    """Save all that is needed to go on training: weights, history, and during a fit its optimizer and position.

    What is random needs no saving: it depends on the seed and the number of the epoch alone.
    """
    fit = learner.fit_under_way
    tensors = {f"model.{name}": tensor for name, tensor in learner.model.state_dict().items()}
    config: dict[str, Any] = {
        "kind": "checkpoint",
        "onecycle": importlib.metadata.version("onecycle"),
        "classes": list(learner.target.classes),
        "target": learner.target.to_config(),
        "seed": learner.seed,
        "trainable": [name for name, parameter in learner.model.named_parameters() if parameter.requires_grad],
        "frozen_rate": learner.frozen_rate,
        "history": learner.history.to_config(),
        "precision": learner.precision.state(),
        "fit": None,
    }
    if fit is not None:
        state = fit.optimizer.state_dict()["state"]
        tensors |= {f"optimizer.{i}.{key}": torch.as_tensor(v) for i, row in state.items() for key, v in row.items()}
        averages = fit.average.averages if fit.average else []
        tensors |= {f"average.{number}": tensor for number, tensor in enumerate(averages)}
        config["fit"] = {
            "epochs": fit.epochs, "rates": fit.rates, "schedule": schedule_to_config(fit.schedule),
            "passes": fit.passes, "done": fit.done, "views": fit.views,
            "average_steps": fit.average.steps if fit.average else None,
        }  # fmt: skip
    return write_bundle(path, tensors, config)


def load_checkpoint(learner: Learner, path: str | Path) -> None:
    """Bring back what `save` saved, into a learner made in the same way. `resume()` goes on with a fit under way.

    Raises:
        BundleError: It cannot be trusted.
        ModelError: It is of another model or other classes.
    """
    tensors, config = read_bundle(path, "checkpoint")
    if not same_answers(config["target"], learner.target.to_config()):
        raise ModelError(
            f"{path} has other classes: {config['target']['kind']} of {some(config['classes'])}.",
            f"{learner.target.kind} of {some(learner.target.classes)}.",
            "load another.",
        )
    weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    own = learner.model.state_dict()
    other = sorted(weights.keys() ^ own.keys()) or [n for n in own if own[n].shape != weights[n].shape]
    if other:
        raise ModelError(
            f"{path} is of another model: {len(other)} tensors differ, such as {other[0]}.",
            "a checkpoint of the same backbone and head.",
            "make the learner as it was made when it was saved.",
        )
    learner.load_weights(weights)
    for name, parameter in learner.model.named_parameters():
        parameter.requires_grad_(name in set(config["trainable"]))
    if isinstance(learner.target, MultiCategory):
        learner.target = replace(learner.target, threshold=config["target"]["threshold"])
    learner.history, learner.frozen_rate = History.from_config(config["history"]), config["frozen_rate"]
    learner.seed, learner.kept, learner.fit_under_way = config["seed"], None, None
    learner.precision.load(config["precision"])
    if config["fit"] is not None:
        learner.fit_under_way = _fit_from(learner, config["fit"], tensors)


def export_model(learner: Learner, path: str | Path) -> Path:
    """Write the model for use: `onecycle.load_model(path).predict(...)` needs neither the data nor this code.

    Args:
        path: A name with a suffix, such as planet.onecycle, becomes one file; a name without one a folder.
    """
    if not isinstance(learner.model, groups.GroupedModel):
        raise ModelError(
            f"A {type(learner.model).__name__} does not say how it is built, so it cannot be exported.",
            "a GroupedModel, such as vision_learner makes.",
            "derive the model from onecycle.train.groups.GroupedModel, or use save().",
        )
    config = {
        "kind": "model",
        "onecycle": importlib.metadata.version("onecycle"),
        "model": learner.model.to_config(),
        "modality": learner.data.modality.to_config(),
        "target": learner.target.to_config(),
        "packages": {name: importlib.metadata.version(name) for name in ("torch", "timm", "safetensors")},
        "card": training_card(learner),
    }
    return write_bundle(path, learner.model.state_dict(), config)


def training_card(learner: Learner) -> dict[str, Any]:
    """Return what a user of the model should know of its training, as JSON."""
    last = learner.history[-1] if len(learner.history) else None
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.system()} {platform.machine()}, {learner.accelerator.device.type}",
        "training_items": len(learner.data.train.dataset),
        "validation_items": len(learner.data.valid.dataset),
        "epochs": len(learner.history),
        "seconds": round(sum(record.seconds for record in learner.history), 1),
        "seed": learner.seed,
        "valid_loss": last.valid_loss if last else None,
        "metrics": last.metrics if last else {},
        "notes": learner.history.notes,
    }


def _fit_from(learner: Learner, config: dict[str, Any], tensors: dict[str, Tensor]) -> Fit:
    fit = Fit(
        config["epochs"],
        config["rates"],
        schedule_from_config(config["schedule"]),
        config["passes"],
        config["done"],
        config["views"],
    )
    fit.optimizer = learner.optimizer(groups.parameter_groups(learner.model, fit.rates, learner.weight_decay))
    parameters = [parameter for group in fit.optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".", 2)
            parameter = parameters[int(number)].detach()
            if tensor.shape == parameter.shape:  # fused optimizers take it to lie in memory as the parameter does
                tensor = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
            state.setdefault(int(number), {})[key] = tensor
    fit.optimizer.load_state_dict({**fit.optimizer.state_dict(), "state": state})
    if config["average_steps"] is not None and learner.ema:
        fit.average = WeightAverage(learner.model, learner.ema)
        fit.average.steps = config["average_steps"]
        for place, average in enumerate(fit.average.averages):
            average.copy_(tensors[f"average.{place}"])
    return fit
