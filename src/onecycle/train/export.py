"""Exporting a model for use: a bundle that needs neither the data nor the training code."""

from __future__ import annotations

import datetime
import difflib
import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onecycle.bundle import write_bundle
from onecycle.calls import check_options
from onecycle.data.nested import tensors_in
from onecycle.errors import BundleError, CallError, ModelError, OnecycleError
from onecycle.foreign_names import unknown_options
from onecycle.inference.predictor import run_model
from onecycle.registry import list_registered, lookup, registered_name
from onecycle.train.built_model import CALIBRATION, build_model, build_without_memory
from onecycle.train.packing import pack
from onecycle.train.sharded import all_whole, class_of
from onecycle.train.state import TrainState

PACKAGES = ("torch", "timm", "safetensors")
LARGEST_COPY = 2 * 10**9
"""Bytes of weights of which export makes a second copy, to compare outputs."""


def export_model(state: TrainState, path: str | Path, *, card: Mapping[str, Any] | None = None, **options: Any) -> Path:
    """Write the model for use, once it has been proved that it can be built again from what is written.

    Where several processes train together, all of them call this, and the main process writes.

    Args:
        state: Model, data and history.
        path: A name with a suffix, such as planet.onecycle, becomes one file; a name without one a folder. The suffix
            of a registered exporter, such as .onnx, is written by that.
        card: What else to say of the model, as JSON.
        options: Of the exporter; with web=True that is the one of pages, whatever the path.
    Raises:
        CallError: An option is not known.
        ModelError: The model, the target or the modality is not registered.
        BundleError: One of them cannot be built again from its config, or the file cannot be written.
    """
    kind = "web" if options.pop("web", False) else Path(path).suffix[1:].lower()
    if kind in list_registered("exporter"):
        exporter = lookup("exporter", kind)
        check_options("export", exporter, options)
        written: Path = exporter(state, Path(path), **options)
        return written
    _check_is_bundle(Path(path), kind, options)
    model = model_to_config(state.model)
    parts = {"target": state.target.to_config(), "modality": state.data.modality.to_config()}
    classes = {"target": type(state.target), "modality": type(state.data.modality)}
    for kind, config in parts.items():
        _check_registered(kind, classes[kind], config["kind"])
        _check_rebuilt(kind, config)
    weights = all_whole(state.model.state_dict())
    _check_model_rebuilt(model, state, weights)
    config = {
        "kind": "model",
        "onecycle": importlib.metadata.version("onecycle"),
        "model": model,
        **parts,
        "modules": {kind: cls.__module__ for kind, cls in {**classes, "model": class_of(state.model)}.items()},
        "precision": state.precision.mode,
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "card": {**training_card(state), **(card or {})},
    }
    if state.calibration is not None:
        config["calibration"] = pack(state.calibration.state_dict(), CALIBRATION, weights)
    return state.processes.decide(lambda: write_bundle(path, weights, config))


def _check_is_bundle(path: Path, kind: str, options: Mapping[str, Any]) -> None:
    """Refuse what would become a bundle, and was meant to become something else.

    Raises:
        CallError: An option is that of another format, or not known.
        BundleError: The suffix is nearly that of another format.
    """
    if kind and (near := difflib.get_close_matches(kind, sorted({*list_registered("exporter")} - {"web"}), 1, 0.66)):
        raise BundleError(
            f"No format has the suffix .{kind}, of {path.name}.", f".{near[0]}; or .onecycle, for a bundle.",
            f"pass {path.with_suffix(f'.{near[0]}').name!r}.",
        )  # fmt: skip
    others = [name for name in options if name in ("precision", "tolerance", "runtime_files")]
    if others:
        raise CallError(
            f"export() has no option {', '.join(f'{name}=' for name in others)} for the bundle {path.name}.", "none.",
            f"leave {'it' if len(others) == 1 else 'them'} out, or export ONNX: {path.with_suffix('.onnx').name!r}.",
        )  # fmt: skip
    if options:
        raise unknown_options("export", list(options), ())


