"""Names for the parts that files, options and the command line refer to: targets, models, metrics and others.

A part of your own joins in one line beside its class or function, and is then found wherever a built-in one is:

    @oc.register("target", "boxes")
    class Boxes: ...
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from onecycle.errors import ModelError, suggest

T = TypeVar("T")

# Kind, name, and the module that registers the name; it is imported when the name is first looked up.
BUILT_IN: dict[str, dict[str, str]] = {
    "target": {
        "category": "onecycle.data.categories",
        "multi_category": "onecycle.data.categories",
        "numbers": "onecycle.data.numbers",
        "tensor": "onecycle.data.plain",
        "mask": "onecycle.vision.masks",
        "points": "onecycle.vision.points",
        "next_token": "onecycle.text.language_targets",
        "masked_token": "onecycle.text.language_targets",
    },
    "modality": {
        "images": "onecycle.vision.images",
        "texts": "onecycle.text.texts",
        "tensors": "onecycle.data.plain",
    },
    "model": {
        "image_model": "onecycle.vision.model",
        "heatmap_model": "onecycle.vision.heatmaps",
        "segmentation_model": "onecycle.vision.segmentation",
        "text_model": "onecycle.text.model",
        "awd_lstm_classifier": "onecycle.text.awd_lstm_classifier",
        "awd_lstm_language_model": "onecycle.text.language_model",
        "masked_model": "onecycle.text.masked_model",
    },
    "metric": {
        "accuracy": "onecycle.metrics.classification",
        "error_rate": "onecycle.metrics.classification",
        "top_5": "onecycle.metrics.classification",
        "f1": "onecycle.metrics.classification",
        "f2": "onecycle.metrics.classification",
        "auroc": "onecycle.metrics.classification",
        "average_precision": "onecycle.metrics.classification",
        "mae": "onecycle.metrics.regression",
        "rmse": "onecycle.metrics.regression",
        "r2": "onecycle.metrics.regression",
        "pixel_accuracy": "onecycle.vision.mask_metrics",
        "mean_iou": "onecycle.vision.mask_metrics",
        "dice": "onecycle.vision.mask_metrics",
        "pixel_error": "onecycle.vision.point_metrics",
        "nme": "onecycle.vision.point_metrics",
        "perplexity": "onecycle.text.token_metrics",
        "token_accuracy": "onecycle.text.token_metrics",
    },
    "loss": {},
    "schedule": dict.fromkeys(("OneCycle", "Constant", "Cosine"), "onecycle.train.schedule"),
    "split": {},
    "augmentation": {},
    "tracker": dict.fromkeys(("tensorboard", "mlflow", "wandb", "trackio"), "onecycle.train.trackers"),
    "exporter": dict.fromkeys(("onnx", "pt2", "xml", "web"), "onecycle.ship.exports.formats"),
    "interpretation": {
        "category": "onecycle.inference.interpretation.classes",
        "multi_category": "onecycle.inference.interpretation.classes",
        "numbers": "onecycle.inference.interpretation.numbers",
        "mask": "onecycle.vision.mask_interpretation",
        "points": "onecycle.vision.point_interpretation",
        "next_token": "onecycle.text.language_interpretation",
        "masked_token": "onecycle.text.language_interpretation",
        "other": "onecycle.inference.interpretation.interpretation",
    },
    "report": {"html": "onecycle.ship.report.page", "hub": "onecycle.ship.hub.push"},
}

_registered: dict[str, dict[str, Any]] = {kind: {} for kind in BUILT_IN}


def register(kind: str, name: str) -> Callable[[T], T]:
    """Return a decorator that registers a class or a function under a name.

    A second definition at the same place, as a notebook cell that runs again makes it, replaces the first.

    Args:
        kind: "target", "modality", "model", "metric", "loss", "schedule", "split", "augmentation", "tracker",
            "exporter", "interpretation" (under the kind of a target) or "report".
        name: What files and options call it.
    Raises:
        ModelError: The kind is unknown, the name is taken, or what is decorated is neither a class nor a function.
    Example:
        >>> @register("tracker", "silent")
        ... class Silent: ...
        >>> lookup("tracker", "silent") is Silent
        True
    """
    known = _names(kind)

    def decorate(part: T) -> T:
        if not hasattr(part, "__qualname__") or not isinstance(name, str):
            raise ModelError(
                f"register({kind!r}, {name!r}) decorates {part!r} ({type(part).__name__}).",
                "a name in quotes, above a class or a function.",
                f'write @register({kind!r}, "name") above `class ...:` or `def ...:`.',
            )
        if name in known and known[name] != _place(part) and known[name] != part.__module__:
            raise ModelError(
                f"The {kind} {name!r} is already registered by {known[name]}.",
                f"another name for {_place(part)}.",
                f"register it as, for example, {'my_' + name!r}.",
            )
        _registered[kind][name] = part
        return part

    return decorate


def lookup(kind: str, name: str, *, hint_module: str | None = None) -> Any:
    """Return what is registered under a name. The module of a built-in part is imported at its first lookup.

    Args:
        kind: As in `register`.
        name: The name.
        hint_module: Module that registered the name when it was saved. It is never imported here, since a file must
            not choose what code runs; the error names it.
    Raises:
        ModelError: The kind or the name is unknown.
    Example:
        >>> lookup("metric", "mae")().name
        'mae'
    """
    known = _names(kind)
    if not isinstance(name, str) or name not in known:
        listed = ", ".join(sorted(known))
        raise ModelError(
            f"Unknown {kind} {name!r}.",
            f"one of: {listed}." if listed else f"a registered {kind}; there is none yet.",
            _fix(kind, name, hint_module),
        )
    if name not in _registered[kind]:
        importlib.import_module(BUILT_IN[kind][name])
    return _registered[kind][name]


def list_registered(kind: str) -> list[str]:
    """Return the names of all parts of a kind, sorted; those of the library and those registered so far.

    Example:
        >>> list_registered("schedule")
        ['Constant', 'Cosine', 'OneCycle']
    """
    return sorted(_names(kind))


def registered_name(kind: str, part: Any) -> str | None:
    """Return the name under which a class or a function is registered, or None.

    Example:
        >>> registered_name("schedule", dict) is None
        True
    """
    _names(kind)
    return next((name for name, other in _registered[kind].items() if _place(other) == _place(part)), None)


def source_module(kind: str, name: str) -> str:
    """Return the module that registers a name; a file stores it to say what must be imported.

    Example:
        >>> source_module("target", "mask")
        'onecycle.vision.masks'
    """
    if name in BUILT_IN.get(kind, {}):
        return BUILT_IN[kind][name]
    module: str = lookup(kind, name).__module__
    return module


def is_built_in(kind: str, name: str) -> bool:
    """Return whether a name is one of the library's own.

    Example:
        >>> is_built_in("target", "mask"), is_built_in("target", "boxes")
        (True, False)
    """
    return name in BUILT_IN.get(kind, {})


def _names(kind: str) -> dict[str, str]:
    """Return the names of a kind, each with the place that registered it, or the module that will."""
    if kind not in BUILT_IN:
        raise ModelError(
            f"Unknown kind of part {kind!r}.", f"one of: {', '.join(BUILT_IN)}.",
            "check the kind." + suggest(str(kind), BUILT_IN),
        )  # fmt: skip
    return BUILT_IN[kind] | {name: _place(part) for name, part in _registered[kind].items()}


def _place(part: Any) -> str:
    return f"{getattr(part, '__module__', '')}.{getattr(part, '__qualname__', '')}"


def _fix(kind: str, name: object, hint_module: str | None) -> str:
    if hint_module is None:
        return "check the name." + suggest(str(name), _names(kind))
    if hint_module in sys.modules:
        # It is imported, so importing it is no help: a script, a notebook, or another version of it.
        return f"register the {kind} {name!r} first, as {hint_module} did when it was saved."
    return f"import {hint_module} first, which registers it."
