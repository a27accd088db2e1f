"""A port, and the process that answers on it until it is told to stop: for every page that a command opens."""

from __future__ import annotations

import asyncio
import math
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from onecycle.errors import DataError, ModelError, counted

if TYPE_CHECKING:
    from onecycle.data.target import Target


def token_for(host: str) -> str | None:
    """Return a new token for a server that other machines reach, None for one that only this machine does."""
    from onecycle.ship.serve.guard import LOOPBACK

    return None if host in LOOPBACK else secrets.token_urlsafe(16)


def told_target(target: Target) -> str:
    """Return what is predicted in a few words, such as 'category, 4 classes'."""
    count = len(target.classes)
    return target.kind + (f", {counted(count, 'class')}" if count else "")


def address_of(listener: socket.socket, token: str | None) -> str:
    """Return the address to open in a browser."""
    host, port = listener.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port}/" + ("" if token is None else f"?token={token}")


def run_app(app: Any, listener: socket.socket, *, seconds: float = 30.0, most_connections: int = 512) -> None:
    """Answer until Ctrl-C or SIGTERM, and then what was accepted.

    Args:
        app: An ASGI app.
        listener: Where it is asked, from `listening`.
        seconds: How long the headers of a request may take to arrive, and its body, and its answer.
        most_connections: The most connections that are open at a time.
    """
    import uvicorn

    from onecycle.ship.serve.connection import connection_class

    config = uvicorn.Config(
        app, lifespan="on", ws="none", log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, timeout_keep_alive=30, http=connection_class(most_connections, seconds),
        timeout_graceful_shutdown=2 * math.ceil(seconds),
    )  # fmt: skip
    server = uvicorn.Server(config)

    def stop() -> None:
        server.should_exit = True

    def run() -> None:
        server.run(sockets=[listener])

    if _in_event_loop():  # where no other may run: the server has one of its own in a thread
        with _stopped_by(stop, signal.SIGTERM, signal.SIGINT):
            thread = threading.Thread(target=run, name="onecycle-server", daemon=True)
            thread.start()
            thread.join()
    else:
        with _stopped_by(stop, signal.SIGTERM), suppress(KeyboardInterrupt):  # raised again when it has stopped
            run()


def _in_event_loop() -> bool:
    """Return whether an event loop runs in this thread, as it does in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


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
def _stopped_by(stop: Callable[[], None], *signals: signal.Signals) -> Iterator[None]:
    """Let signals stop the server, and after that nothing: uvicorn raises them again when it has stopped cleanly."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, lambda *_: stop()) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


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
