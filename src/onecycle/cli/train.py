"""`onecycle train`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onecycle.cli.command_options import flag_of, given_options, read_options, takes_shell_options
from onecycle.cli.launched import joined_processes
from onecycle.cli.paths import shown
from onecycle.cli.run_folder import RunFolder, numbered_folder
from onecycle.cli.run_items import check_items
from onecycle.cli.shell_words import in_shell_words
from onecycle.cli.training import readable_checkpoint, train_and_report
from onecycle.data.remote import as_local
from onecycle.imports import without_collecting
from onecycle.recipes.options import FineTuneOptions

if TYPE_CHECKING:
    from onecycle.recipes.layout import Layout

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Folder of images, texts, Parquet files or tars; or a CSV or Parquet file. Folders train/ and valid/ in "
        "it, or files of such names, are the splits; without them a random fifth validates.",
    ),
]


@takes_shell_options(FineTuneOptions)
def train(
    context: typer.Context,
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the model, its history and pictures. Default: runs/NAME of the data, then runs/NAME-2, ..."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the interrupted run in --out, or the newest, with its options."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew in --out, or in runs/NAME, although a run is there.")
    ] = False,
    checkpoint_minutes: Annotated[
        float, typer.Option(min=0.01, help="Minutes between checkpoints; one is written after each epoch too.")
    ] = 5.0,
    **options: Any,
) -> None:
    """Train a model on a folder of images or texts. Prints the Python code that it runs."""
    typer.echo(f"# Looking at {shown(data)}.")
    given = {name: options[name] for name in options if _was_given(context, name)}
    with joined_processes() as processes, ExitStack() as until_the_end:
        run = RunFolder(out or processes.decide(lambda: numbered_folder(data, resume=resume, overwrite=overwrite)))
        processes.decide(lambda: run.check(resume=resume, overwrite=overwrite))
        if resume:
            options |= processes.decide(lambda: run.stored_options(data, given))
        chosen = processes.alike(lambda: read_options(FineTuneOptions, options))
        # From now on --resume knows the options, whenever this is killed.
        processes.decide(lambda: until_the_end.enter_context(run.used(data, options)))
        place = processes.alike(lambda: as_local(data))
        layout = processes.alike(lambda: look_at(place, chosen))
        with without_collecting():
            from onecycle.recipes.task import build_pipeline, prepare
        pipeline = processes.alike(lambda: build_pipeline(place, chosen, layout))
        typer.echo(f"{pipeline.code}\n")
        learner = processes.alike(lambda: prepare(pipeline))
        learner.state.command = command_of(data, options)
        checkpoint = processes.decide(lambda: readable_checkpoint(run)) if resume else None
        if checkpoint is not None:
            processes.alike(lambda: check_items(run.path, learner.data.labelled))
        train_and_report(
            learner, pipeline, run, checkpoint_minutes, checkpoint, f"onecycle train {shlex.quote(str(data))}",
            previous=run.previous_run(options),
        )  # fmt: skip


def look_at(data: Path, options: FineTuneOptions) -> Layout:
    """Return how the data is read, and print it: before torch is imported, which takes longer."""
    from onecycle.recipes.table_layout import layout_of

    layout = layout_of(data, options)
    for found in layout.findings:
        typer.echo(f"# {in_shell_words(found)}")
    return layout


def command_of(data: Path, options: Mapping[str, Any]) -> str:
    """Return the command that trains on the data with the options, without those that have their defaults."""
    words = ["onecycle", "train", str(data)]
    for name, value in given_options(FineTuneOptions, options).items():
        words += [flag_of(name)] if value is True else [flag_of(name), str(value)]
    return shlex.join(words)


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
