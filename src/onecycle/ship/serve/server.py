"""Starts a server, and ends it so that nothing that it accepted is lost."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onecycle.calls import explained
from onecycle.errors import DataError, ModelError
from onecycle.imports import without_collecting

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
    _check_installed()
    with without_collecting():
        import uvicorn

        from onecycle.review.journal import Journal, journal_beside
        from onecycle.ship.serve.app import Limits, create_app
        from onecycle.ship.serve.guard import LOOPBACK
        from onecycle.ship.serve.served import load_served
        from onecycle.vision.decode_memory import VARIABLE

    accepted = Limits(**limits)
    if token is None and host not in LOOPBACK:
        token = secrets.token_urlsafe(16)
    with ExitStack() as stack:
        listener = stack.enter_context(_listening(host, port))
        stack.enter_context(_default_of(VARIABLE, DECODE_LIMIT))
        served = load_served(model)
        folder = journal or (None if served.path is None else journal_beside(served.path))
        kept = None if folder is None else stack.enter_context(Journal(folder))
        app = create_app(served, kept, token=token, hosts=LOOPBACK if token is None else None, limits=accepted)
        config = uvicorn.Config(
            app, lifespan="on", ws="none", log_level="warning", access_log=False, server_header=False,
            proxy_headers=False, timeout_keep_alive=30,
        )  # fmt: skip
        server = uvicorn.Server(config)
        _tell(served.name, served.model.target, listener, token, folder)
        with _stopped_by_sigterm(lambda: setattr(server, "should_exit", True)):
            server.run(sockets=[listener])


def _tell(name: str, target: Any, listener: socket.socket, token: str | None, folder: str | Path | None) -> None:
    host, port = listener.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    classes = f", {len(target.classes)} classes" if target.classes else ""
    query = "" if token is None else f"?token={token}"
    print(f"Serving {name} ({target.kind}{classes}) on http://{host}:{port}/{query}", flush=True)
    if folder is not None:
        print(f"What people say is kept in {folder}", flush=True)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Open the port before the model is loaded: whoever comes early waits, and a taken one is told at once."""
    try:
        if not 0 <= port <= 65535:
            raise OSError("there is no such port")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise DataError(
            f"The server cannot listen on {host}, port {port}: {error}.", "an address of this machine, a free port.",
            "pass port=0 for a free one, or stop what listens there.",
            shell_fix="pass --port 0 for a free one, or stop what listens there.",
        ) from None  # fmt: skip
    with listener:
        yield listener


@contextmanager
def _default_of(variable: str, value: str) -> Iterator[None]:
    """Set an environment variable that nobody has set, while the context lasts."""
    if variable in os.environ:
        yield
        return
    os.environ[variable] = value
    try:
        yield
    finally:
        del os.environ[variable]


@contextmanager
def _stopped_by_sigterm(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM stop the server, and after that nothing: uvicorn raises it again when it has stopped cleanly."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_installed() -> None:
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"{error.name} is not installed.", "the extra `serve`.", "pip install 'onecycle[serve]'."
        ) from None
