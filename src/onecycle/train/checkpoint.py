"""Checkpoints: all that is needed to go on training from the step after which they were saved."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from onecycle.bundle import differing_tensors, read_bundle, write_bundle
from onecycle.data.categories import MultiCategory
from onecycle.data.target import same_label_configs
from onecycle.errors import BundleError, ModelError, some, users_level
from onecycle.inference.calibration import Calibration
from onecycle.inference.carried_state import carried_share, carried_whole
from onecycle.processes import Processes
from onecycle.train.ema import ExponentialMovingAverage
from onecycle.train.events import Callback
from onecycle.train.history import EpochRecord, History
from onecycle.train.joined_model import average_statistics
from onecycle.train.layer_groups import parameter_groups
from onecycle.train.lr_curve import LRFinderResult
from onecycle.train.option_fields import is_whole
from onecycle.train.packing import pack, unpack
from onecycle.train.plan import Earlier, Fit, Plan, Stage
from onecycle.train.schedule import schedule_from_config, schedule_to_config
from onecycle.train.setup import describe_setup, describe_split, differences, with_same_batches
from onecycle.train.sharded import all_whole, copied_as
from onecycle.train.state import TrainState
from onecycle.train.step_losses import StepLosses


def save_checkpoint(state: TrainState, path: str | Path) -> Path:
    """Save weights, history, and during a fit its plan, optimizer and position.

    What is random needs no saving: it depends on the seed and the numbers of the epoch and the step alone. Where
    several processes train together, all of them call this, and the main process writes.
    """
    if state.fit is not None:
        state.fit.losses.settle(state.processes)
        average_statistics(state.model, state.fit.ema, state.processes)
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    config: dict[str, Any] = {
        "kind": "checkpoint",
        "onecycle": importlib.metadata.version("onecycle"),
        "classes": list(state.target.classes),
        "target": state.target.to_config(),
        "seed": state.seed,
        "processes": state.processes.world,
        "setup": describe_setup(state),
        "split": describe_split(state),
        "trainable": [name for name, parameter in state.model.named_parameters() if parameter.requires_grad],
        "frozen_lr": state.frozen_lr,
        "head_steps": state.head_steps,
        "num_microbatches": state.num_microbatches,
        "history": pack(state.history.state_dict(), "history", tensors),
        "weights_record": None if state.weights_record is None else asdict(state.weights_record),
        "precision": {"mode": state.precision.mode, **state.scaler.state_dict()},
        "lr_finder_results": [
            pack(_result_state(result), f"lr_finder_results.{place}", tensors)
            for place, result in enumerate(state.lr_finder_results)
        ],
        "callbacks": _callback_states(state.callbacks, tensors),
        "fit": None if state.fit is None else _fit_state(state.fit, state.processes, tensors),
        "plan": None if state.plan is None else _plan_state(state.plan),
        "calibration": None if state.calibration is None
        else pack(state.calibration.state_dict(), "calibration", tensors),
    }  # fmt: skip
    whole = all_whole(tensors, keep=state.processes.is_main)
    return state.processes.decide(lambda: write_bundle(path, whole, config))


def load_checkpoint(
    state: TrainState, path: str | Path, *, allow_other_split: bool = False, exact: bool = False
) -> None:
    """Bring back what `save_checkpoint` saved, into the state of a learner made in the same way.

    Everything is read and checked before anything is replaced.

    Args:
        state: Gets what was saved.
        path: The checkpoint.
        allow_other_split: Load it although other items were trained on and validated.
        exact: Refuse a checkpoint of a learner that was made in another way, instead of naming the differences.
    Raises:
        BundleError: The file is damaged or not a checkpoint.
        ModelError: It is of another model, other classes, or another split.
    """
    tensors, config = read_bundle(path, "checkpoint")
    weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    _check_labels(state, config, path)
    _check_weights(state, weights, path)
    if not allow_other_split:
        _check_split(state, config, path)
    _check_setup(state, config, path, exact=exact)
    loaded = _Loaded(state, config, tensors, path)
    state.load_weights(weights)
    loaded.replace_in(state)


def has_ended(path: str | Path) -> bool:
    """Return whether a checkpoint was saved after the last stage of training.

    Raises:
        BundleError: The file is damaged or not a checkpoint.
    """
    _, config = read_bundle(path, "checkpoint")
    return config.get("plan") is None


class _Loaded:
    """All of a checkpoint but the weights, read and checked, and not yet in use."""

    def __init__(
        self, state: TrainState, config: dict[str, Any], tensors: Mapping[str, Tensor], path: str | Path
    ) -> None:
        try:
            self.config, self.tensors = config, tensors
            # Checkpoints of the first edition say `frozen_rate`, and lack what came later.
            self.frozen_lr = config["frozen_lr"] if "frozen_lr" in config else config["frozen_rate"]
            self.history = History.from_state_dict(unpack(config["history"], tensors))
            record = config.get("weights_record")
            self.weights_record = EpochRecord(**record) if record else None
            self.lr_finder_results = [_result(unpack(one, tensors)) for one in config.get("lr_finder_results", [])]
            self.callbacks = [(name, unpack(one, tensors)) for name, one in config.get("callbacks", [])]
            self.trainable, self.seed, self.target = set(config["trainable"]), config["seed"], config["target"]
            self.fit = None if config["fit"] is None else _fit(config["fit"], tensors)
            self.optimizer_rows = _optimizer_rows(config["fit"], tensors) if config["fit"] else {}
            self.ema = _ema_state(config["fit"], tensors) if config["fit"] else None
            saved = config.get("calibration")
            self.calibration = None if saved is None else Calibration.from_state_dict(unpack(saved, tensors))
            self.temperatures = state.target.from_config({**state.target.to_config(), **self.target}).temperatures
            self._check_fit(state)
            self.plan = _plan(config["plan"], state) if config.get("plan") else None
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
            if isinstance(error, ModelError):
                raise
            raise BundleError(
                f"{path} is not a checkpoint that this version can read: {type(error).__name__}: {error}.",
                "a checkpoint as save() wrote it.",
                "load another one, such as the one before it.",
            ) from error

    def _check_fit(self, state: TrainState) -> None:
        """Raise if the optimizer's state or the average does not fit the model."""
        if self.fit is None:
            return
        parameters = [p for name, p in state.model.named_parameters() if name in self.trainable]
        if not all(0 <= row < len(parameters) for row in self.optimizer_rows):
            raise ValueError("the optimizer's state is of another model")
        if self.ema is not None and state.options.ema:
            own = ExponentialMovingAverage(state.model, state.options.ema)
            own.load_state_dict(self.ema)

    def replace_in(self, state: TrainState) -> None:
        for name, parameter in state.model.named_parameters():
            parameter.requires_grad_(name in self.trainable)
        if isinstance(state.target, MultiCategory):
            state.data = state.data.with_target(replace(state.target, threshold=self.target["threshold"]))
        state.data = state.data.with_target(state.target.with_temperatures(self.temperatures))
        state.calibration, state.calibration_report = self.calibration, None
        state.history, state.frozen_lr, state.seed = self.history, self.frozen_lr, self.seed
        state.cached_features, state.head_steps = None, self.config.get("head_steps", 0)
        state.num_microbatches = self.config.get("num_microbatches", 1)
        state.weights_record, state.lr_finder_results = self.weights_record, self.lr_finder_results
        if self.config["precision"]["mode"] == state.precision.mode:
            state.scaler.load_state_dict(self.config["precision"])
        for callback, saved in zip(_with_state(state.callbacks), self.callbacks, strict=False):
            callback.load_state_dict(saved[1])
        state.fit, state.plan = self.fit, self.plan
        if self.plan is not None:
            self.plan.data = state.data
        if self.fit is not None:
            self._make_optimizer(state, self.fit)
            self.fit.carried = carried_share(self.fit.carried, state.processes)

    def _make_optimizer(self, state: TrainState, fit: Fit) -> None:
        options = state.options
        fit.optimizer = options.optimizer(parameter_groups(state.model, fit.lrs, options.weight_decay))
        rows = {number: _like_parameter(fit.optimizer, number, row) for number, row in self.optimizer_rows.items()}
        fit.optimizer.load_state_dict({**fit.optimizer.state_dict(), "state": rows})
        if self.ema is not None and options.ema:
            fit.ema = ExponentialMovingAverage(state.model, options.ema)
            fit.ema.load_state_dict(self.ema)


