"""`onecycle push`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def push(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model, or the folder of a run.")],
    repository: Annotated[str, typer.Argument(metavar="USER/NAME", help="Where to on the Hugging Face hub.")],
    private: Annotated[
        bool | None, typer.Option("--private/--public", help="Of a repository that is made now. Default: the hub's.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, made where there is none. Default: main.")] = None,
    message: Annotated[str, typer.Option(help="Of the commit.")] = "A model of onecycle",
) -> None:
    """Push a model to the Hugging Face hub, with a card that says what it is: never the data, nor pictures of it."""
    from onecycle.ship.hub.push import push_bundle

    address = push_bundle(model, repository, private=private, revision=revision, commit_message=message)
    typer.echo(f"Pushed to {address}")
    at = f"{repository}@{revision}" if revision else repository
    typer.echo(f"Next: onecycle predict hf://{at} INPUTS...")
