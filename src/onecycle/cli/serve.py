"""`onecycle serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    bundle: Annotated[
        Path, typer.Argument(metavar="MODEL", help="Model that train or Learner.export wrote, or the folder of a run.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen on; the default is reached from this machine only.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(help="What whoever asks must know. Default: none on this machine, for other hosts one is made."),
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Folder for what people say. Default: beside the model, ending in .journal.")
    ] = None,
) -> None:
    """Serve a page and an API that predict, where people say what is right. Ctrl-C or SIGTERM stops it."""
    from onecycle.ship.serve.server import serve as run

    run(bundle, host=host, port=port, token=token, journal=journal)
