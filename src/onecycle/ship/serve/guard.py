"""What stands between the network and the app: who may ask, how much, how slowly, and what a browser may do with it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onecycle.ship.serve.counters import Counters
from onecycle.ship.serve.request_errors import RequestError, refused

LOOPBACK = ("localhost", "127.0.0.1", "::1")
# What monitors ask for, which tells nothing about anybody.
OPEN_PATHS = ("/health", "/ready")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Rules:
    """Who may ask, and how.

    Attributes:
        token: What whoever asks must know; None lets everybody ask who reaches the server.
        hosts: The names that the server may be asked by, so that no other site's name leads a browser here; None
            allows any.
        most_bytes: The longest body.
        seconds: How long a body may take to arrive.
    """

    token: str | None
    hosts: Iterable[str] | None
    most_bytes: int
    seconds: float


class Guard:
    """Lets a request through to the app, or refuses it.

    Args:
        app: The app.
        rules: Which requests reach it.
        counters: Where requests are counted.
        paths: The app's paths; requests for any other are counted together.
    """

    def __init__(self, app: ASGIApp, rules: Rules, counters: Counters, paths: Collection[str]) -> None:
        self.app, self.rules, self.counters, self.paths = app, rules, counters, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await (self._answer_instead(Request(scope)) or self.app)(
                scope, _Body(receive, self.rules), self._counted(scope, send)
            )

    def _counted(self, scope: Scope, send: Send) -> Send:
        """Return `send` with the headers that every response has; its status is counted."""

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                path = scope["path"] if scope["path"] in self.paths else "other"
                self.counters.add("onecycle_requests_total", path=path, status=str(message["status"]))
            await send(message)

        return send_counted

    def _answer_instead(self, request: Request) -> Response | None:
        """Return the response to what does not reach the app."""
        try:
            self._check_host(request)
            self._check_origin(request)
            self._check_length(request)
            return self._check_token(request)
        except RequestError as error:
            return refused(error)

    def _check_host(self, request: Request) -> None:
        host = request.headers.get("host", "")
        hosts = self.rules.hosts
        if hosts is not None and _name_of(f"//{host}") not in hosts:
            raise RequestError(
                421, f"The server is not called {host!r}.", f"one of: {', '.join(sorted(hosts))}.",
                "use such an address, or start the server with --host and --token.",
            )  # fmt: skip

    def _check_origin(self, request: Request) -> None:
        """Refuse what another site's page makes a browser send."""
        if request.method in ("GET", "HEAD"):
            return
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
        if foreign or site not in ("same-origin", "none"):
            raise RequestError(
                403, f"The request comes from another site: {origin or site}.", "one from this server's own page.",
                "ask from a program, which sends no Origin.",
            )  # fmt: skip

    def _check_length(self, request: Request) -> None:
        length = request.headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.rules.most_bytes:
            raise _too_long(self.rules.most_bytes)

    def _check_token(self, request: Request) -> Response | None:
        if self.rules.token is None or request.url.path in OPEN_PATHS:
            return None
        cookie = _cookie_name(request)
        if request.method == "GET" and request.url.path == "/":
            given = parse_qs(request.url.query).get("token", [""])[0]
            if self._is_token(given):
                response = RedirectResponse("/", 303)
                response.set_cookie(cookie, given, httponly=True, samesite="strict")
                return response
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._is_token(bearer) or self._is_token(request.cookies.get(cookie, "")):
            return None
        raise RequestError(
            401, "The request has no valid token.", "the header Authorization: Bearer TOKEN.",
            "open the address that the server printed, or pass its token.", headers={"WWW-Authenticate": "Bearer"},
        )  # fmt: skip

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), (self.rules.token or "").encode())


class _Body:
    """Receives a body that is neither too long nor too slow."""

    def __init__(self, receive: Receive, rules: Rules) -> None:
        self._receive, self._rules, self._left = receive, rules, rules.most_bytes
        self._ends: float | None = None
        self._complete = False

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        now = asyncio.get_running_loop().time()
        self._ends = self._ends or now + self._rules.seconds
        try:
            message = await asyncio.wait_for(self._receive(), max(self._ends - now, 0))
        except TimeoutError:
            raise RequestError(
                408, f"The body has not arrived within {self._rules.seconds:g} seconds.", "all that was announced.",
                "send it again, or less of it.", headers={"Connection": "close"},
            ) from None  # fmt: skip
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _too_long(self._rules.most_bytes)
        self._complete = not message.get("more_body", False)
        return message


def _too_long(most_bytes: int) -> RequestError:
    return RequestError(
        413, "The body is too long.", f"at most {most_bytes / 1e6:,.0f} MB.",
        "resize the images, or send several requests.", headers={"Connection": "close"},
    )  # fmt: skip


def _name_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _cookie_name(connection: HTTPConnection) -> str:
    """Servers on several ports of a host share its cookies."""
    return f"onecycle_{(connection.scope.get('server') or (None, 0))[1]}"
