"""`onecycle review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onecycle.cli.opened_run import open_run


def review(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run that train wrote.")],
    pool: Annotated[
        Path | None, typer.Option(help="Folder of new items without labels; those that teach most are asked for first.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; the default is reached from this machine only.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8001,
    token: Annotated[
        str | None,
        typer.Option(help="What whoever asks must know. Default: none on this machine, for other hosts one is made."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="The most items of each kind that are shown.")] = 100,
) -> None:
    """Go through your own data on a page: doubtful labels, mistakes, near-duplicates. Ctrl-C or SIGTERM stops it."""
    from onecycle.ship.review_page.server import serve_review
    from onecycle.ship.serve.listening import check_installed

    check_installed()
    decided = serve_review(open_run(run), run, pool=pool, host=host, port=port, token=token, most=most)
    typer.echo(repr(decided))
