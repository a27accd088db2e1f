"""What a server answers when it cannot: the three lines of an error, as JSON."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from onecycle.errors import OnecycleError
from onecycle.review.journal import JournalError


class RequestError(OnecycleError):
    """A request that is not answered.

    Args:
        status: The status code of HTTP.
        headers: Of the response.
    """

    def __init__(
        self, status: int, what: str, expected: str, fix: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(what, expected, fix)
        self.status, self.headers = status, headers


def error_lines(error: OnecycleError) -> dict[str, str]:
    """Return an error as JSON."""
    return {"what": error.what, "expected": error.expected, "fix": error.fix}


def refused(error: OnecycleError) -> JSONResponse:
    """Return the response for an error: of a `RequestError` with its own status, of all others that of bad data.

    A journal that cannot be written to, such as on a full disk, is no fault of who asks: 507 (Insufficient Storage).
    """
    of_data = 507 if isinstance(error, JournalError) else 422
    status, headers = (error.status, error.headers) if isinstance(error, RequestError) else (of_data, None)
    return JSONResponse({"error": error_lines(error)}, status, headers)


async def answer_error(request: Request, error: Exception) -> JSONResponse:
    """Answer what was raised on the way to an answer."""
    if isinstance(error, OnecycleError):
        return refused(error)
    if isinstance(error, ClientDisconnect):  # which is counted, and reaches nobody
        lines = ("The client has closed the connection.", "the whole body.", "send it again.")
        return refused(RequestError(400, *lines))
    if isinstance(error, HTTPException):
        described = any(getattr(route, "path", "") == "/openapi.json" for route in request.app.routes)
        expected = "a request as /openapi.json describes it." if described else "a request as the page at / sends it."
        lines = (
            f"{request.method} {request.url.path}: {error.detail.rstrip('.')}.",
            expected,
            "check address, method and body.",
        )
        return refused(RequestError(error.status_code, *lines, headers=error.headers))
    lines = (f"Internal error in onecycle: {type(error).__name__}.", "an answer.", "look at what the server printed.")
    return refused(RequestError(500, *lines))
