"""A connection of the server: neither one of too many, nor one that keeps it waiting for ever."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from onecycle.ship.serve.request_errors import RequestError, refused


class Connection(H11Protocol):
    """Closes what takes longer to send its headers, or to take its answer, than a body may take.

    uvicorn itself waits for both without end, and takes as many connections as there are; the time for a body is the
    guard's.

    Attributes:
        most: How many connections there may be.
        seconds: How long headers may take.
    """

    most: ClassVar[int]
    seconds: ClassVar[float]

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._refuse(RequestError(
                503, f"{self.most:,} connections are open.", "fewer at a time.", "ask again in some seconds.",
                headers={"Retry-After": "5"},
            ))  # fmt: skip
        else:
            self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering():
            self._stop_waiting()
        else:
            self._wait_for_headers()

    def send_400_response(self, msg: str) -> None:
        self._refuse(RequestError(
            400, "The request cannot be read.", "HTTP/1.1, with headers of at most 64 kB.",
            "send it with a program such as curl.",
        ))  # fmt: skip

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_in_time()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_headers(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self.seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if not self._is_answering():
            self._refuse(RequestError(
                408, f"The headers have not arrived within {self.seconds:g} seconds.", "a whole request.",
                "send it again.",
            ))  # fmt: skip

    def _refuse(self, error: RequestError) -> None:
        """Answer before there is a request, and close."""
        if self.transport.is_closing():
            return
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            response = refused(error)
            headers = [*response.raw_headers, (b"connection", b"close")]
            body = bytes(response.body)
            for event in (h11.Response(status_code=error.status, headers=headers), h11.Data(body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        self.transport.close()
        self._abort_in_time()

    def _abort_in_time(self) -> None:
        """Drop what the client does not take; until then the connection stays open."""
        self.loop.call_later(self.seconds, self.transport.abort)


def connection_class(most: int, seconds: float) -> Any:
    """Return the class of connections with these limits."""
    return type("LimitedConnection", (Connection,), {"most": most, "seconds": seconds})
