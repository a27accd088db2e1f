"""The command line. Nothing heavy is imported before a command runs, so that --help is instant."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onecycle.errors import DataError, OnecycleError
from onecycle.imports import without_collecting

if TYPE_CHECKING:
    from onecycle.recipes import Sentence
    from onecycle.train.learner import Learner
    from onecycle.train.predictor import Predictor

app = typer.Typer(
    help="From a pile of files to a trained, explained and shippable model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Data = Annotated[
    Path, typer.Argument(help="Folder of images or texts (or a CSV of texts); train/ and valid/ in it are the sides.")
]
Labels = Annotated[Path | None, typer.Option(help="CSV that names images and labels; without it folders are labels.")]
Column = Annotated[str | None, typer.Option(help="The CSV's column of labels; for points and numbers several: a,b.")]
Delimiter = Annotated[str | None, typer.Option(help="What separates several tags in one label.")]
Task = Annotated[
    str,
    typer.Option(help="auto, classify (one label an item), tag (several), segment, points, numbers, text, sentiment."),
]
Masks = Annotated[str | None, typer.Option(help="Where the masks are in DATA, such as labels/{stem}_P.png.")]
Codes = Annotated[Path | None, typer.Option(help="Text file with the masks' class names; default: DATA/codes.txt.")]
Ignore = Annotated[str | None, typer.Option(help="The masks' class that does not count; default: one called void.")]
Group = Annotated[str | None, typer.Option(help="Pattern such as '(.+)_[0-9]+': same finds stay on the same side.")]
Missing = Annotated[str, typer.Option(help="raise or drop rows of the CSV whose image is not there.")]
Seed = Annotated[int, typer.Option(help="Decides the split and everything random.")]


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    context.obj = debug


@app.command()
def train(
    data: Data,
    labels: Labels = None,
    column: Column = None,
    delimiter: Delimiter = None,
    masks: Masks = None,
    codes: Codes = None,
    ignore: Ignore = None,
    group: Group = None,
    task: Task = "auto",
    backbone: Annotated[
        str | None,
        typer.Option(help="Any timm name, for texts a Hugging Face encoder; default: one that is a package."),
    ] = None,
    epochs: Annotated[
        str | None, typer.Option(help="Epochs of the second step; one number, or one a size: 3,2. Default: by task.")
    ] = None,
    first_tuned: Annotated[
        int | None,
        typer.Option(help="First layer group of the second step; 0 tunes all layers. Default: what suits the model."),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(help="Image sizes in pixels, smaller first: 64,128 or 90x120,180x240; for texts tokens."),
    ] = None,
    lr: Annotated[str, typer.Option(help="Learning rate of the first step, or auto.")] = "auto",
    metric: Annotated[str | None, typer.Option(help="accuracy, f1, f2, auroc, ...")] = None,
    augment: Annotated[str, typer.Option(help="default, satellite, document or none.")] = "default",
    batch_size: Annotated[
        str | None, typer.Option(help="Items a batch, or auto for the largest that fits. Default: by task.")
    ] = None,
    accumulate: Annotated[int, typer.Option(help="Batches a step: gradients are added up.")] = 1,
    checkpoint_activations: Annotated[bool, typer.Option(help="Less memory, more time.")] = False,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16 or fp16. Default: by task.")] = None,
    seed: Seed = 42,
    missing: Missing = "raise",
    on_bad_item: Annotated[str, typer.Option(help="raise stops at a broken file, skip leaves it out.")] = "raise",
    out: Annotated[Path | None, typer.Option(help="Folder for model, history and pictures.")] = None,
) -> None:
    """Train a model on a folder of images or texts, and write the model, its history and pictures."""
    with without_collecting():
        from onecycle.recipes import prepare, sentence_for

    counts = None if epochs is None else _numbers("epochs", epochs)
    sentence = sentence_for(
        data, labels=labels, column=_columns(column), delimiter=delimiter, masks=masks, codes=codes, ignore=ignore,
        group=group, task=_task(task), backbone=backbone, epochs=counts[0] if counts and len(counts) == 1 else counts,
        first_tuned=first_tuned, sizes=None if sizes is None else _sizes(sizes), lr=_rate(lr), metric=metric,
        augment=augment,
        batch_size=_batch_size(batch_size), accumulate=accumulate, checkpoint_activations=checkpoint_activations,
        precision=None if precision is None else _one_of("precision", precision, "fp32", "bf16", "fp16"), seed=seed,
        missing=missing,
    )  # fmt: skip
    typer.echo(f"{sentence}\n")
    learner = prepare(sentence, on_bad_item=_one_of("on-bad-item", on_bad_item, "raise", "skip"))
    train_and_report(learner, sentence, out or Path("runs") / data.resolve().name)


def train_and_report(learner: Learner, sentence: Sentence, out: Path) -> None:
    """Train, then write the report; after Ctrl-C write what there is, and say where."""
    from onecycle.recipes import train as run
    from onecycle.ship.report import write_report

    _check_writable(out)  # before training, so that no work is lost to a folder that cannot be written
    interrupted = False
    try:
        run(learner, sentence)
    except KeyboardInterrupt:
        interrupted = True
        if not len(learner.history):
            typer.echo("\nStopped before the first epoch was done: there is no model to keep.", err=True)
            raise
    written = write_report(learner, out)
    for note in learner.history.notes:
        typer.echo(note)
    scores = ", ".join(f"{name} {value:.4f}" for name, value in learner.validate().items())
    typer.echo(f"On {len(learner.data.valid.dataset):,} validation items: {scores}")
    if interrupted:
        typer.echo(f"Stopped by Ctrl-C: the best model so far is {written['model']}")
    typer.echo(f"Written to {out}/: {', '.join(path.name for path in written.values())}")
    typer.echo(f"Next: onecycle predict {written['model']} INPUTS...")
    if interrupted:
        raise KeyboardInterrupt


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(help="A model that `train` or `export` wrote.")],
    inputs: Annotated[list[str], typer.Argument(help="Files or folders of them; for texts also texts themselves.")],
    out: Annotated[
        Path | None, typer.Option(help="Write a CSV here, a row an image; for masks a folder of PNGs.")
    ] = None,
    tiles: Annotated[
        bool, typer.Option(help="For masks of large images: piece by piece, each at the model's size.")
    ] = False,
    scale: Annotated[float, typer.Option(help="With --tiles: shrink images by this first.")] = 1.0,
) -> None:
    """Predict the labels of images or texts."""
    with without_collecting():
        from onecycle.ship.model import load_model, predict_files

    if out is not None:
        _check_writable(out.parent)
    model = load_model(bundle)
    answers, errors = predict_files(model, _found(inputs, model), tile_scale=scale if tiles else None)
    if out is None:
        for row in answers.table.to_pylist():
            sure = f"\t{row['confidence']:.3f}" if "confidence" in row else ""
            typer.echo(f"{row['item']}\t{model.target.caption(row['prediction'])}{sure}")
    elif model.target.kind == "mask":
        written = answers.save_masks(out)
        typer.echo(f"{len(written):,} masks written to {out}/")
    else:
        answers.to_csv(out, label=None if model.target.kind == "multi_category" else "label")
        typer.echo(f"{len(answers):,} predictions written to {out}")
    for error in errors:
        typer.echo(f"{error}\n", err=True)
    if errors:
        raise typer.Exit(2)


@app.command()
def check(
    data: Data,
    labels: Labels = None,
    column: Column = None,
    delimiter: Delimiter = None,
    masks: Masks = None,
    codes: Codes = None,
    ignore: Ignore = None,
    task: Task = "auto",
    seed: Seed = 42,
    missing: Missing = "raise",
) -> None:
    """Read every item as training would; report broken files, odd labels and duplicates."""
    import onecycle

    with without_collecting():
        from onecycle.recipes import labelled_list, sentence_for

    sentence = sentence_for(
        data, labels=labels, column=_columns(column), delimiter=delimiter, masks=masks, codes=codes, ignore=ignore,
        task=_task(task), seed=seed, missing=missing,
    )  # fmt: skip
    found = sentence.labelled[0].run(onecycle)
    typer.echo(repr(found))
    labelled = labelled_list(sentence)
    typer.echo(repr(labelled))
    report = labelled.databunch(on_bad_item="skip", workers=0, cache=None).check()
    typer.echo(repr(report))
    if report.broken:
        raise typer.Exit(2)


@app.command()
def info(bundle: Annotated[Path, typer.Argument(help="A model that `train` or `export` wrote.")]) -> None:
    """Tell what a model is, and how it was trained."""
    with without_collecting():
        from onecycle.train.bundle import read_bundle

    tensors, config = read_bundle(bundle, "model")
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) / 2**20
    kind = config["model"].get("backbone", config["model"]["kind"])
    typer.echo(f"{bundle}: {kind}, {size:.1f} MB, written by onecycle {config['onecycle']}")
    target = config["target"]
    typer.echo(f"predicts {target['kind']}: {', '.join(target['classes'])}")
    if "threshold" in target:
        typer.echo(f"threshold {target['threshold']:g}")
    modality = config["modality"]
    pixels = "x".join(map(str, modality.get("size", ())))
    extent = f"at {pixels}" if pixels else f"of up to {modality['max_length']} tokens"
    typer.echo(f"reads {modality['kind']} {extent}")
    for name, value in config["card"].items():
        typer.echo(f"{name}: {value}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for data, models and pictures.")] = Path("runs/demo"),
    task: Annotated[str, typer.Option(help="auto (tags and classes), segment, points or text.")] = "auto",
) -> None:
    """Generate data, train on it, and write models and pictures: nothing is downloaded."""
    from onecycle.demo import jobs
    from onecycle.recipes import prepare

    for name, (about, sentence) in jobs(
        out / "data", _one_of("task", task, "auto", "segment", "points", "text")
    ).items():
        typer.echo(f"--- {name}: {about} ---\n{sentence}\n")
        train_and_report(prepare(sentence), sentence, out / name)
        typer.echo("")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit with 0, 2 for wrong use or bad data, 1 for a fault of ours, 130 after Ctrl-C."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note  # type: ignore[assignment]
            app(given, standalone_mode=True)
    except OnecycleError as error:
        _tell(str(error), "--debug" in given)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # a fault of ours: say so, in a line
        _tell(
            f"A fault in onecycle: {type(error).__name__}: {error}\nRun onecycle --debug ... for the traceback.",
            "--debug" in given,
        )
        sys.exit(1)


def _note(message: Warning | str, *_: Any) -> None:
    """Show a warning as a line, without the place in our code that gave it."""
    typer.echo(f"Note: {message}", err=True)


def _tell(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    typer.echo(message, err=True)


def _check_writable(folder: Path) -> None:
    """Look, without leaving anything behind, whether `folder` is there or could be made."""
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        why = "may not be written to" if nearest.is_dir() else "is a file"
        raise DataError(
            f"Cannot write to {folder}: {nearest} {why}.", "a folder that can be written to.", "pass another --out."
        )


def _found(inputs: list[str], model: Predictor) -> list[str | Path]:
    """Return the files that are meant; for texts, what is no file is a text."""
    texts, found = hasattr(model.modality, "tokenizer"), list[str | Path]()
    for one in inputs:
        path = Path(one)
        if len(one) < 4096 and path.is_dir():
            found += [path / name for name in _names_in(path, texts)]
        else:
            found.append(path if not texts or (len(one) < 250 and path.is_file()) else one)
    return found


def _names_in(folder: Path, texts: bool) -> list[str]:
    """Return the texts or images below a folder; only the one kind's own code is imported."""
    if texts:
        from onecycle.text.files import SUFFIXES, find_texts

        return find_texts(folder, None, SUFFIXES)[0]
    from onecycle.vision.images import ImageList

    return ImageList.from_folder(folder).items.names()


