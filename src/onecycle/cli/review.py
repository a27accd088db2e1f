"""`onecycle review`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onecycle.cli.listening_options import Host, Port, Token
from onecycle.cli.opened_run import open_run


def review(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run that train wrote.")],
    pool: Annotated[
        Path | None, typer.Option(help="Folder of new items without labels; those that teach most are asked for first.")
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 8001,
    token: Token = None,
    most: Annotated[int, typer.Option(min=1, help="The most items of each kind that are shown.")] = 100,
) -> None:
    """Go through your own data on a page: doubtful labels, mistakes, near-duplicates. Ctrl-C or SIGTERM stops it."""
    from onecycle.ship.review_page.server import serve_review
    from onecycle.ship.serve.listening import check_installed

    check_installed()
    decided = serve_review(open_run(run), run, pool=pool, host=host, port=port, token=token, most=most)
    typer.echo(repr(decided))
