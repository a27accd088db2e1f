"""`onecycle serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onecycle.cli.listening_options import Host, Port, Token


def serve(
    bundle: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Model that train or Learner.export wrote, or the folder of a run.")
    ],
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token: Token = None,
    journal: Annotated[
        Path | None, typer.Option(help="Folder for what people say. Default: beside the model, ending in .journal.")
    ] = None,
) -> None:
    """Serve a page and an API that predict, where people say what is right. Ctrl-C or SIGTERM stops it."""
    from onecycle.ship.serve.server import serve as run

    run(bundle, host=host, port=port, token=token, journal=journal)
