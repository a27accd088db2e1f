"""`onecycle report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onecycle.cli.opened_run import open_run
from onecycle.cli.training import write_results


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, also of one that was interrupted.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="The checkpoint to report on. Default: the newest one of the run.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report. Default: RUN/report.")] = None,
) -> None:
    """Write the model, the history and pictures of a checkpoint: of the best epoch until then."""
    write_results(open_run(run, checkpoint), out or run / "report")
