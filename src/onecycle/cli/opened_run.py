"""The learner of a run that was trained, for the commands that go on from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from onecycle.cli.command_options import read_options
from onecycle.cli.run_folder import RunFolder
from onecycle.cli.run_items import is_safe, pipeline_of_run
from onecycle.cli.training import readable_checkpoint
from onecycle.imports import without_collecting
from onecycle.recipes.options import FineTuneOptions

if TYPE_CHECKING:
    from onecycle.recipes.pipeline import Pipeline
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
    learner, pipeline = prepare_run(run)
    from onecycle.recipes.task import best_of

    newest = checkpoint or readable_checkpoint(RunFolder(run))
    assert newest is not None  # read_options() has looked
    best_of(learner, pipeline, newest, allow_other_split=is_safe(run, learner.data.labelled))
    return learner


def prepare_run(run: Path) -> tuple[Learner, Pipeline]:
    """Return the learner of a run before it was trained, on the items of its splits, and what it was made by.

    Raises:
        DataError: There is no run, or its data is gone.
    """
    data, options = RunFolder(run).read_options()
    with without_collecting():
        from onecycle.recipes.task import build_pipeline, prepare

    pipeline = build_pipeline(data, read_options(FineTuneOptions, options))
    learner = prepare(pipeline)
    as_before = pipeline_of_run(pipeline, run, learner.data.labelled)
    if as_before is not pipeline:
        code = learner.state.code
        learner = prepare(as_before)
        learner.state.code = code
    return learner, pipeline
