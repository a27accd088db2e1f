"""`onecycle check`."""

from __future__ import annotations

from typing import Any

import typer

from onecycle.cli.command_options import read_options, takes_shell_options
from onecycle.cli.train import Data, look_at
from onecycle.data.remote import as_local
from onecycle.imports import without_collecting
from onecycle.recipes.options import FineTuneOptions


@takes_shell_options(FineTuneOptions, panels=("Data",))
def check(data: Data, **options: Any) -> None:
    """Read every item as training would, and list broken files, unusual labels and duplicates."""
    chosen = read_options(FineTuneOptions, options)
    place = as_local(data)
    layout = look_at(place, chosen)
    with without_collecting():
        from onecycle.recipes.task import build_pipeline
    pipeline = build_pipeline(place, chosen, layout)
    items = pipeline.find_items()
    typer.echo(repr(items))
    labelled = pipeline.label(items)
    typer.echo(repr(labelled))
    report = labelled.databunch(on_bad_item="skip", workers=0, cache=None).check()
    typer.echo(repr(report))
    if report.broken:
        raise typer.Exit(2)