# --- what is refused ---


def _check_labels(state: TrainState, config: dict[str, Any], path: str | Path) -> None:
    if not same_label_configs(config["target"], state.target.to_config()):
        raise ModelError(
            f"{path} has other classes: {config['target']['kind']} of {some(config['classes'])}.",
            f"{state.target.kind} of {some(state.target.classes)}.",
            "load another.",
        )


def _check_weights(state: TrainState, weights: Mapping[str, Tensor], path: str | Path) -> None:
    if other := differing_tensors(state.model.state_dict(), weights):
        raise ModelError(
            f"{path} is of another model: {len(other)} tensors differ, such as {other[0]}.",
            "a checkpoint of the same backbone and head.",
            "make the learner as it was made when it was saved.",
        )


def _check_split(state: TrainState, config: dict[str, Any], path: str | Path) -> None:
    """Refuse another split: items that were trained on would be validated."""
    saved, own = config.get("split"), describe_split(state)
    if saved and own and saved != own:
        other = some([name for name in own if saved.get(name) != own[name]])
        raise ModelError(
            f"{path} was trained with another split: the {other} items differ.",
            "the same items in the same split; metrics of items that were trained on say nothing.",
            "split as it was split then, with the same seed, or pass allow_other_split=True to load().",
            shell_fix="bring the items back as they were, with their labels, or train again: onecycle train DATA.",
        )


