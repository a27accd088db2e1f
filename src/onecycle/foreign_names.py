"""Names of other libraries, and names that belong to another call or stage: what to write instead."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Sequence

from onecycle.errors import CallError, MissingAttributeError, suggest

_BATCHES, _FIT, _FIT_OR_FINE_TUNE = "databunch()", "fit_one_cycle()", "fit() or fine_tune()"
_PICTURES, _TABLES, _AUGMENT = "show_batch() or show_results()", "from_csv() or from_table()", "augment.default()"
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
    "pct": ("valid", "split_random()"),
    "test_size": ("valid", "split_random()"),
    "rows": ("count", _PICTURES),
    "max_n": ("count", _PICTURES),
    "nrows": ("count", _PICTURES),
    "k": ("count", _PICTURES),
    "ds_type": ("split", "predict_all(), validate() or show_batch()"),
    "dl": ("split", "predict_all() or validate()"),
    "is_labelled": ("labelled", "add_test()"),
    "cols": ("column", _TABLES),
    "text_cols": ("column", _TABLES),
    "fn_col": ("column", _TABLES),
    "label_col": ("column", "label_from_column()"),
    "label_delim": ("delimiter", "label_from_column()"),
    "sep": ("separator", "from_csv()"),
    "header": ("column", _TABLES),
    "func": ("function", "label_from_function()"),
    "vocab": ("tokenizer", "tokenize()"),
    "max_len": ("max_length", "tokenize()"),
    "max_vocab": ("vocabulary", "tokenize()"),
    "min_freq": ("min_frequency", "tokenize()"),
    "seq_len": ("sequence", "tokenize()"),
    "bptt": ("sequence", "tokenize()"),
    "start_lr": ("start", "lr_find()"),
    "end_lr": ("stop", "lr_find()"),
    "num_it": ("steps", "lr_find()"),
    "n_words": ("words", "generate()"),
    "thresh": ("threshold", "the metric, such as metrics.fbeta()"),
    "max_rotate": ("degrees", _AUGMENT),
    "max_zoom": ("zoom", _AUGMENT),
    "max_lighting": ("light", _AUGMENT),
    "max_warp": ("warp", _AUGMENT),
    "do_flip": ("flip", _AUGMENT),
    "resize_method": ("resize", "transform()"),
    "metric": ("metrics", "Learner()"),
    **{
        name: (name, "Learner()")
        for name in ("callbacks", "metrics", "loss", "optimizer", "mix", "weight_decay", "clip", "accumulate", "ema")
    },
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
    "moms": ("schedule=OneCycle(momentum_high=0.95, momentum_low=0.85)", _FIT),
    "pct_start": ("schedule=OneCycle(warmup=0.3)", _FIT),
    "div": ("schedule=OneCycle(start=0.04)", _FIT),
    "div_factor": ("schedule=OneCycle(start=0.04)", _FIT),
    "div_final": ("schedule=OneCycle(end=1e-5)", _FIT),
    "final_div": ("schedule=OneCycle(end=1e-5)", _FIT),
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
# Options that nothing here has: what to do instead.
_INSTEAD = {
    "figsize": "set the size of the picture that is returned: .set_size_inches(width, height)",
    "recurse": "remove recurse=: all folders below are searched",
    "extensions": "remove extensions=: images are found by their content",
    "tfm_y": "remove tfm_y=: masks and points are changed with their image",
    "tfms": "pass size= and augment= to transform(), such as augment=oc.augment.default()",
    "flip_vert": 'pass augment="satellite" to transform(): it mirrors and turns in all directions',
    "wd_bn_bias": "remove wd_bn_bias=: biases and normalisation layers have no weight decay",
    "true_wd": "remove true_wd=: AdamW's weight decay is decoupled",
    "device": "remove device=: the best device is used; pass accelerator= to the learner to choose another",
    "path": "remove path=: files are written where you say, such as learner.export(path)",
    "model_dir": "pass the whole path to learner.save()",
    "corrections": "call corrected(...) on the list of items instead",
}
# Where a recipe has one word for what two calls of the data block have.
_SAME = {"size": "sizes"}


def unknown_options(caller: str, unknown: Sequence[str], known: Collection[str]) -> CallError:
    """Return the error for options that `caller` does not have, with what to write instead of each."""
    names = ", ".join(f"{name}=" for name in unknown)
    fixes = "; ".join(_fix(name, known) for name in unknown)
    expected = f"one of: {', '.join(sorted(known))}." if known else "none."
    return CallError(f"{caller}() has no option{'s' if len(unknown) > 1 else ''} {names}.", expected, f"{fixes}.")


def _fix(name: str, known: Collection[str]) -> str:
    ours, place = PLACES.get(name, ("", ""))
    ours = _SAME[ours] if _SAME.get(ours) in known else ours
    if ours.partition("=")[0] in known:
        return f"use {ours if '=' in ours else f'{ours}='} instead of {name}="
    if name in _INSTEAD:
        return _INSTEAD[name]
    if name in _METHODS:
        return f"use precision= instead of {name}=" if "precision" in known else f"call {_METHODS[name]} instead"
    if ours:
        return f"pass {ours if '(' in ours else f'{ours}='} to {place}"
    near = difflib.get_close_matches(name, known, n=1)
    if not near and (meant := difflib.get_close_matches(name, PLACES, n=1, cutoff=0.8)):
        return f"check the spelling of {name}= (did you mean {meant[0]}=?): {_fix(meant[0], known)}"
    return f"check the spelling of {name}= (did you mean {near[0]}=?)" if near else f"remove {name}="


def foreign_positions(caller: str, passed: Sequence[object]) -> str | None:
    """Return the fix for arguments in the order of fastai, where it has another one; None where that is not known."""
    if caller == "from_csv" and len(passed) == 2:  # fastai v1: a folder, and the name of the file in it
        return f"pass the file's whole path: from_csv('{passed[0]}/{passed[1]}')."
    return None


# --- methods and functions ---

# Of fastai v1 and v2, and of other libraries: what does the same here.
METHODS: dict[str, str] = {
    # Lists
    "from_df": "from_table(frame)",
    "from_name_re": "from_folder(...), split_random() and label_from_regex(...)",
    "split_by_rand_pct": "split_random(valid=0.2)",
    "random_split_by_pct": "split_random(valid=0.2)",
    "split_by_pct": "split_random(valid=0.2)",
    "no_split": "split_none()",
    "split_by_idx": "split_by_index([...])",
    "split_by_idxs": "split_by_index([...])",
    "split_by_valid_func": "split_by(function)",
    "split_by_fname_file": "split_from_file(path)",
    "split_by_files": "split_by(function)",
    "split_from_df": "split_by_column(column)",
    "split_subsets": "sample(count) and split_random(valid=0.2)",
    "use_partial_data": "sample(count)",
    "filter_by_func": "split_by(function), which may return None",
    "train_test_split": "split_random(valid=0.2)",
    # Labels
    "label_from_df": "label_from_column(column), for tags with delimiter=",
    "label_from_func": "label_from_function(function), label_masks(...) or label_points(...)",
    "label_from_re": "label_from_regex(pattern)",
    "label_from_list": "label_with(function)",
    "label_from_lists": "label_with(function)",
    "label_for_lm": "label_for_language_model()",
    # Bunches
    "dataloaders": "databunch(batch_size=64)",
    "normalize": "nothing: the model normalises its inputs as its backbone was trained",
    "one_batch": "next(iter(bunch.train))",
    "train_dl": "bunch.train",
    "valid_dl": "bunch.valid",
    "test_dl": "bunch.test",
    "train_ds": "bunch.train.dataset",
    "valid_ds": "bunch.valid.dataset",
    "c": "len(bunch.classes)",
    "vocab": "bunch.classes",
    # Learners
    "dls": "learner.data",
    "recorder": "learner.history, with history.plot() and history.plot_steps()",
    "plot_losses": "learner.history.plot()",
    "plot_metrics": "learner.history.plot()",
    "get_preds": 'predict_all("valid")',
    "pred_batch": 'predict_all("valid")',
    "fit_flat_cos": "fit(epochs, lr, schedule=oc.Cosine())",
    "fit_one_cycle_": "fit_one_cycle(epochs, lr)",
    "fit_sgdr": "fit(epochs, lr, schedule=oc.Cosine())",
    "unfreeze_all": "unfreeze()",
    "plot_top_losses": "show_results(worst=True)",
    "most_confused": "interpret().most_confused()",
    "plot_confusion_matrix": "interpret().confusion_matrix()",
    "loss_func": "learner.loss",
    "opt_func": "the option optimizer=",
    "to_native_fp16": "to_fp16()",
    "predict_batch": "predict_many([...])",
    "TTA": "tta()",
    "add_callback": "learner.callbacks = [*learner.callbacks, callback]",
    "add_cb": "learner.callbacks = [*learner.callbacks, callback]",
    "evaluate": "validate()",
    "train_model": "fit_one_cycle(epochs, lr)",
    "save_pretrained": "export(path)",
    "load_encoder": 'text_learner(bunch, encoder="encoder.onecycle")',
}  # fmt: skip
FUNCTIONS: dict[str, str] = {
    "cnn_learner": 'oc.vision_learner(bunch, "resnet34")',
    "create_cnn": 'oc.vision_learner(bunch, "resnet34")',
    "ConvLearner": 'oc.vision_learner(bunch, "resnet34")',
    "text_classifier_learner": "oc.text_learner(bunch)",
    "RNNLearner": "oc.text_learner(bunch) or oc.language_model_learner(bunch)",
    "AWD_LSTM": "oc.language_model_learner(bunch), which makes one",
    "ImageDataBunch": "oc.ImageList.from_folder(...).split_random().label_from_folder().transform(224).databunch()",
    "ImageDataLoaders": "oc.ImageList.from_folder(...).split_random().label_from_folder().transform(224).databunch()",
    "SegmentationDataLoaders": "oc.ImageList.from_folder(...).split_random().label_masks(...).databunch()",
    "TextDataBunch": "oc.TextList.from_csv(...).split_random().label_from_column(...).databunch()",
    "TextClasDataBunch": "oc.TextList.from_csv(...).split_random().label_from_column(...).databunch()",
    "TextLMDataBunch": "oc.TextList.from_csv(...).split_random().label_for_language_model().databunch()",
    "TextDataLoaders": "oc.TextList.from_csv(...).split_random().label_from_column(...).databunch()",
    "DataBlock": "oc.ImageList or oc.TextList, and then split_...(), label_...(), databunch()",
    "ItemList": "oc.ImageList, oc.TextList or oc.GenericList",
    "ImageItemList": "oc.ImageList",
    "SegmentationItemList": "oc.ImageList, labelled with label_masks(...)",
    "SegmentationLabelList": "oc.ImageList, labelled with label_masks(...)",
    "PointsItemList": "oc.ImageList, labelled with label_points(...)",
    "ImageBlock": "oc.ImageList",
    "CategoryBlock": "label_from_folder() or another label_...()",
    "MultiCategoryBlock": 'label_from_column(column, delimiter=" ")',
    "MaskBlock": "label_masks(...)",
    "PointBlock": "label_points(...)",
    "RegressionBlock": "label_numbers(column)",
    "TextBlock": "oc.TextList",
    "get_image_files": "oc.ImageList.from_folder(folder)",
    "get_text_files": "oc.TextList.from_folder(folder)",
    "parent_label": "label_from_folder()",
    "RandomSplitter": "split_random(valid=0.2)",
    "GrandparentSplitter": 'split_by_folder(train="train", valid="valid")',
    "ColSplitter": "split_by_column(column)",
    "ColReader": "label_from_column(column)",
    "get_transforms": "transform(size, augment=oc.augment.default())",
    "aug_transforms": "transform(size, augment=oc.augment.default())",
    "Resize": "transform(size)",
    "RandomResizedCrop": "transform(size, augment=oc.augment.default(zoom=1.5))",
    "imagenet_stats": "nothing: the model normalises its inputs as its backbone was trained",
    "models": 'the name of any timm model, such as "resnet50"',
    "accuracy": 'metrics=["accuracy"], or oc.metrics.accuracy()',
    "error_rate": 'metrics=["error_rate"]',
    "accuracy_multi": "oc.metrics.fbeta(2, threshold=0.2)",
    "accuracy_thresh": "oc.metrics.fbeta(2, threshold=0.2)",
    "fbeta": "oc.metrics.fbeta(2, threshold=0.2)",
    "FBetaMulti": "oc.metrics.fbeta(2, threshold=0.2)",
    "load_learner": "oc.load_model(path)",
    "load_data": "the lines that made the bunch: it is made again in a moment",
    "ClassificationInterpretation": "learner.show_results(worst=True) and learner.predict_all().mistakes()",
    "Interpretation": "learner.show_results(worst=True)",
    "SaveModelCallback": "oc.KeepBest(monitor)",
    "EarlyStoppingCallback": "oc.EarlyStopping(monitor)",
    "ModelCheckpoint": "oc.Checkpoint(path)",
    "MixUp": "mix=oc.Mixup()",
    "Trainer": "oc.vision_learner(bunch) or oc.text_learner(bunch)",
    "untar_data": "a download of your own: onecycle trains on folders that are there",
    "URLs": "a download of your own: onecycle trains on folders that are there",
    "EncodedMultiCategoryBlock": "label_from_columns([...])",
}  # fmt: skip

# The stages of the data block, in order: a method that only objects of the stage have, and the call that leads to it.
_STAGES = (
    ("split_random", "ImageList.from_folder()"),
    ("label_with", "split_random()"),
    ("add_test", "label_from_folder()"),
    ("show_batch", "databunch()"),
    ("fit_one_cycle", "vision_learner(bunch)"),
)
BUNCH_STAGE = 3
_ORDER = "the stages in order: a list, split_...(), label_...(), transform() or tokenize(), databunch(), a learner."
_LABELLED = ("transform", "tokenize", "add_test", "databunch")
_BUNCH = ("show_batch", "show_augmentations", "explain", "check", "resize", "one_batch")
_LEARNER = (
    "fit", "fit_one_cycle", "fine_tune", "lr_find", "predict", "predict_all", "predict_many", "validate", "tta",
    "show_results", "freeze", "unfreeze", "freeze_to", "save", "load", "export", "resume", "history", "model",
)  # fmt: skip


def missing_attribute(cls: type, name: str) -> MissingAttributeError:
    """Return the error for a method that a class does not have: another stage has it, or it has another name here."""
    what = f"{cls.__name__} has no {name}."
    if name in METHODS:
        return MissingAttributeError(what, "a name of onecycle.", _use(name, METHODS[name]))
    own, wanted = stage_of(cls), _stage_of_method(name)
    if own is None or wanted is None or own == wanted:
        public = [each for each in dir(cls) if not each.startswith("_")]
        other = {"transform": "call tokenize() for texts.", "tokenize": "call transform() for images."}.get(name)
        fix = other or suggest(name, public).strip() or "look at its methods with help()."
        return MissingAttributeError(what, f"one of: {', '.join(public)}.", fix)
    if own < wanted:
        return MissingAttributeError(what, _ORDER, f"call {steps_between(own, wanted)} before {name}().")
    if name.startswith(("split_", "label_")) or name == "databunch":
        return MissingAttributeError(what, _ORDER, f"remove {name}(): such a call was made already.")
    return MissingAttributeError(what, _ORDER, f"call {name}() before {_STAGES[wanted + 1][1]}.")


def steps_between(own: int, wanted: int) -> str:
    """Return the calls that lead from one stage of the data block to another."""
    steps = [step for _, step in _STAGES[own + 1 : wanted + 1]]
    return ", then ".join(steps)


def how_to_bunch(value: object) -> str:
    """Return how to make a bunch of what was passed in its place."""
    stage = stage_of(type(value))
    if stage is not None and stage < BUNCH_STAGE:
        return f"call {steps_between(stage, BUNCH_STAGE)} on it."
    if isinstance(value, str | os.PathLike):
        rest = ".split_random().label_from_folder().transform(224).databunch()"
        return f"make a bunch of it: ImageList.from_folder({str(value)!r}){rest}."
    return "call databunch() on labelled items; for plain PyTorch loaders, use Learner.from_loaders()."


def missing_function(name: str, known: Collection[str]) -> MissingAttributeError:
    """Return the error for a name that onecycle does not have."""
    fix = _use(name, FUNCTIONS[name]) if name in FUNCTIONS else suggest(name, known).strip() or "look at dir(onecycle)."
    return MissingAttributeError(
        f"module 'onecycle' has no attribute {name!r}.", f"one of: {', '.join(sorted(known))}.", fix
    )


def _use(name: str, ours: str) -> str:
    return f"remove {name}{ours.removeprefix('nothing')}." if ours.startswith("nothing") else f"use {ours}."


def stage_of(cls: type) -> int | None:
    return next((number for number, (marker, _) in enumerate(_STAGES) if marker in dir(cls)), None)


def _stage_of_method(name: str) -> int | None:
    names = (("split_", 0), ("label_", 1))
    found = next((stage for prefix, stage in names if name.startswith(prefix)), None)
    lists = ((_LABELLED, 2), (_BUNCH, 3), (_LEARNER, 4))
    return found if found is not None else next((stage for listed, stage in lists if name in listed), None)
