"""`onecycle report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onecycle.cli.opened_run import open_run
from onecycle.cli.run_folder import RunFolder
from onecycle.cli.train import command_of
from onecycle.cli.training import write_results


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, also of one that was interrupted.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="The checkpoint to report on. Default: the newest one of the run.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report. Default: RUN/report.")] = None,
) -> None:
    """Write the model, the report, the history and pictures of a checkpoint: of the best epoch until then."""
    folder = RunFolder(run)
    learner, (data, options) = open_run(run, checkpoint), folder.read_options()
    learner.state.command = command_of(data, options)
    write_results(learner, out or run / "report", explain=True, previous=folder.previous_run(options))
