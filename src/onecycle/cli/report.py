"""`onecycle report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onecycle.cli.command_options import read_options
from onecycle.cli.run_folder import RunFolder
from onecycle.cli.training import readable_checkpoint, write_results
from onecycle.recipes.options import FineTuneOptions


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, also of one that was interrupted.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="The checkpoint to report on. Default: the newest one of the run.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report. Default: RUN/report.")] = None,
) -> None:
    """Write the model, the history and pictures of a checkpoint: of the best epoch until then."""
    folder = RunFolder(run)
    data, options = folder.read_options()
    chosen = read_options(FineTuneOptions, options)
    from onecycle.recipes.task import best_of, build_pipeline, prepare

    pipeline = build_pipeline(data, chosen)
    learner = prepare(pipeline)
    newest = checkpoint or readable_checkpoint(folder)
    assert newest is not None  # read_options() has looked
    best_of(learner, pipeline, newest)
    write_results(learner, out or run / "report")
