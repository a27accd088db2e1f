"""The learner of a run that was trained, for the commands that go on from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from onecycle.cli.command_options import read_options
from onecycle.cli.run_folder import RunFolder
from onecycle.cli.run_items import Changes, changes, read_items, split_as_before, splits_of
from onecycle.cli.training import readable_checkpoint
from onecycle.imports import without_collecting
from onecycle.recipes.options import FineTuneOptions

if TYPE_CHECKING:
    from onecycle.train.learner import Learner


def open_run(run: Path, checkpoint: Path | None = None) -> Learner:
    """Return the learner of a run, on its data and with the weights of its best epoch; print what is left out.

    Args:
        run: The folder of the run, also of one that was interrupted.
        checkpoint: None takes the newest one of the run.
    Raises:
        DataError: There is no run, or its data is gone.
        ModelError: No epoch had ended yet.
        BundleError: No checkpoint can be read.
    """
    folder = RunFolder(run)
    data, options = folder.read_options()
    chosen = read_options(FineTuneOptions, options)
    with without_collecting():
        from onecycle.recipes.task import best_of, build_pipeline, prepare

    pipeline = build_pipeline(data, chosen)
    learner = prepare(pipeline)
    if found := _changes(learner, run):
        typer.echo(f"Note: {found}", err=True)
        if found.new or found.moved:
            rows, code = learner.data.labelled.train, learner.state.code
            learner = prepare(split_as_before(pipeline, read_items(run) or {}, rows))
            learner.state.code = code
            found = _changes(learner, run)
    newest = checkpoint or readable_checkpoint(folder)
    assert newest is not None  # read_options() has looked
    # What is gone does no harm: no item that was trained on is validated.
    best_of(learner, pipeline, newest, allow_other_split=bool(found) and not found.moved)
    return learner


def _changes(learner: Learner, run: Path) -> Changes:
    """Return how the items differ from those that the run was trained on, as far as it kept their names."""
    before, now = read_items(run), splits_of(learner.data.labelled)
    return changes(before, now) if before is not None and now is not None else Changes((), (), ())
