"""One call per task: builds the code for the user's data, prints it and runs it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onecycle.calls import explain_call, explained
from onecycle.data.bunch import DataBunch
from onecycle.data.items import ItemList
from onecycle.data.label import SplitList
from onecycle.data.labelled import LabelledItems
from onecycle.data.remote import as_local
from onecycle.errors import DataError, ModelError, suggest, with_article
from onecycle.recipes.code import given
from onecycle.recipes.layout import Layout, proportional_size
from onecycle.recipes.options import FineTuneOptions, Precision, Size
from onecycle.recipes.pipeline import Call, Pipeline, public_package
from onecycle.recipes.table_layout import layout_of
from onecycle.train.callbacks import KeepBest
from onecycle.train.checkpoint import has_ended
from onecycle.train.option_fields import takes_options
from onecycle.train.options import TrainOptions
from onecycle.vision.augment import PRESETS

if TYPE_CHECKING:
    from onecycle.train.learner import Learner


@dataclass(frozen=True)
class TaskDefaults:
    """What is used for a task where the user passes nothing.

    Attributes:
        metric: What is reported, and chooses the best epoch.
        epochs: Epochs after the head was trained; None lets `Learner.fine_tune` choose.
        batch_size: Items per batch.
        learner: The function that makes the learner.
        size: Largest number of pixels along a side, or of tokens; None takes the proportions of the images.
        precision: bf16 halves the time of a transformer wherever there is hardware for it.
    """

    metric: str
    epochs: int | None = 3
    batch_size: int = 64
    learner: str = "vision_learner"
    size: int | None = 128
    precision: Precision = "fp32"


_TEXT = TaskDefaults("accuracy", epochs=2, batch_size=16, learner="text_learner", precision="bf16")
TASK_DEFAULTS = {
    "classify": TaskDefaults("accuracy", epochs=None),
    "tag": TaskDefaults("f1"),
    "segment": TaskDefaults("mean_iou", epochs=7, batch_size=8, learner="unet_learner", size=None),
    "points": TaskDefaults("pixel_error", epochs=4, batch_size=32),
    "numbers": TaskDefaults("mae", epochs=5),
    "text": _TEXT,
    "sentiment": _TEXT,
}

# With a probability for each class. Of tags it finds the threshold too.
CALIBRATED = frozenset({"classify", "tag", "segment", "text", "sentiment"})

# Options of training that are not passed on as they are: the pipeline completes the first two, the data has the seed.
_COMPLETED = ("metrics", "callbacks", "seed")
_NAMES = frozenset(field.name for field in dataclasses.fields(FineTuneOptions))


@explained
@takes_options(FineTuneOptions)
def fine_tune(data: Any, **options: Any) -> Learner:
    """Train a model on a folder of images or texts; print the code that does it.

    Args:
        data: The folder. `train/` and `valid/` in it are the splits; without them a random fifth validates. Or a CSV
            file, Parquet files or WebDataset tars, or a folder of these; a Hugging Face dataset, or a table of any
            library. Of texts in a table, the column with the most words is read.
        options: All options of `FineTuneOptions`:
    Returns:
        The trained learner, with the weights of its best epoch; for tags with the best threshold.
    Raises:
        ModelError: An option is unknown or has an invalid value.
        DataError: The data is not what the task needs.
    Example:
        >>> learner = oc.fine_tune("photos/", epochs=3)  # doctest: +SKIP
    """
    _check_place(data)
    if wrong := explain_call(fine_tune, [data], {name: value for name, value in options.items() if name in _NAMES}):
        raise wrong
    pipeline = build_pipeline(data, FineTuneOptions.from_keywords("fine_tune", **options))
    print(pipeline)
    learner = prepare(pipeline)
    train(learner, pipeline)
    return learner


def _check_place(data: Any) -> None:
    """Refuse what the user has made with the data block already: from there on, each step is a call.

    Raises:
        DataError: It is a list, a bunch, or a stage between; or no data at all.
    """
    stages = {ItemList: 0, SplitList: 1, LabelledItems: 2, DataBunch: 4}
    stage = next((done for kind, done in stages.items() if isinstance(data, kind)), None)
    expected = "a folder, a CSV or Parquet file, or a table."
    given_as = f"fine_tune() was given {with_article(type(data).__name__)}."
    if data is None or isinstance(data, list | tuple | int | float):
        raise DataError(given_as, expected, "pass the folder that holds the items, such as fine_tune('photos/').")
    if stage is None:
        return
    of_texts = data.modality.reads_text_directly
    masks = getattr(getattr(data, "target", None), "kind", None) == "mask"
    maker = "text_learner" if of_texts else "unet_learner" if masks else "vision_learner"
    rest = ("split_random()", "label_from_folder()", "transform(128)", "databunch()")
    calls = "".join(f".{call}" for call in rest[stage:] if (maker, call) != ("text_learner", "transform(128)"))
    raise DataError(
        given_as,
        expected,
        f"call {maker}(data{calls}).fine_tune(3), or pass the folder that the data are from.",
    )


def build_pipeline(data: Any, options: FineTuneOptions | None = None, layout: Layout | None = None) -> Pipeline:
    """Look at the data and return the calls that train a model on it.

    Args:
        data: As for `fine_tune`.
        options: None takes the default of every option.
        layout: How the data is read, as `layout_of` returned it; None looks at the data.
    Raises:
        DataError: The data is not what the task needs, or an option does not fit it.
    """
    options = options or FineTuneOptions()
    if isinstance(data, str | Path):
        data = as_local(data)  # which prints what it copies
    _check_augment(options.augment)
    layout = layout or layout_of(data, options)
    defaults = TASK_DEFAULTS[layout.task]
    sizes = _sizes(data, options, defaults)
    precision = options.precision or defaults.precision
    return Pipeline(
        items=layout.items,
        labelled=(
            *_corrected(options),
            *_reading(options),
            layout.split,
            layout.label,
            *([layout.test] if layout.test else []),
        ),
        loaders=(_input_call(layout, options, defaults, sizes), _loader_call(options, defaults)),
        learner=_learner_call(layout, options, defaults),
        train=_training_call(options, defaults, sizes),
        precision=None if precision == "fp32" else Call(f"to_{precision}"),
        finish=(Call("calibrate"),) if layout.task in CALIBRATED else (),
        findings=layout.findings,
    )


def prepare(pipeline: Pipeline) -> Learner:
    """Run the calls up to the learner, and print what was found and what is left out."""
    items = pipeline.find_items()
    labelled = pipeline.label(items)
    for line in [*items.left_out().splitlines(), *repr(labelled).splitlines()]:
        print(f"# {line}")
    learner: Learner = pipeline.make_learner(labelled)
    learner.state.code = pipeline.code
    return learner


def train(learner: Learner, pipeline: Pipeline, checkpoint: Path | None = None) -> None:
    """Train, then find out how sure the model may be, also where training was interrupted after an epoch.

    Args:
        learner: As `prepare` returns it.
        pipeline: What the learner was made by.
        checkpoint: Where to go on from; None begins the training.
    """
    try:
        if checkpoint is None:
            pipeline.run_training(learner)
        else:
            learner.resume(checkpoint)
    finally:
        if len(learner.history):
            pipeline.run_finish(learner)


def best_of(learner: Learner, pipeline: Pipeline, checkpoint: Path, *, allow_other_split: bool = False) -> None:
    """Load a checkpoint, with the weights of the best epoch until then, on inputs of the size that it had reached.

    Args:
        learner: As `prepare` returns it.
        pipeline: What the learner was made by.
        checkpoint: The checkpoint.
        allow_other_split: See `Learner.load`.
    Raises:
        ModelError: No epoch had ended yet.
    """
    sizes = pipeline.train.options.get("sizes", ())
    if sizes and has_ended(checkpoint):
        learner.data = learner.data.resize(sizes[-1])
    learner.load(checkpoint, allow_other_split=allow_other_split)
    if not len(learner.history):
        raise ModelError(
            f"{checkpoint} was saved before the first epoch was complete.",
            "at least one epoch.",
            "go on with the run: onecycle train DATA --out RUN --resume.",
        )
    for size in sizes if learner.state.plan is not None else ():  # loaded at the first size, as it was begun
        if (resized := learner.data.resize(size)).modality.describe().model == learner.history[-1].inputs:
            learner.data = resized
    for callback in learner.callbacks:
        if isinstance(callback, KeepBest):
            callback.restore(learner.state)
    if learner.state.fit is not None:
        pipeline.run_finish(learner)


def _reading(options: FineTuneOptions) -> list[Call]:
    """Return the call that says how images are read, if the user does."""
    given_options = {name: getattr(options, name) for name in ("range", "page", "orientation")}
    said = {name: value for name, value in given_options.items() if value is not None}
    return [Call("read_as", (), said)] if said else []


def _corrected(options: FineTuneOptions) -> list[Call]:
    """Return the call that applies corrections, if there are any."""
    return [] if options.corrections is None else [Call("corrected", (str(options.corrections),))]


def _check_augment(name: str) -> None:
    if not isinstance(name, str) or name not in PRESETS:
        raise DataError(
            f"augment={name!r}.", f"one of: {', '.join(PRESETS)}.",
            f"check the spelling.{suggest(str(name), PRESETS)}",
        )  # fmt: skip


def _sizes(data: Any, options: FineTuneOptions, defaults: TaskDefaults) -> list[Size]:
    if options.sizes is None:
        return [proportional_size(Path(data)) if defaults.size is None else defaults.size]
    return [options.sizes] if isinstance(options.sizes, int) else list(options.sizes)


def _backbone(options: FineTuneOptions) -> tuple[str, ...]:
    return (options.backbone,) if options.backbone else ()


def _input_call(layout: Layout, options: FineTuneOptions, defaults: TaskDefaults, sizes: list[Size]) -> Call:
    """Return the call that prepares the inputs: `tokenize` for texts, `transform` for images."""
    if defaults.learner == "text_learner":
        return Call("tokenize", _backbone(options), {"max_length": max(_tokens(size) for size in sizes)})
    call = Call("transform", (), {"size": sizes[0]})
    # The default augmentation of points is the library's: it knows which points have a mirrored counterpart.
    if layout.task != "points" or options.augment != "default":
        call.options["augment"] = Call(f"augment.{options.augment}")
    return call


def _tokens(size: Size) -> int:
    if isinstance(size, tuple):
        raise DataError(f"sizes={size!r} for texts.", "numbers of tokens.", "pass sizes=128.")
    return size


def _loader_call(options: FineTuneOptions, defaults: TaskDefaults) -> Call:
    batch_size = defaults.batch_size if options.batch_size is None else options.batch_size
    call = Call("databunch", (), {"batch_size": batch_size, "seed": options.seed})
    if options.on_bad_item != "raise":
        call.options["on_bad_item"] = options.on_bad_item
    return call


def _learner_call(layout: Layout, options: FineTuneOptions, defaults: TaskDefaults) -> Call:
    """Return the call that makes the learner, with every option of training that differs from its default."""
    package = public_package()
    metric = options.metric or ("f1" if layout.has_tags else defaults.metric)
    metrics = [given(f"metrics[{number}]", each, package) for number, each in enumerate(options.metrics or ())]
    callbacks = [given(f"callbacks[{number}]", each, package) for number, each in enumerate(options.callbacks)]
    passed: dict[str, Any] = {
        "metrics": [metric, *(each for each in metrics if each != metric)],
        "callbacks": [Call("KeepBest", (metric,)), *callbacks],
    }
    for field in dataclasses.fields(TrainOptions):
        value = getattr(options, field.name)
        if field.name not in _COMPLETED and value is not field.default and value != field.default:
            passed[field.name] = given(field.name, value, package)
    return Call(defaults.learner, _backbone(options), passed)


def _training_call(options: FineTuneOptions, defaults: TaskDefaults, sizes: list[Size]) -> Call:
    epochs = defaults.epochs if options.epochs is None else options.epochs
    given_epochs = () if epochs is None else (epochs if isinstance(epochs, int) else list(epochs),)
    call = Call("fine_tune", given_epochs, {"lr": options.lr})
    if options.freeze_to is not None:
        call.options["freeze_to"] = options.freeze_to
    if len(sizes) > 1:
        call.options["sizes"] = sizes
    return call
