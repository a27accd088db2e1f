"""Connections that would keep a server waiting: slow, silent, too many, or not listening."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from onecycle.ship.serve.app import Limits, create_app
from onecycle.ship.serve.connection import connection_class
from onecycle.ship.serve.served import load_served

Bundles = Callable[[str], Path]
Serve = Callable[..., Callable[[], socket.socket]]
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """An app that answers with as many bytes as the path says."""
    size = int(scope["path"].removeprefix("/") or 2)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
    await send({"type": "http.response.body", "body": b"x" * size})


@contextmanager
def running(app: Any, most: int, seconds: float) -> Iterator[Any]:
    import uvicorn

    config = uvicorn.Config(
        app, lifespan="auto", ws="none", log_level="critical", port=0, timeout_keep_alive=1,
        http=connection_class(most, seconds),
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves an app, and gives a function that connects to it."""
    with ExitStack() as stack:

        def start(app: Any = answer, *, most: int = 100, seconds: float = 60) -> Callable[[], socket.socket]:
            server = stack.enter_context(running(app, most, seconds))
            port = server.servers[0].sockets[0].getsockname()[1]

            def connect() -> socket.socket:
                return stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))

            connect.state = server.server_state  # type: ignore[attr-defined]
            return connect

        yield start


def read(connection: socket.socket) -> tuple[int, str, Any]:
    """Return status, headers and JSON of a response, after which the server closes the connection."""
    received = b""
    while chunk := connection.recv(2**16):
        received += chunk
    head, _, body = received.decode().partition("\r\n\r\n")
    return int(head.split()[1]), head, json.loads(body)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: loc", b"POST"])
def test_headers_that_never_end_are_not_waited_for(serve: Serve, sent: bytes) -> None:
    connection = serve(seconds=0.2)()
    connection.sendall(sent)
    status, headers, body = read(connection)
    assert status == 408
    assert "connection: close" in headers
    assert body["error"]["what"] == "The headers have not arrived within 0.2 seconds."


def test_nor_are_they_byte_by_byte_after_an_answer(serve: Serve) -> None:
    connection = serve(seconds=0.5)()
    for _ in range(2):
        connection.sendall(GET)
        answer = b""
        while not answer.endswith(b"xx"):  # headers and body may come one after the other
            answer += connection.recv(1000)
    connection.settimeout(0.02)
    received = b""
    for letter in GET[:20] * 1000:
        try:
            connection.sendall(bytes([letter]))
            received += connection.recv(1000)
            break
        except TimeoutError:
            continue
        except OSError:
            break
    else:
        raise AssertionError("it was waited for")
    assert received == b"" or received.startswith(b"HTTP/1.1 408")


def test_what_is_no_http_has_three_lines(serve: Serve) -> None:
    connect = serve()
    for sent in (b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000):
        connection = connect()
        connection.sendall(sent)
        status, _, body = read(connection)
        assert (status, body["error"]["what"]) == (400, "The request cannot be read.")
        assert body["error"].keys() == {"what", "expected", "fix"}


def test_connections_beyond_the_limit_are_refused_until_others_end(serve: Serve) -> None:
    connect = serve(most=2)
    first, second = connect(), connect()
    for connection in (first, second):
        connection.sendall(GET)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    status, headers, body = read(connect())
    assert (status, body["error"]["what"]) == (503, "2 connections are open.")
    assert "retry-after: 5" in headers
    first.close()
    while True:  # as the fix says
        again = connect()
        again.sendall(GET)
        if again.recv(1000).startswith(b"HTTP/1.1 200"):
            break


def test_an_answer_that_nobody_takes_is_dropped(serve: Serve) -> None:
    connect = serve(seconds=0.2)
    connect().sendall(b"GET /50000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    state = connect.state  # type: ignore[attr-defined]
    for _ in range(3000):
        if state.total_requests and not state.connections:
            return
        time.sleep(0.01)
    raise AssertionError("the connection is still open")


def test_a_body_shorter_than_announced_is_not_waited_for(serve: Serve, bundles: Bundles) -> None:
    app = create_app(load_served(bundles("texts")), limits=Limits(seconds=0.3))
    connect = serve(app, seconds=0.3)
    connection = connect()
    connection.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nshort")
    status, headers, body = read(connection)
    assert status == 408
    assert "connection: close" in headers.lower()
    assert body["error"]["what"] == "The body has not arrived within 0.3 seconds."
    gone = connect()
    gone.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nshort")
    gone.close()
    metrics = connect()
    for _ in range(1000):
        metrics.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if 'path="/predict",status="400"} 1' in (text := metrics.recv(2**16).decode()):
            break
    assert 'status="500"' not in text
