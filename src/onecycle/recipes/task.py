"""One call per task: a thin layer over the data block that prints the sentence it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

import onecycle
from onecycle.data.label import LabelledList
from onecycle.errors import DataError, suggest
from onecycle.recipes import layout
from onecycle.recipes.sentence import Call, Sentence
from onecycle.train.fit import LearningRate
from onecycle.train.learner import Learner

Task = Literal["auto", "classify", "tag", "segment", "points", "numbers", "text", "sentiment"]
Precision = Literal["fp32", "bf16", "fp16"]
Size = int | tuple[int, int]


@dataclass(frozen=True)
class Usual:
    """What a task takes where the user names nothing.

    Attributes:
        metric: What is watched, and kept the best epoch of.
        epochs: Of the second step.
        batch_size: Items a batch.
        learner: The function that makes the learner.
        size: Pixels, or for texts tokens.
        precision: bf16 halves the time of a transformer wherever there is hardware for it.
    """

    metric: str
    epochs: int = 3
    batch_size: int = 64
    learner: str = "vision_learner"
    size: int = 128
    precision: Precision = "fp32"


USUAL = {
    "classify": Usual("accuracy"),
    "tag": Usual("f1"),
    "segment": Usual("mean_iou", epochs=7, batch_size=8, learner="unet_learner"),
    "points": Usual("pixel_error", epochs=4, batch_size=32),
    "numbers": Usual("mae", epochs=5),
    "text": Usual("accuracy", epochs=2, batch_size=16, learner="text_learner", size=128, precision="bf16"),
}
USUAL["sentiment"] = USUAL["text"]


class Wishes(TypedDict, total=False):
    """What `fine_tune` may be told; the meaning is told there, the defaults are those of `sentence_for`."""

    labels: str | Path | None
    column: str | Sequence[str] | None
    delimiter: str | None
    masks: str | None
    codes: str | Path | None
    ignore: str | None
    group: str | None
    task: Task
    backbone: str | None
    epochs: int | Sequence[int] | None
    first_tuned: int | None
    sizes: Sequence[Size] | None
    lr: LearningRate
    metric: str | None
    augment: str
    batch_size: int | Literal["auto"] | None
    accumulate: int
    checkpoint_activations: bool
    precision: Precision | None
    seed: int
    missing: str


def fine_tune(data: str | Path, **wishes: Unpack[Wishes]) -> Learner:
    """Train a model on a folder of images or texts, in the two steps; print how.

    Args:
        data: The folder. `train/` and `valid/` in it are the sides; else a fifth is held back at random. For texts also
            a CSV, whose longest column holds them.
        labels: A CSV that names the images and their labels; None labels by folder.
        column: The CSV's column of labels; None finds it by its name. For points and numbers the columns.
        delimiter: What separates several tags in one label; None finds it.
        masks: For "segment": where the masks are, within `data`, such as "labels/{stem}_P.png"; None looks for them.
        codes: For "segment": a text file of class names; None takes `codes.txt`.
        ignore: For "segment": the class whose pixels do not count; None takes one called void.
        group: A pattern such as "(.+)_[0-9]+": items for which it finds the same are never on both sides.
        task: "classify" for one label an item, "tag" for several, "segment" for a class a pixel, "points", "numbers";
            "text" (or "sentiment") for texts; "auto" looks at labels and masks.
        backbone: Any timm name, for texts any encoder of Hugging Face; None takes one whose weights come as a package.
        epochs: Epochs of the second step, one number or one a size; None takes the task's usual.
        first_tuned: The first layer group of the second step: 0 tunes all layers; None takes what suits the model, for
            photos and texts the upper half.
        sizes: Image sizes in pixels, or (height, width), smaller first: progressive resizing. None takes 128, for
            "segment" 180 along the shorter side. For texts the most tokens; None takes 128.
        lr: A rate for the first step, or "auto".
        metric: What to watch and keep the best epoch of; None takes the task's own.
        augment: Name of a preset: "default", "satellite", "document" or "none".
        batch_size: Items a batch; "auto" takes the largest that fits; None takes the task's usual.
        accumulate: Batches a step.
        checkpoint_activations: Less memory, more time.
        precision: "fp32", or "bf16" and "fp16" for mixed precision; None takes the task's usual, for texts bf16.
        seed: Decides the split and everything random.
        missing: "drop" leaves out rows of the CSV whose image is not there; "raise" refuses them.
    Returns:
        The trained learner, with the weights of its best epoch; for tags with the best threshold.
    """
    sentence = sentence_for(data, **wishes)
    print(sentence)
    learner = prepare(sentence)
    train(learner, sentence)
    return learner


def sentence_for(
    data: str | Path,
    *,
    labels: str | Path | None = None,
    column: str | Sequence[str] | None = None,
    delimiter: str | None = None,
    masks: str | None = None,
    codes: str | Path | None = None,
    ignore: str | None = None,
    group: str | None = None,
    task: Task = "auto",
    backbone: str | None = None,
    epochs: int | Sequence[int] | None = None,
    first_tuned: int | None = None,
    sizes: Sequence[Size] | None = None,
    lr: LearningRate = "auto",
    metric: str | None = None,
    augment: str = "default",
    batch_size: int | Literal["auto"] | None = None,
    accumulate: int = 1,
    checkpoint_activations: bool = False,
    precision: Precision | None = None,
    seed: int = 42,
    missing: str = "raise",
) -> Sentence:
    """Look at the data and return the sentence that `fine_tune` stands for; the arguments are its own."""
    presets = onecycle.augment.PRESETS
    if augment not in presets:
        raise DataError(
            f"augment={augment!r}.", f"one of: {', '.join(presets)}.", "check it." + suggest(augment, presets)
        )
    if task not in ("auto", *USUAL):
        raise DataError(f"task={task!r}.", f"auto, {', '.join(USUAL)}.", "check it." + suggest(str(task), USUAL))
    if sizes is not None and not sizes:
        raise DataError("No sizes were given.", "at least one.", "pass sizes=[128].")
    folder, table = Path(data), None if labels is None else Path(labels)
    if task == "auto" and (masks is not None or codes is not None):
        task = "segment"
    if table is None and task in ("tag", "numbers"):
        what = {"tag": "Tags", "numbers": "Numbers"}[task]
        raise DataError(
            f"{what} were asked for without labels=.", f"a CSV of {what.lower()}.", "pass labels='labels.csv'."
        )
    columns = [column] if isinstance(column, str) else column
    if task == "segment":
        labelled = layout.by_masks(folder, masks, None if codes is None else Path(codes), ignore, seed, group)
    elif task == "points":
        labelled = (
            layout.by_points(folder, table, columns, seed, missing, group) if table else layout.by_biwi(folder, seed)
        )
    elif task in ("text", "sentiment"):
        labelled = layout.by_texts(folder, table, columns[0] if columns else None, delimiter, seed, group)
    elif table is not None and task == "numbers":
        labelled = layout.by_numbers(folder, table, columns, seed, missing, group)
    elif table is not None:
        first = columns[0] if columns else None
        labelled, tags = layout.by_table(folder, table, first, delimiter, task, seed, missing, group)
        task = "tag" if tags else "classify"
    else:
        labelled, task = layout.by_folder(folder, seed, group), "classify"
    usual = USUAL[task]
    if sizes is None:
        sizes = [layout.rectangle(folder)] if task == "segment" else [usual.size]
    named = (backbone,) if backbone else ()
    if usual.learner == "text_learner":
        transform = Call("tokenize", named, {"max_length": max(sizes)})
    else:
        transform = Call("transform", (), {"size": sizes[0]})
        if task != "points" or augment != "default":  # for points the library's own default knows what may be mirrored
            transform.options["augment"] = Call(f"augment.{augment}")
    prepared = (
        transform,
        Call("databunch", (), {"batch_size": usual.batch_size if batch_size is None else batch_size, "seed": seed}),
    )
    metric, precision = metric or usual.metric, precision or usual.precision
    parts: dict[str, Any] = {"metrics": [metric], "callbacks": [Call("KeepBest", (metric,))]}
    parts |= {"accumulate": accumulate} if accumulate > 1 else {}
    parts |= {"checkpoint_activations": True} if checkpoint_activations else {}
    learner = Call(usual.learner, named, parts)
    options: dict[str, Any] = {"lr": lr}
    options |= {} if first_tuned is None else {"first_tuned": first_tuned}
    if len(sizes) > 1:
        options["sizes"] = list(sizes)
    steps = Call("fine_tune", (usual.epochs if epochs is None else epochs,), options)
    return Sentence(labelled, prepared, learner, steps, None if precision == "fp32" else Call(f"to_{precision}"))


def labelled_list(sentence: Sentence) -> LabelledList:
    """Run the sentence up to the labels."""
    on: Any = onecycle
    for call in sentence.labelled:
        on = call.run(on)
    labelled: LabelledList = on
    return labelled


def prepare(sentence: Sentence, *, on_bad_item: str = "raise") -> Learner:
    """Run the sentence up to the learner."""
    on: Any = labelled_list(sentence)
    for call in sentence.prepared:
        extra = {"on_bad_item": on_bad_item} if call.name == "databunch" and on_bad_item != "raise" else {}
        on = Call(call.name, call.arguments, {**call.options, **extra}).run(on)
    made = Call(sentence.learner.name, (on, *sentence.learner.arguments), sentence.learner.options)
    learner: Learner = made.run(onecycle)
    return learner if sentence.precision is None else sentence.precision.run(learner)


def train(learner: Learner, sentence: Sentence) -> None:
    """Run the training call, and for tags find the threshold, also when training was interrupted."""
    try:
        sentence.train.run(learner)
    finally:
        if len(learner.history) and isinstance(learner.target, onecycle.MultiCategory):
            learner.tune_threshold()
