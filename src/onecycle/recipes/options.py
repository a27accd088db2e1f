"""The options of a recipe, each defined once, for `fine_tune`, the command line and the code that is printed.

Like `onecycle.train.options`, this module imports nothing heavy, and the types of its options are types.
"""

# ruff: noqa: RUF009  option() returns a dataclass field

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from onecycle.errors import DataError, suggest
from onecycle.train.option_fields import Rule, document_fields, is_whole, option
from onecycle.train.options import LearningRate, TrainOptions
from onecycle.vision.read_options import Orientation

Task = Literal["auto", "classify", "tag", "segment", "points", "numbers", "text", "sentiment"]
Precision = Literal["fp32", "bf16", "fp16"]
Missing = Literal["raise", "drop"]
OnBadItem = Literal["raise", "skip"]
Size = int | tuple[int, int]
Sizes = int | Sequence[Size] | None
Epochs = int | Sequence[int] | None
Columns = str | Sequence[str] | None
BatchSize = int | Literal["auto"] | None
Colours = str | Path | Sequence[tuple[int, int, int]] | None
Values = Sequence[int] | None
Range = Sequence[float] | None
Held = str | Path | float | None
Ignore = str | int | None


def _are_epochs(value: Any) -> bool:
    counts = value if isinstance(value, list | tuple) else [value]
    return bool(counts) and all(is_whole(count) and count >= 0 for count in counts)


