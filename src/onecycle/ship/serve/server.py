"""Starts a server, and ends it so that nothing that it accepted is lost."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onecycle.calls import explained
from onecycle.imports import without_collecting
from onecycle.ship.serve.listening import (
    address_of,
    check_installed,
    default_of,
    listening,
    run_app,
    token_for,
    told_target,
)

if TYPE_CHECKING:
    from onecycle.inference.predictor import Predictor

# Of a process that takes files from others: a photo of 48 megapixels, and no picture of 1 GB in a file of 1 MB.
DECODE_LIMIT = "300M"


@explained
def serve(
    model: str | Path | Predictor,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    journal: str | Path | None = None,
    **limits: Any,
) -> None:
    """Serve a page and an API on which a model predicts, and people say what was right; return when it is stopped.

    Ctrl-C and SIGTERM stop it, once everything that was accepted is answered. A model that is put in the place of the
    bundle answers from then on.

    Args:
        model: A bundle, the folder of a run, or a model that is loaded.
        host: The address to listen on. The default is reached from this machine only.
        port: The port; 0 takes a free one.
        token: What whoever asks must know. For other hosts than this machine one is made, if none is given.
        journal: The folder for what people say; None takes one beside the bundle.
        limits: See `Limits`.
    Raises:
        ModelError: The packages of the extra `serve` are not installed, or it is a language model.
        DataError: The port is taken.
    Example:
        >>> oc.serve("photos.onecycle", port=8080)  # doctest: +SKIP
        Serving photos (category, 4 classes) on http://127.0.0.1:8080/
        What people say is kept in photos.journal
    """
    check_installed()
    with without_collecting():
        from onecycle.review.journal import Journal, journal_beside
        from onecycle.ship.serve.app import Limits, create_app
        from onecycle.ship.serve.guard import LOOPBACK
        from onecycle.ship.serve.served import load_served
        from onecycle.vision.decode_memory import VARIABLE

    accepted = Limits(**limits)
    token = token or token_for(host)
    with ExitStack() as stack:
        stack.enter_context(default_of(VARIABLE, DECODE_LIMIT))
        served = load_served(model)
        listener = stack.enter_context(listening(host, port))
        folder = journal or (None if served.path is None else journal_beside(served.path))
        kept = None if folder is None else stack.enter_context(Journal(folder))
        app = create_app(served, kept, token=token, hosts=LOOPBACK if token is None else None, limits=accepted)
        _tell(served.name, served.model.target, address_of(listener, token), folder)
        run_app(app, listener, seconds=accepted.seconds, most_connections=accepted.most_connections)


def _tell(name: str, target: Any, address: str, folder: str | Path | None) -> None:
    print(f"Serving {name} ({told_target(target)}) on {address}", flush=True)
    if folder is not None:
        print(f"What people say is kept in {folder}", flush=True)
