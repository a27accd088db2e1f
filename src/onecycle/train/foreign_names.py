"""Option names of other libraries, and options that belong to another call: what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from onecycle.errors import ModelError

_BATCHES, _FIT, _FIT_OR_FINE_TUNE = "databunch()", "fit_one_cycle()", "fit() or fine_tune()"
_MAKERS, _HEADS = "vision_learner(), unet_learner() or text_learner()", "vision_learner() or text_learner()"

# Name: (our option, the call that takes it). Our own names are here too, for options that are passed to the wrong call.
PLACES: dict[str, tuple[str, str]] = {
    "augment": ("augment", "transform()"),
    "aug_transforms": ("augment", "transform()"),
    "backbone": ("backbone", _MAKERS),
    "arch": ("backbone", _MAKERS),
    "pretrained": ("pretrained", _MAKERS),
    "drop_mult": ("dropout", _HEADS),
    "ps": ("dropout", _HEADS),
    "dropout": ("dropout", _HEADS),
    "batch_size": ("batch_size", _BATCHES),
    "bs": ("batch_size", _BATCHES),
    "train_batch_size": ("batch_size", _BATCHES),
    "per_device_train_batch_size": ("batch_size", _BATCHES),
    "num_workers": ("workers", _BATCHES),
    "workers": ("workers", _BATCHES),
    "balance": ("balance", _BATCHES),
    "on_bad_item": ("on_bad_item", _BATCHES),
    "item_tfms": ("size", "transform()"),
    "size": ("size", "transform()"),
    "img_size": ("size", "transform()"),
    "batch_tfms": ("augment", "transform()"),
    "valid_pct": ("valid", "split_random()"),
    "epochs": ("epochs", _FIT_OR_FINE_TUNE),
    "n_epoch": ("epochs", _FIT_OR_FINE_TUNE),
    "num_train_epochs": ("epochs", _FIT_OR_FINE_TUNE),
    "max_epochs": ("epochs", _FIT_OR_FINE_TUNE),
    "lr": ("lr", _FIT_OR_FINE_TUNE),
    "lr_max": ("lr", _FIT_OR_FINE_TUNE),
    "base_lr": ("lr", _FIT_OR_FINE_TUNE),
    "max_lr": ("lr", _FIT_OR_FINE_TUNE),
    "learning_rate": ("lr", _FIT_OR_FINE_TUNE),
    "freeze_epochs": ("frozen_epochs", "fine_tune()"),
    "freeze_to": ("freeze_to", "fine_tune()"),
    "sizes": ("sizes", "fine_tune()"),
    "schedule": ("schedule", _FIT),
    "scheduler": ("schedule", _FIT),
    "lr_scheduler": ("schedule", _FIT),
    "moms": ("schedule=OneCycle(...)", _FIT),
    "pct_start": ("schedule=OneCycle(...)", _FIT),
    "div": ("schedule=OneCycle(...)", _FIT),
    "div_final": ("schedule=OneCycle(...)", _FIT),
    "loss_func": ("loss", "Learner()"),
    "loss_fn": ("loss", "Learner()"),
    "criterion": ("loss", "Learner()"),
    "smoothing": ("label_smoothing", "Learner()"),
    "opt": ("optimizer", "Learner()"),
    "opt_func": ("optimizer", "Learner()"),
    "optim": ("optimizer", "Learner()"),
    "wd": ("weight_decay", "Learner()"),
    "cbs": ("callbacks", "Learner()"),
    "callback_fns": ("callbacks", "Learner()"),
    "grad_clip": ("clip", "Learner()"),
    "max_grad_norm": ("clip", "Learner()"),
    "gradient_clip_val": ("clip", "Learner()"),
    "n_acc": ("accumulate", "Learner()"),
    "accumulate_grad_batches": ("accumulate", "Learner()"),
    "gradient_accumulation_steps": ("accumulate", "Learner()"),
    "gradient_checkpointing": ("checkpoint_activations", "Learner()"),
    "random_state": ("seed", "Learner()"),
    "verbose": ("progress", "Learner()"),
}
_METHODS = {
    "fp16": "learner.to_fp16()",
    "bf16": "learner.to_bf16()",
    "amp": "learner.to_bf16()",
    "mixed_precision": "learner.to_bf16()",
    "precision": "learner.to_bf16() or learner.to_fp16()",
}
# Where a recipe has one word for what two calls of the data block have.
_SAME = {"size": "sizes"}


def unknown_options(caller: str, unknown: Sequence[str], known: Collection[str]) -> ModelError:
    """Return the error for options that `caller` does not have, with what to write instead of each."""
    names = ", ".join(f"{name}=" for name in unknown)
    fixes = "; ".join(_fix(name, known) for name in unknown)
    return ModelError(
        f"{caller}() has no option{'s' if len(unknown) > 1 else ''} {names}.", f"one of: {', '.join(sorted(known))}.",
        f"{fixes}.",
    )  # fmt: skip


def _fix(name: str, known: Collection[str]) -> str:
    ours, place = PLACES.get(name, ("", ""))
    ours = _SAME[ours] if _SAME.get(ours) in known else ours
    if ours in known:
        return f"use {ours}= instead of {name}="
    if name in _METHODS:
        return f"use precision= instead of {name}=" if "precision" in known else f"call {_METHODS[name]} instead"
    if ours:
        return f"pass {ours if '(' in ours else f'{ours}='} to {place}"
    near = difflib.get_close_matches(name, known, n=1)
    if not near and (meant := difflib.get_close_matches(name, PLACES, n=1, cutoff=0.8)):
        return f"check the spelling of {name}= (did you mean {meant[0]}=?): {_fix(meant[0], known)}"
    return f"check the spelling of {name}= (did you mean {near[0]}=?)" if near else f"remove {name}="