def _check_setup(state: TrainState, config: dict[str, Any], path: str | Path, *, exact: bool) -> None:
    """Name how the learner differs from the one that was saved, or refuse it."""
    found: list[str] = []
    if "setup" in config:
        now, own_setup = state.processes.world, describe_setup(state)
        found = differences(with_same_batches(config["setup"], own_setup, config.get("processes", now), now), own_setup)
    saved = [name for name, _ in config.get("callbacks", [])]
    own = [type(callback).__name__ for callback in _with_state(state.callbacks)]
    if saved != own and config["fit"]:
        found.append(f"callbacks with a state are {some(own) or 'none'}, and were {some(saved) or 'none'}")
    if found and exact:
        raise ModelError(
            f"{path} was saved by a learner that was made in another way: {'; '.join(found)}.",
            "the same way, so that training ends as if it had not been interrupted.",
            "make the learner as it was made then, or pass allow_changes=True.",
        )
    if found and state.processes.is_main:
        warnings.warn(
            f"{path} was saved by a learner that was made in another way: {'; '.join(found)}.", stacklevel=users_level()
        )


# --- callbacks and found rates ---


def _with_state(callbacks: Any) -> list[Callback]:
    return [callback for callback in callbacks if type(callback).state_dict is not Callback.state_dict]


def _callback_states(callbacks: Any, tensors: dict[str, Tensor]) -> list[Any]:
    states: list[Any] = []
    for place, callback in enumerate(_with_state(callbacks)):
        name = type(callback).__name__
        try:
            states.append([name, pack(callback.state_dict(), f"callbacks.{place}", tensors)])
        except TypeError as error:
            raise ModelError(
                f"{name}.state_dict() cannot be saved: {error}.",
                "numbers, texts, booleans, None, tensors, and dicts, lists and tuples of them.",
                "return only those.",
            ) from error
    return states


def _result_state(result: LRFinderResult) -> dict[str, Any]:
    lr = [result.lr.start, result.lr.stop] if isinstance(result.lr, slice) else result.lr
    curves = [torch.from_numpy(np.array(curve)) for curve in (result.rates, result.losses, *result.sweeps)]
    return {"lr": lr, "low": result.low, "high": result.high, "reason": result.reason, "curves": curves}


def _result(state: dict[str, Any]) -> LRFinderResult:
    rates, losses, *sweeps = (curve.numpy() for curve in state["curves"])
    lr = slice(*state["lr"]) if isinstance(state["lr"], list) else state["lr"]
    return LRFinderResult(rates, losses, tuple(sweeps), lr, state["low"], state["high"], state["reason"])


# --- the plan ---


