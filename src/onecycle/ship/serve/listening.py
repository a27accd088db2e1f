"""A port, and the process that answers on it until it is told to stop: for every page that a command opens."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from onecycle.errors import DataError, ModelError


def token_for(host: str) -> str | None:
    """Return a new token for a server that other machines reach, None for one that only this machine does."""
    from onecycle.ship.serve.guard import LOOPBACK

    return None if host in LOOPBACK else secrets.token_urlsafe(16)


def address_of(listener: socket.socket, token: str | None) -> str:
    """Return the address to open in a browser."""
    host, port = listener.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + ("" if token is None else f"?token={token}")


def run_app(app: Any, listener: socket.socket) -> None:
    """Answer until Ctrl-C or SIGTERM, and then what was accepted."""
    import uvicorn

    config = uvicorn.Config(
        app, lifespan="on", ws="none", log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, timeout_keep_alive=30,
    )  # fmt: skip
    server = uvicorn.Server(config)
    with _stopped_by_sigterm(lambda: setattr(server, "should_exit", True)):
        server.run(sockets=[listener])


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Open the port before the model is loaded: whoever comes early waits, and a taken one is told at once.

    Raises:
        DataError: It cannot be opened.
    """
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
def default_of(variable: str, value: str) -> Iterator[None]:
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


def check_installed() -> None:
    """Refuse to go on without the packages of the extra `serve`.

    Raises:
        ModelError: One is missing.
    """
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"{error.name} is not installed.", "the extra `serve`.", "pip install 'onecycle[serve]'."
        ) from None