def training_card(state: TrainState) -> dict[str, Any]:
    """Return what a user of the model should know of its training, as JSON: its numbers are of the exported weights."""
    record = state.weights_record
    if record is not None and math.isnan(record.valid_loss):  # after split_none(); and JSON has no NaN
        record = replace(record, valid_loss=None, metrics={})  # type: ignore[arg-type]
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "machine": f"{platform.system()} {platform.machine()}, {state.device.type}",
        "training_items": len(state.data.train.dataset),
        "validation_items": len(state.data.valid.dataset),
        "epochs": len(state.history),
        "epoch": record.epoch if record else None,
        "seconds": round(sum(record.seconds for record in state.history), 1),
        "seed": state.seed,
        "valid_loss": record.valid_loss if record else None,
        "metrics": record.metrics if record else {},
        "calibration": None if state.calibration is None else dict(state.calibration.card),
        "notes": state.history.notes,
    }


def model_to_config(model: nn.Module) -> dict[str, Any]:
    """Return how to build a registered model: its own `to_config()`, or its `config`, the arguments it was made with.

    Raises:
        ModelError: The model's class is not registered.
    """
    name = registered_name("model", class_of(model))
    if name is None:
        cls = class_of(model).__name__
        raise ModelError(
            f"A {cls} is not registered, so what is exported could not be loaded.",
            "a registered class.",
            f'write @onecycle.register("model", "my_model") above `class {cls}`, or use save().',
        )
    to_config = getattr(model, "to_config", None)
    config = to_config() if callable(to_config) else {"kind": name, **dict(getattr(model, "config", {}))}
    return {**config, "kind": name}


def _check_registered(kind: str, cls: type, name: str) -> None:
    if registered_name(kind, cls) != name:
        raise ModelError(
            f"The {kind} {cls.__name__} is not registered as {name!r}, so what is exported could not be loaded.",
            "a registered class, whose `kind` is the name it is registered under.",
            f'write @onecycle.register("{kind}", "{name}") above `class {cls.__name__}`.',
        )


def _check_rebuilt(kind: str, config: dict[str, Any]) -> None:
    """Check that a target or modality comes back from its config as it was written."""
    try:
        written = json.loads(json.dumps(config))
        again = json.loads(json.dumps(lookup(kind, config["kind"]).from_config(written).to_config()))
    except OnecycleError:
        raise
    except Exception as error:
        raise _not_rebuilt(kind, error) from error
    if again != written:
        raise _not_rebuilt(kind, ValueError("from_config() gives another config back"))


def _check_model_rebuilt(config: dict[str, Any], state: TrainState, own: dict[str, Tensor]) -> None:
    """Check that the config builds a model that takes these weights and predicts the same.

    Of a large model only names and shapes of the weights are compared, without memory for a second copy of them.
    """
    small = sum(tensor.nbytes for tensor in own.values()) <= LARGEST_COPY
    try:
        written = json.loads(json.dumps(config))
        with torch.random.fork_rng(devices=[]):
            again = build_model(written) if small else build_without_memory(written)
        other = again.state_dict()
    except OnecycleError:
        raise
    except Exception as error:
        raise _not_rebuilt("model", error) from error
    differ = sorted(own.keys() ^ other.keys()) or [name for name in own if own[name].shape != other[name].shape]
    if differ:
        raise _not_rebuilt("model", ValueError(f"{len(differ)} tensors differ, such as {differ[0]}"))
    if small:
        again.load_state_dict(own)
        _check_same_outputs(state, again.to(state.device).eval())


def _check_same_outputs(state: TrainState, again: nn.Module) -> None:
    """Check on two validation items: an argument that the config lacks need not change any weight's shape."""
    dataset = state.data.watched
    batch = state.data.prepared(dataset, range(min(2, len(dataset)))).to(state.device)
    pairs = [
        tensors_in(next(run_model(model, [batch], state.target, state.precision)).outputs)
        for model in (state.model, again)
    ]
    for one, other in zip(*pairs, strict=True):
        if not torch.allclose(one, other, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise _not_rebuilt("model", ValueError(f"its outputs differ by up to {(one - other).abs().max():.2g}"))


def _not_rebuilt(kind: str, error: Exception) -> BundleError:
    return BundleError(
        f"The {kind} cannot be built again from its config: {type(error).__name__}: {error}.",
        "a config in JSON that holds every argument of the constructor.",
        f"set self.config = {{...}} in the {kind}'s constructor, or define to_config() and from_config().",
    )