def _plan_state(plan: Plan) -> dict[str, Any]:
    lr = {"slice": [plan.lr.start, plan.lr.stop]} if isinstance(plan.lr, slice) else plan.lr
    return {
        "stages": [asdict(stage) for stage in plan.stages], "lr": lr, "current": plan.current, "sweeps": plan.sweeps,
    }  # fmt: skip


def _plan(config: dict[str, Any], state: TrainState) -> Plan:
    stages = [
        Stage(**{**stage, "size": tuple(stage["size"]) if isinstance(stage["size"], list) else stage["size"]})
        for stage in config["stages"]
    ]
    lr = slice(*config["lr"]["slice"]) if isinstance(config["lr"], dict) else config["lr"]
    return Plan(stages, lr, state.data, config["current"], config["sweeps"])


# --- the fit ---


def _fit_state(fit: Fit, processes: Processes, tensors: dict[str, Tensor]) -> dict[str, Any]:
    optimizer = {} if fit.optimizer is None else dict(fit.optimizer.state_dict()["state"])
    numbers = {
        "epochs": fit.epochs, "lrs": fit.lrs, "schedule": schedule_to_config(fit.schedule), "passes": fit.passes,
        "copies": fit.copies, "batch_size": fit.batch_size, "batch_items": fit.batch_items, "done": fit.done,
        "step": fit.step, "batch": fit.batch, "earlier": asdict(fit.earlier), "seconds": fit.seconds,
        "stopped": fit.stopped,
    }  # fmt: skip
    nested = {
        "losses": fit.losses.state_dict(),
        "step_lrs": torch.tensor(fit.step_lrs, dtype=torch.float64),
        "carried": carried_whole(fit.carried, processes),
        "optimizer": optimizer,
        "ema": fit.ema.state_dict() if fit.ema else None,
    }
    return numbers | {name: pack(value, f"fit.{name}", tensors) for name, value in nested.items()}


def _fit(config: dict[str, Any], tensors: Mapping[str, Tensor]) -> Fit:
    """Return the fit without its optimizer; earlier checkpoints say `rates` and `views`, and end with an epoch."""
    for name in ("epochs", "done", "passes", "step", "batch"):
        if not is_whole(config.get(name, 0)):
            raise ValueError(f"{name} is {config[name]!r}")
    fit = Fit(
        config["epochs"], config["lrs"] if "lrs" in config else config["rates"],
        schedule_from_config(config["schedule"]), config["passes"],
        config["copies"] if "copies" in config else config["views"], config.get("batch_size", 0),
        config.get("batch_items", 0), config["done"],
    )  # fmt: skip
    if earlier := config.get("earlier"):
        fit.earlier = Earlier([(size, count) for size, count in earlier["taken"]], earlier["steps"], earlier["share"])
    if "step" in config:
        fit.step, fit.batch, fit.seconds, fit.stopped = (config[n] for n in ("step", "batch", "seconds", "stopped"))
        fit.losses = StepLosses()
        fit.losses.load_state_dict(unpack(config["losses"], tensors))
        fit.step_lrs = unpack(config["step_lrs"], tensors).tolist()
        fit.carried = unpack(config["carried"], tensors)
    return fit


def _ema_state(config: dict[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any] | None:
    if "ema" in config:
        state: dict[str, Any] | None = unpack(config["ema"], tensors)
        return state
    if config["average_steps"] is None:
        return None
    count = sum(name.startswith("average.") for name in tensors)
    return {"steps": config["average_steps"], "averages": [tensors[f"average.{place}"] for place in range(count)]}


def _optimizer_rows(config: dict[str, Any], tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Any]]:
    """Return the optimizer's state of each parameter, by the parameter's number."""
    if "optimizer" in config:
        state: dict[int, dict[str, Any]] = unpack(config["optimizer"], tensors)
        return state
    rows: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".", 2)
            rows.setdefault(int(number), {})[key] = tensor
    return rows


def _like_parameter(optimizer: torch.optim.Optimizer, number: int, row: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter's state in its memory format, which fused optimizers expect."""
    parameter = [one for group in optimizer.param_groups for one in group["params"]][number].detach()
    return {
        key: copied_as(parameter, value) if isinstance(value, Tensor) and value.shape == parameter.shape else value
        for key, value in row.items()
    }
