"""One call per task: a thin layer over the data block that prints the sentence it stands for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import onecycle
from onecycle.data.items import read_csv
from onecycle.data.label import LabelledList
from onecycle.errors import DataError, some, suggest
from onecycle.train.fit import LearningRate
from onecycle.train.learner import Learner

Task = Literal["auto", "classify", "tag"]

_SIDES = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val"),
    "test": ("test", "testing"),
}
_LABEL_COLUMNS = ("tags", "labels", "label", "class", "category", "target")


@dataclass(frozen=True)
class Call:
    """A call that can be printed as code and run: the printed sentence is the one that is run."""

    name: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        written = [_code(value) for value in self.arguments]
        written += [f"{name}={_code(value)}" for name, value in self.options.items()]
        return f"{self.name}({', '.join(written)})"

    def run(self, on: Any) -> Any:
        """Call the function or method called `name` of `on`."""
        for part in self.name.split("."):
            on = getattr(on, part)
        return on(*map(_value, self.arguments), **{name: _value(value) for name, value in self.options.items()})


@dataclass(frozen=True)
class Sentence:
    """The data block from input to loaders, and the learner, as calls.

    Attributes:
        labelled: From the inputs to labels.
        prepared: From labels to loaders.
        learner: The learner's call, less the bunch.
        train: The training call.
    """

    labelled: tuple[Call, ...]
    prepared: tuple[Call, ...]
    learner: Call
    train: Call

    def __str__(self) -> str:
        first, *rest = (*self.labelled, *self.prepared)
        learner = Call(self.learner.name, (_Name("bunch"), *self.learner.arguments), self.learner.options)
        return "\n".join([
            "bunch = (", f"    oc.{first}", *(f"    .{call}" for call in rest), ")",
            f"learner = oc.{learner}", f"learner.{self.train}",
        ])  # fmt: skip


def fine_tune(
    data: str | Path,
    *,
    labels: str | Path | None = None,
    column: str | None = None,
    delimiter: str | None = None,
    task: Task = "auto",
    backbone: str | None = None,
    epochs: int | Sequence[int] = 3,
    sizes: Sequence[int] = (128,),
    lr: LearningRate = "auto",
    metric: str | None = None,
    augment: str = "default",
    batch_size: int = 64,
    seed: int = 42,
    missing: str = "raise",
) -> Learner:
    """Train a model on a folder of photos, or on a folder and a CSV of labels, in the two steps; print how.

    Args:
        data: The folder. `train/` and `valid/` in it are the sides; else a fifth is held back at random.
        labels: A CSV that names the images and their labels; None labels by folder.
        column: The CSV's column of labels; None finds it by its name.
        delimiter: What separates several tags in one label; None finds it.
        task: "classify" for one label an item, "tag" for several, "auto" looks at the labels.
        backbone: Any timm name; None takes the one whose weights come as a package.
        epochs: Epochs of the second step, one number or one a size.
        sizes: Image sizes in pixels, smaller first: progressive resizing.
        lr: A rate for the first step, or "auto".
        metric: What to watch and keep the best epoch of; None takes the task's own.
        augment: Name of a preset: "default", "satellite", "document" or "none".
        batch_size: Items a batch.
        seed: Decides the split and everything random.
        missing: "drop" leaves out rows of the CSV whose image is not there; "raise" refuses them.
    Returns:
        The trained learner, with the weights of its best epoch; for tags with the best threshold.
    """
    sentence = sentence_for(
        data, labels=labels, column=column, delimiter=delimiter, task=task, backbone=backbone, epochs=epochs,
        sizes=sizes, lr=lr, metric=metric, augment=augment, batch_size=batch_size, seed=seed, missing=missing,
    )  # fmt: skip
    print(sentence)
    learner = prepare(sentence)
    train(learner, sentence)
    return learner


def sentence_for(
    data: str | Path,
    *,
    labels: str | Path | None = None,
    column: str | None = None,
    delimiter: str | None = None,
    task: Task = "auto",
    backbone: str | None = None,
    epochs: int | Sequence[int] = 3,
    sizes: Sequence[int] = (128,),
    lr: LearningRate = "auto",
    metric: str | None = None,
    augment: str = "default",
    batch_size: int = 64,
    seed: int = 42,
    missing: str = "raise",
) -> Sentence:
    """Look at the data and return the sentence that `fine_tune` stands for; the arguments are its own."""
    presets = onecycle.augment.PRESETS
    if augment not in presets:
        raise DataError(
            f"augment={augment!r}.", f"one of: {', '.join(presets)}.", "check it." + suggest(augment, presets)
        )
    if task not in ("auto", "classify", "tag"):
        raise DataError(
            f"task={task!r}.",
            '"auto", "classify" or "tag".',
            "check it." + suggest(str(task), ["classify", "tag"]),
        )
    if not sizes:
        raise DataError("No sizes were given.", "at least one.", "pass sizes=[128].")
    if labels is None:
        if task == "tag":
            raise DataError("Tags were asked for without labels=.", "a CSV of tags.", "pass labels='tags.csv'.")
        labelled = _by_folder(Path(data), seed)
        metric = metric or "accuracy"
    else:
        labelled, tags = _by_table(Path(data), Path(labels), column, delimiter, task, seed, missing)
        metric = metric or ("f1" if tags else "accuracy")
    prepared = (
        Call("transform", (), {"size": sizes[0], "augment": Call(f"augment.{augment}")}),
        Call("databunch", (), {"batch_size": batch_size, "seed": seed}),
    )
    learner = Call("vision_learner", (backbone,) if backbone else (), {
        "metrics": [metric], "callbacks": [Call("KeepBest", (metric,))],
    })  # fmt: skip
    options: dict[str, Any] = {"lr": lr}
    if len(sizes) > 1:
        options["sizes"] = list(sizes)
    return Sentence(labelled, prepared, learner, Call("fine_tune", (epochs,), options))


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
    learner: Learner = Call(sentence.learner.name, (on, *sentence.learner.arguments), sentence.learner.options).run(
        onecycle
    )
    return learner


def train(learner: Learner, sentence: Sentence) -> None:
    """Run the training call, and for tags find the threshold, also when training was interrupted."""
    try:
        sentence.train.run(learner)
    finally:
        if len(learner.history) and isinstance(learner.target, onecycle.MultiCategory):
            learner.tune_threshold()


def _by_folder(data: Path, seed: int) -> tuple[Call, ...]:
    return (
        Call("ImageList.from_folder", (str(data),)),
        _split(data, "folder", seed),
        Call("label_from_folder"),
    )


def _split(data: Path, stratify: str | None, seed: int) -> Call:
    """Split by the folders `train/` and `valid/` where they are there, under their usual names, else at random."""
    folders = {entry.name for entry in data.iterdir() if entry.is_dir()} if data.is_dir() else set()
    found = {side: next((name for name in names if name in folders), None) for side, names in _SIDES.items()}
    held = {"valid": found["valid"], "test": found["test"]} if found["valid"] else {"valid": found["test"]}
    if found["train"] and held["valid"]:
        named = {"train": found["train"], **held}
        return Call("split_by_folder", (), {side: name for side, name in named.items() if name})
    stratified = {"stratify": stratify} if stratify else {}
    return Call("split_random", (), {"valid": 0.2, "seed": seed, **stratified})


def _by_table(
    data: Path, labels: Path, column: str | None, delimiter: str | None, task: Task, seed: int, missing: str
) -> tuple[tuple[Call, ...], bool]:
    table = read_csv(labels)
    names = table.column_names
    if column is None:
        column = next((name for name in _LABEL_COLUMNS if name in names), names[1] if len(names) == 2 else None)
    if column is None or column not in names:
        raise DataError(
            f"There is no column {column!r} in {labels}." if column else f"Which column of {labels} holds the labels?",
            f"one of: {some(names, 20)}.",
            "pass column= (--column)." + (suggest(column, names) if column else ""),
        )
    values = [str(value or "") for value in table[column].to_pylist()]
    delimiter = delimiter or (None if task == "classify" else _likely_delimiter(values))
    tags = task == "tag" or (task == "auto" and delimiter is not None)
    folder, suffix = _where(data, [str(name) for name in table[names[0]].to_pylist()])
    options = {"folder": str(folder), **({"suffix": suffix} if suffix else {})}
    if missing != "raise":
        options["missing"] = missing
    label: dict[str, Any] = {"delimiter": delimiter or " ", "classes": "all"} if tags else {}
    calls = (
        Call("ImageList.from_csv", (str(labels),), options),
        Call("split_random", (), {"valid": 0.2, "seed": seed, **({} if tags else {"stratify": column})}),
        Call("label_from_column", (column,), label),
    )
    return calls, tags


def _likely_delimiter(values: list[str]) -> str | None:
    """Return what separates tags, if the values look like tags: pieces recur far more than whole values do."""
    for delimiter in (" ", ",", ";", "|"):
        several = [value for value in values if delimiter in value]
        if len(several) < max(len(values) / 20, 1):
            continue
        pieces = {piece for value in several for piece in re.split(re.escape(delimiter) + r"\s*", value) if piece}
        alone = sum(value in pieces for value in values if delimiter not in value)
        # "polar bear" is one label: its pieces never stand alone. Tags do, or come in ever new combinations.
        if alone >= len(values) / 20 or len(set(several)) > len(pieces):
            return delimiter
    return None


def _where(data: Path, names: list[str]) -> tuple[Path, str]:
    """Find the folder below `data` that holds the images that the CSV names, and the suffix it leaves out."""
    if not data.is_dir():
        raise DataError(f"No such folder: {data}.", "the folder with the images.", "check the path.")
    first = set(names[:2000])
    for name in names[:20]:
        if (data / name).is_file():
            return data, ""
    for path in data.rglob("*"):
        if path.suffix and (path.name in first or path.stem in first):
            return path.parent, "" if path.name in first else path.suffix
    raise DataError(
        f"None of the images that the CSV names is below {data}, such as {some(names, 3)}.",
        "images named by the CSV's first column, with or without suffix.",
        "pass the folder with the images.",
    )


class _Name(str):
    """A name in the printed code, and no text."""


def _code(value: Any) -> str:
    if isinstance(value, Call):
        return f"oc.{value}"
    if isinstance(value, list):
        return f"[{', '.join(map(_code, value))}]"
    if isinstance(value, str) and not isinstance(value, _Name):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


def _value(value: Any) -> Any:
    if isinstance(value, Call):
        return value.run(onecycle)
    return [_value(one) for one in value] if isinstance(value, list) else value
