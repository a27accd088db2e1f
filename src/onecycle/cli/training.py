"""Training on the command line: for `train` and `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from onecycle.cli.paths import check_writable

if TYPE_CHECKING:
    from onecycle.recipes.pipeline import Pipeline
    from onecycle.train.learner import Learner


def train_and_report(learner: Learner, pipeline: Pipeline, out: Path) -> None:
    """Train and write the report. After Ctrl-C, write what was trained so far, and raise KeyboardInterrupt.

    Args:
        learner: As `prepare` returns it.
        pipeline: What the learner was made by.
        out: Folder for the report.
    """
    from onecycle.recipes.task import train

    check_writable(out)  # before training, so that no work is lost
    interrupted = False
    try:
        train(learner, pipeline)
    except KeyboardInterrupt:
        interrupted = True
        if not len(learner.history):
            typer.echo("\nStopped before the first epoch was complete: there is no model to save.", err=True)
            raise
    _report(learner, out, interrupted)
    if interrupted:
        raise KeyboardInterrupt


def _report(learner: Learner, out: Path, interrupted: bool) -> None:
    from onecycle.ship.report import write_report

    written = write_report(learner, out)
    for note in learner.history.notes:
        typer.echo(note)
    scores = ", ".join(f"{name} {value:.4f}" for name, value in learner.validate().items())
    typer.echo(f"On {len(learner.data.valid.dataset):,} validation items: {scores}")
    if interrupted:
        typer.echo(f"Stopped by Ctrl-C: the best model so far is {written['model']}")
    typer.echo(f"Written to {out}/: {', '.join(path.name for path in written.values())}")
    typer.echo(f"Next: onecycle predict {written['model']} INPUTS...")
