"""`onecycle compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of finished runs.")],
    out: Annotated[Path | None, typer.Option(help="Picture to write, such as runs.png.")] = None,
) -> None:
    """Show runs side by side: how they differ, their scores, and the spread over seeds."""
    from onecycle.ship.compare import compare as compare_runs

    found = compare_runs(*runs)
    typer.echo(repr(found))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        found.plot().savefig(out, dpi=110)
        typer.echo(f"\nWritten to {out}")