def _numbers(name: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise DataError(f"--{name} {text}.", "whole numbers separated by commas.", f"pass --{name} 64,128.") from None


def _sizes(text: str) -> list[int | tuple[int, int]]:
    """Read "64,128" or "90x120,180x240", height first."""
    sizes: list[int | tuple[int, int]] = []
    for part in text.split(","):
        sides = part.lower().split("x")
        if not all(side.strip().isdecimal() for side in sides) or len(sides) > 2:
            raise DataError(
                f"--sizes {text}.", "pixels, or height x width, separated by commas.", "pass --sizes 64,128 or 180x240."
            )
        sizes.append(int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1])))
    return sizes


def _columns(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


def _batch_size(text: str | None) -> Any:
    if text is None or text == "auto":
        return text
    if not text.isdecimal():
        raise DataError(f"--batch-size {text}.", "a whole number, or auto.", "pass --batch-size 32.")
    return int(text)


def _task(text: str) -> Any:
    return _one_of("task", text, "auto", "classify", "tag", "segment", "points", "numbers", "text", "sentiment")


def _rate(text: str) -> Any:
    try:
        return "auto" if text == "auto" else float(text)
    except ValueError:
        raise DataError(f"--lr {text}.", "a number or auto.", "pass --lr 0.003.") from None


def _one_of(name: str, value: str, *allowed: str) -> Any:
    if value not in allowed:
        raise DataError(f"--{name} {value}.", f"one of: {', '.join(allowed)}.", f"pass --{name} {allowed[0]}.")
    return value