@document_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuneOptions(TrainOptions):
    """All that `fine_tune` takes besides the data.

    Example:
        >>> FineTuneOptions(task="segment", sizes=[(90, 120)]).task
        'segment'
    """

    task: Task = option(
        "auto",
        "Kind of labels: classify (one class per item), tag (several per item), segment (a class per pixel), points, "
        "numbers, or text (classes or tags of texts; sentiment is the same). auto decides by labels and masks.",
        panel="Data",
    )
    labels: str | Path | None = option(
        None,
        "CSV file with the names of the items and their labels; or annotations of COCO, YOLO (data.yaml), Label Studio "
        "or CVAT. Default: what is found in the folder.",
        panel="Data",
    )
    column: Columns = option(
        None,
        "Column of the CSV file with the labels; for points and numbers, several. Default: found by names and values.",
        panel="Data",
    )
    image_column: str | None = option(
        None, "Column of the CSV file that names the images. Default: the one whose values name most.", panel="Data"
    )
    text_column: str | None = option(
        None, "Column of the CSV file with the texts. Default: the one with the most words in a row.", panel="Data"
    )
    suffix: str | None = option(
        None, "What the CSV file leaves out of the images' names, such as .jpg. Default: found in the folder.",
        panel="Data",
    )  # fmt: skip
    separator: str | None = option(
        None, "Text between the fields of the CSV file. Default: found in the file.", panel="Data"
    )
    encoding: str | None = option(None, "Character encoding of the CSV file. Default: detected.", panel="Data")
    header: bool = option(
        True,
        "Take the first line of the CSV file for the columns' names; without, they are column_1, column_2, ...",
        panel="Data",
    )
    include: Columns = option(
        None, "Folders in the data folder that are searched. Default: all but test sets.", panel="Data"
    )
    folder_level: int | None = option(
        None,
        "Which folder is the class: 1 for the one that a file is in, 2 for the one above that. Default: 1, where "
        "there is one kind of folder.",
        panel="Data",
        rule=Rule(lambda value: is_whole(value) and value >= 1, "1 or more.", "1"),
    )
    range: Range = option(
        None,
        "For images of more than 8 bits or floats: the values that become black and white, such as 0,4095 for 12 bits. "
        "Default: all that 16 bits hold, of floats 0 to 1.",
        panel="Data",
    )
    page: int | None = option(
        None, "Page of image files that have several, from 0. Default: the first, which is said.", panel="Data"
    )
    orientation: Orientation | None = option(
        None,
        "apply turns photos as their EXIF data says, ignore reads them as they are stored. Default: apply, unless "
        "masks or points show otherwise.",
        panel="Data",
    )
    valid: Held = option(
        None,
        "What validates: a folder in the data, a file that names the items, a column of the CSV file, or a fraction. "
        "Default: a folder or column of a usual name, else a random fifth.",
        panel="Data",
    )
    test: str | Path | None = option(
        None,
        "A test set: a folder, or a CSV file that names its items. Default: a folder of a usual name.",
        panel="Data",
    )
    delimiter: str | None = option(
        None, "Text between the tags of an item. Default: found in the labels.", panel="Data"
    )
    masks: str | Path | None = option(
        None,
        "Path of the masks inside the data folder, such as labels/{stem}_P.png. Default: a folder with a usual name, "
        "such as labels or masks.",
        panel="Data",
    )
    codes: str | Path | None = option(
        None, "Text file with the class names of masks, one per line. Default: codes.txt in the data folder.",
        panel="Data",
    )  # fmt: skip
    ignore: Ignore = option(
        None,
        "Class of the masks, or value in them, whose pixels do not count. Default: a class called void, if any.",
        panel="Data",
    )
    colours: Colours = option(
        None,
        "For colour-coded masks: red, green and blue of each class, as 0,0,0;128,64,0 or in a text file, a line each.",
        panel="Data",
    )
    values: Values = option(
        None, "Value of each class in the masks, such as 0,255. Default: 0, 1, 2, ..., or as many others as there are.",
        panel="Data",
    )  # fmt: skip
    group: str | None = option(
        None,
        "Regular expression, such as '(.+)_[0-9]+'. Items for which it finds the same text are never divided between "
        "the training and the validation set.",
        panel="Data",
    )
    missing: Missing = option(
        "raise",
        "For rows of the CSV file without an image or without a label: raise stops, drop leaves them out.",
        panel="Data",
    )
    corrections: str | Path | None = option(
        None,
        "Parquet or CSV file of what people decided about items, as onecycle review writes it: which labels are wrong, "
        "and which items should go.",
        panel="Data",
    )
    seed: int = option(42, "Seed of the split and of everything else that is random.", panel="Data")
    backbone: str | None = option(
        None,
        "Name of a timm model; for texts, of a Hugging Face encoder. Default: a model whose weights are installed as a "
        "package.",
        panel="Model",
    )
    sizes: Sizes = option(
        None,
        "Image sizes in pixels, smaller first: training begins with the first and goes on with the next. A size is a "
        "number for a square, or height and width. For texts, the largest number of tokens. Default: by task.",
        panel="Model",
    )
    augment: str = option(
        "default", "Augmentation of training images: default, satellite, document, scenes or none.", panel="Model"
    )
    epochs: Epochs = option(
        None,
        "Epochs after the head alone was trained: one number, or one for each size. Default: by task; for classes of "
        "images, by how often the head alone is right.",
        rule=Rule(_are_epochs, "a whole number of 0 or more, or one for each size.", "3"),
    )
    freeze_to: int | None = option(
        None,
        "Layer groups before this one stay frozen after the head was trained; 0 trains all layers. Default: by model.",
        formerly="first_tuned",
        rule=Rule(lambda value: is_whole(value) and value >= 0, "a whole number of 0 or more.", "0"),
    )
    lr: LearningRate = option("auto", "Learning rate of the head, or auto to find one.")
    metric: str | None = option(
        None,
        "Metric to report and to choose the best epoch by, such as accuracy, f1, f2 or auroc. Default: by task.",
    )
    on_bad_item: OnBadItem = option(
        "raise", "For files that cannot be read: raise stops, skip leaves them out with a warning."
    )
    batch_size: BatchSize = option(
        None, "Items per batch, or auto for the largest batch that fits into memory. Default: by task.", panel="Memory"
    )
    precision: Precision | None = option(
        None, "fp32, or bf16 or fp16 for mixed precision. Default: by task, bf16 for texts.", panel="Memory"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None or field.default is not None:
                _check_choice(field.name, value, choices(field.type))
        if self.sizes is not None and not isinstance(self.sizes, int) and not self.sizes:
            raise DataError("sizes= is empty.", "at least one size.", "pass sizes=[128].")


def choices(option_type: Any) -> tuple[str, ...]:
    """Return the words that an option of this type accepts; empty for a type that accepts other values too."""
    if get_origin(option_type) is Literal:
        return get_args(option_type)
    members = [each for each in get_args(option_type) if each is not type(None)]
    return choices(members[0]) if len(members) == 1 else ()


def _check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if allowed and value not in allowed:
        raise DataError(
            f"{name}={value!r}.", f"one of: {', '.join(allowed)}.",
            f"check the spelling.{suggest(str(value), allowed)}",
        )  # fmt: skip
