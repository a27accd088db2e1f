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
    as_before = pipeline_of_run(pipeline, run, learner.data.labelled)
    if as_before is not pipeline:
        code = learner.state.code
        learner = prepare(as_before)
        learner.state.code = code
    newest = checkpoint or readable_checkpoint(folder)
    assert newest is not None  # read_options() has looked
    best_of(learner, pipeline, newest, allow_other_split=is_safe(run, learner.data.labelled))
    return learner
