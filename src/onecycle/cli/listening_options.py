"""Where a command that opens a page listens, and who may ask."""

from __future__ import annotations

from typing import Annotated

import typer

Host = Annotated[str, typer.Option(help="Address to listen on; the default is reached from this machine only.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")]
Token = Annotated[
    str | None,
    typer.Option(help="What whoever asks must know. Default: none on this machine, for other hosts one is made."),
]
