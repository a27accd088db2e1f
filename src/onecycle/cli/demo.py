"""`onecycle demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onecycle.cli.parsing import parse_choice
from onecycle.cli.run_folder import RunFolder
from onecycle.cli.training import train_and_report

TASKS = ("auto", "segment", "points", "text")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for data, models and pictures.")] = Path("runs/demo"),
    task: Annotated[
        str, typer.Option(help="Kind of labels; auto trains on tags and on classes.", metavar="|".join(TASKS))
    ] = "auto",
) -> None:
    """Generate data, train on it, and write models and pictures. Nothing is downloaded."""
    chosen = parse_choice("--task", task, TASKS)
    from onecycle.demo.jobs import jobs
    from onecycle.recipes.task import prepare

    for name, (about, pipeline) in jobs(out / "data", chosen).items():
        typer.echo(f"--- {name}: {about} ---\n{pipeline}\n")
        run = RunFolder(out / name)
        run.check(resume=False, overwrite=True)
        learner = prepare(pipeline)
        with run.used(out / "data", {}):
            train_and_report(learner, pipeline, run, checkpoint_minutes=5.0)
        typer.echo("")
