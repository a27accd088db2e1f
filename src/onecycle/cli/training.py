"""Training on the command line: for `train` and `demo`."""

from __future__ import annotations

import shlex
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from onecycle.cli.launched import rank
from onecycle.cli.run_folder import RunFolder
from onecycle.cli.run_items import write_items
from onecycle.errors import BundleError, counted

if TYPE_CHECKING:
    from onecycle.recipes.pipeline import Pipeline
    from onecycle.ship.report.page import PreviousRun
    from onecycle.train.learner import Learner


def train_and_report(
    learner: Learner,
    pipeline: Pipeline,
    run: RunFolder,
    checkpoint_minutes: float,
    checkpoint: Path | None = None,
    command: str = "",
    previous: PreviousRun | None = None,
) -> None:
    """Train and write the report. After Ctrl-C, write what was trained so far, and raise KeyboardInterrupt.

    Args:
        learner: As `prepare` returns it.
        pipeline: What the learner was made by.
        run: Folder for the report and the checkpoints.
        checkpoint_minutes: How often to write a checkpoint between the ends of epochs.
        checkpoint: Where to go on from; None begins the training.
        command: What goes on with the run after an interruption, without --out and --resume.
        previous: The run of the same name before it.
    """
    from onecycle.recipes.task import train
    from onecycle.train.callbacks import Checkpoint

    saving = Checkpoint(run.checkpoint, every_minutes=checkpoint_minutes, keep=2)
    learner.callbacks = [*learner.callbacks, saving]
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    finished = False
    try:
        if checkpoint is None:
            learner.state.processes.decide(lambda: write_items(learner.data.labelled, run.path))
        train(learner, pipeline, checkpoint)
        finished = run.trained = True
        scores = write_results(learner, run.path, previous=previous)
        learner.state.processes.decide(lambda: run.finish(scores, sum(record.seconds for record in learner.history)))
        # The weights that were kept, without the optimizer. Last, since a run cannot go on from it.
        learner.save(run.checkpoint)
    except (KeyboardInterrupt, SystemExit) as stop:
        terminated = isinstance(stop, SystemExit)
        if command and rank() == 0:
            signal_name = "SIGTERM" if terminated else "Ctrl-C"
            typer.echo(
                f"\nStopped by {signal_name}. To go on: {command} --out {shlex.quote(str(run.path))} --resume", err=True
            )
        # A scheduler that sends SIGTERM waits for some seconds alone.
        if len(learner.history) and not terminated and not finished:
            write_results(learner, run.path, interrupted=True)
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def readable_checkpoint(run: RunFolder) -> Path | None:
    """Return the newest checkpoint of the run that can be read; None where there is none yet.

    Raises:
        BundleError: None can be read.
    """
    from onecycle.bundle import read_bundle

    found = [path for path in (run.checkpoint, run.previous_checkpoint) if path.exists()]
    for path in found:
        try:
            read_bundle(path, "checkpoint")
        except BundleError as error:
            if path is found[-1]:
                raise
            typer.echo(f"Note: {error.what} Going on from the one before it.", err=True)
        else:
            return path
    typer.echo(f"Note: {run.path} has no checkpoint yet, so training begins from the start.", err=True)
    return None


def write_results(
    learner: Learner,
    folder: Path,
    *,
    interrupted: bool = False,
    explain: bool = False,
    previous: PreviousRun | None = None,
) -> dict[str, float]:
    """Write the report, print what was found and written, and return the scores on the validation items."""
    from onecycle.ship.report.results import write_report

    found = learner.interpret()
    try:
        written = write_report(learner, folder, found=found, explain=explain, previous=previous)
    except (BundleError, OSError) as error:
        _export_elsewhere(learner, folder, error)
        raise
    for note in learner.history.notes:
        typer.echo(note)
    scores = ", ".join(f"{name} {value:.4f}" for name, value in found.scores.items())
    typer.echo(f"On {counted(len(learner.data.valid.dataset), 'validation item')}: {scores}")
    if "report" not in written:
        typer.echo('No report.html, since jinja2 is not installed: pip install "onecycle[report]"')
    if interrupted:
        typer.echo(f"Stopped by Ctrl-C: the best model so far is {written['model']}")
    typer.echo(f"Written to {folder}/: {', '.join(path.name for path in written.values())}")
    typer.echo(f"Next: onecycle predict {shlex.quote(str(written['model']))} INPUTS...")
    scores_of: dict[str, float] = found.scores
    return scores_of


def _export_elsewhere(learner: Any, folder: Path, error: Exception) -> None:
    """Export the model of a finished training where there is room, since its own folder has none."""
    model = folder / "model.onecycle"
    if not isinstance(error, BundleError) and model.exists():
        typer.echo(f"The model is {model}; not all pictures could be written.", err=True)
        return
    for place in (Path.cwd(), Path.home(), Path(tempfile.gettempdir())):
        other = place / f"{folder.resolve().name}-model.onecycle"
        if other.exists():
            continue
        try:
            learner.export(other)
        except (BundleError, OSError):
            continue
        typer.echo(f"The model could not be written to {folder}, and is at {other}.", err=True)
        return
