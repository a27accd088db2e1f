"""Images with annotations of other tools: which of them are read, and what is learned from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from onecycle.errors import DataError, counted, some
from onecycle.recipes.annotation_files import AnnotationFiles, find_annotations
from onecycle.recipes.class_folders import class_counts, why_no_classes
from onecycle.recipes.data_kinds import find_masks
from onecycle.recipes.found_tables import find_tables
from onecycle.recipes.listing import Listing
from onecycle.recipes.options import FineTuneOptions
from onecycle.recipes.outside import with_annotations
from onecycle.recipes.pipeline import Call, public_package
from onecycle.recipes.split_calls import split_call

if TYPE_CHECKING:
    from onecycle.vision.annotations.stages import AnnotatedImages

_LABELS = {"classify": "label_choice", "tag": "label_tags", "segment": "label_masks", "points": "label_points"}
_LEARNED = {
    "classify": "the choice for each image", "tag": "what is in an image", "segment": "masks", "points": "points",
}  # fmt: skip


@dataclass(frozen=True)
class Made(Call):
    """A call that was made already: reading annotations takes a while, and is done once."""

    result: Any = None

    def run(self, owner: Any, package: ModuleType) -> Any:
        """Return what the call returned."""
        return self.result


@dataclass(frozen=True)
class AnnotationCalls:
    """The task, and the calls that find the images, split and label them."""

    task: str
    items: Call
    split: Call
    label: Call


def annotation_calls(data: Listing, task: str, options: FineTuneOptions, findings: list[str]) -> AnnotationCalls | None:
    """Return how annotations in a folder are read; None where there are none, or others are asked for.

    Raises:
        DataError: Several annotations, or others kinds of labels, are there; or several tasks fit.
    """
    source = _source(data, task, options)
    if source is None:
        return None
    if options.include is not None:
        raise with_annotations(options, str(source))
    package = public_package()
    call = source.call
    if (control := _control(source, options)) is not None:
        call = replace(call, options={**call.options, "choice": control})
    images: AnnotatedImages = call.run(package, package)
    chosen, why = _task(images, task, source)
    if control is not None and chosen in ("segment", "points"):
        raise DataError(
            f"column={control!r} with task={chosen!r} and the annotations of {source}.",
            f"a control of choices for classes and tags alone; {chosen!r} takes all shapes.",
            "leave column= out, or pass task='tag'.",
        )  # fmt: skip
    if chosen == "segment" and "Segmentation" in images.facts.image_sets:
        call = replace(call, options={**call.options, "image_sets": "Segmentation"})
        images = call.run(package, package)
    findings.append(f"annotations: {source}; {counted(len(images), 'image')}, {_classes(images)}")
    findings += [f"task: {chosen}, {why}"] if why else []
    label = Call(_LABELS[chosen], (), {"ignore": options.ignore} if chosen == "segment" and options.ignore else {})
    made = Made(call.name, call.arguments, call.options, images)
    return AnnotationCalls(chosen, made, _split(images, data, options, findings), label)


def _classes(images: AnnotatedImages) -> str:
    facts = images.facts
    text = f"{counted(len(facts.classes), 'class')}: {some(facts.classes, 6)}" if facts.classes else "no class"
    return text + (f"; points {some(facts.points, 6)}" if facts.points else "")


def _control(source: AnnotationFiles, options: FineTuneOptions) -> str | None:
    """Return the control of choices that column= names, which Label Studio alone has.

    Raises:
        DataError: The annotations have no such controls, or several are named.
    """
    given = [options.column] if isinstance(options.column, str) else list(options.column or ())
    choices = source.format == "Label Studio"
    if given and (len(given) > 1 or not choices):
        raise DataError(
            f"column={options.column!r} with the annotations of {source}.",
            "one control of choices." if choices else "column= with a table of labels, or with Label Studio's choices.",
            "name one of them as column=." if choices else "leave column= out, or name the table as labels=.",
        )  # fmt: skip
    return given[0] if given else None


def _source(data: Listing, task: str, options: FineTuneOptions) -> AnnotationFiles | None:
    """Return the annotations that are meant.

    Raises:
        DataError: They could be several, or there are other labels besides.
    """
    given = (options.masks, options.codes, options.colours, options.values)
    if task not in ("auto", *_LABELS) or any(each is not None for each in given):
        return None
    if options.labels is not None:
        return _named(Path(options.labels), data)
    sources = find_annotations(data)
    if task == "classify":
        sources = [one for one in sources if one.format == "Label Studio" and why_no_classes(data) is not None]
    if len(sources) > 1:
        raise DataError(
            f"{data.root} has {len(sources)} kinds of annotations: {'; '.join(map(str, sources[:4]))}.",
            "one of them.", f"pass {' or '.join(f'labels={one.label!r}' for one in sources[:4])}.",
        )  # fmt: skip
    if sources:
        _refuse_others(data, sources[0], options, task)
    return sources[0] if sources else None


def _named(path: Path, data: Listing) -> AnnotationFiles | None:
    """Return the annotations at a path, in the folder of the images or elsewhere; None where it is a table.

    Raises:
        DataError: It is a file of another kind.
    """
    kinds = (".json", ".xml", ".yaml", ".yml")
    if path.suffix.lower() not in (*kinds, ".csv", ".txt", ".names") and not path.is_dir():
        return None
    for one in find_annotations(data):
        if path.resolve() in [(data.root / name).resolve() for name in (one.label, *one.files)]:
            return one
    if path.is_file():
        for one in find_annotations(Listing(path.parent, (path.name,), ())):
            return replace(one, call=replace(one.call, options={**one.call.options, "folder": str(data.root)}))
    if path.suffix.lower() not in kinds:
        return None
    raise DataError(
        f"No annotations are found in {path}.", "annotations as COCO, YOLO, Label Studio or CVAT write them.",
        "check the path, or convert them to a CSV file and pass labels='labels.csv'.",
    )  # fmt: skip


def _refuse_others(data: Listing, source: AnnotationFiles, options: FineTuneOptions, task: str) -> None:
    """Refuse labels of another kind beside annotations."""
    others = [(f"{one.name}, which names images too", f"labels={one.name!r} for the table")
              for one in find_tables(data, options) if one.name not in source.files]  # fmt: skip
    if source.format != "Pascal VOC" and (masks := find_masks(data)):
        others.append((f"masks ({masks})", "masks= for the masks"))
    folders = class_counts(data.images)
    if task == "auto" and source.format in ("COCO", "Pascal VOC") and why_no_classes(data) is None:
        others.append((f"what looks like a folder per class ({some(folders, 4)})", "task='classify' for the folders"))
    if others:
        raise DataError(
            f"{data.root} has annotations ({source}), and {others[0][0]}.", "one of both, so that nothing is guessed.",
            f"pass labels={source.label!r} for the annotations, or {others[0][1]}.",
        )  # fmt: skip


def _task(images: AnnotatedImages, task: str, source: AnnotationFiles) -> tuple[str, str]:
    """Return what is learned, and why, where that was not asked for.

    Raises:
        DataError: Several tasks fit, or several controls of choices.
    """
    counts, controls = images.counts(), images.facts.controls
    if len(controls) > 1 and (task == "classify" or (task == "auto" and not counts["segment"] + counts["points"])):
        raise DataError(
            f"{source} has {len(controls)} controls of choices: {some(controls, 6)}.", "one of them.",
            f"pass {' or '.join(f'column={name!r}' for name in controls[:6])}.",
        )  # fmt: skip
    if task != "auto":
        return task, ""
    fitting = [name for name in ("classify", "points") if counts[name]]
    fitting += ["segment"] if counts["segment"] > counts["tag"] / 2 or (counts["segment"] and fitting) else []
    if len(fitting) > 1:
        known = [name for name in _LABELS if name in fitting or name == "tag"]
        held = some((f"{_LEARNED[name]} ({counted(counts[name], 'image')})" for name in known), 4)
        raise DataError(
            f"Several tasks fit the annotations of {source}: {held}.", "one task.",
            f"pass {' or '.join(f'task={name!r}' for name in known)}.",
        )  # fmt: skip
    chosen = fitting[0] if fitting else "tag"
    count = counts[chosen]
    if chosen == "tag" and counts["segment"]:
        have = counted(count, "image", ("has", "have"))
        why = f"{counts['segment']:,} of {have} polygons; task='segment' learns masks from those"
    elif chosen == "tag" and controls:
        why = "what is in an image: several choices for one"
    elif chosen == "tag":
        why = "what is in an image, not where: there are boxes alone, and nothing here learns boxes"
    else:
        why = f"{_LEARNED[chosen]} of {counted(count, 'image')}; task='tag' learns what is in them"
    return chosen, why


def _split(images: AnnotatedImages, data: Listing, options: FineTuneOptions, findings: list[str]) -> Call:
    splits = images.published_splits
    if options.valid is not None or options.group is not None or not splits:
        findings += [f"split: {note}" for note in images.facts.split_notes]
        return split_call(options, data)
    findings.append(f"split: {some(splits, 3)}, as published")
    return Call("split_as_published", (), {} if "valid" in splits else {"seed": options.seed})
