"""Who may ask a server, from where, and how much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from onecycle.ship.serve.app import Limits
from onecycle.ship.serve.guard import Rules, _Body
from onecycle.ship.serve.request_errors import RequestError

from .conftest import picture

Ask = Callable[..., Any]


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:80", "[::1]:8000"])
def test_this_machine_is_asked_by_its_own_names(ask: Ask, host: str) -> None:
    assert ask("photos").get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "[", ""])
def test_another_name_that_leads_here_is_refused(ask: Ask, host: str) -> None:
    response = ask("photos").get("/", headers={"host": host})
    assert response.status_code == 421
    assert response.json()["error"]["what"] == f"The server is not called {host!r}."


@pytest.mark.parametrize("headers", [
    {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://localhost:9999"},
    {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
])  # fmt: skip
def test_another_sites_page_cannot_send_anything(ask: Ask, headers: dict[str, str]) -> None:
    client = ask("photos")
    for path in ("/predict", "/feedback"):
        response = client.post(path, headers=headers, files={"file": picture()})
        assert response.status_code == 403
        assert "comes from another site" in response.json()["error"]["what"]


def test_its_own_page_can(ask: Ask) -> None:
    headers = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert ask("photos").post("/predict", headers=headers, files={"file": picture()}).status_code == 200


def test_every_response_forbids_a_browser_what_the_page_does_not_need(ask: Ask) -> None:
    client = ask("photos")
    for response in (
        client.get("/"),
        client.get("/nowhere"),
        client.get("/", headers={"host": "x"}),
        client.post("/predict"),
    ):
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in response.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert "unsafe" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"


@pytest.fixture
def secured(ask: Ask) -> Iterator[Any]:
    return ask("photos", token="sesame-öffne", hosts=None)


def test_without_the_token_nobody_is_answered(secured: Any) -> None:
    for response in (
        secured.get("/"), secured.get("/?token=wrong"), secured.get("/metrics"),
        secured.get("/model?token=sesame-öffne"),
        secured.post("/predict", files={"file": picture()}, headers={"authorization": "Bearer wrong"}),
        secured.post("/feedback", headers={"authorization": "Bearer "}),
    ):  # fmt: skip
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    assert secured.get("/health").status_code == secured.get("/ready").status_code == 200


def test_with_the_token_programs_and_browsers_are(ask: Ask) -> None:
    secured = ask("photos", token="sesame", hosts=None)
    asked = {"files": {"file": picture()}}
    assert secured.post("/predict", headers={"authorization": "Bearer sesame"}, **asked).status_code == 200
    opened = secured.get("/?token=sesame", headers={"host": "photos.example"}, follow_redirects=False)
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert "httponly" in opened.headers["set-cookie"].lower()
    assert "samesite=strict" in opened.headers["set-cookie"].lower()
    cookie = opened.headers["set-cookie"].partition(";")[0]
    assert secured.post("/predict", headers={"cookie": cookie}, **asked).status_code == 200


def test_a_body_that_is_too_long_is_refused_announced_or_not(ask: Ask) -> None:
    client = ask("texts", limits=Limits(most_bytes=1000))

    def chunks() -> Iterator[bytes]:
        yield from [b"good "] * 300

    for body in (b"good " * 300, chunks()):
        response = client.post("/predict", content=body, headers={"content-type": "text/plain"})
        assert response.status_code == 413
        assert response.json()["error"]["what"] == "The body is too long."
        assert response.headers["connection"] == "close"
    assert client.post("/predict", content=b"good " * 200).status_code == 200


def test_a_body_that_never_ends_is_not_waited_for() -> None:
    async def messages() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "http.request", "body": b"the beginning", "more_body": True}
        await asyncio.Event().wait()

    async def read() -> None:
        body = _Body(messages().__anext__, Rules(None, None, most_bytes=100, seconds=0.05))  # type: ignore[arg-type]
        assert (await body())["body"] == b"the beginning"
        with pytest.raises(RequestError, match=r"has not arrived within 0\.05 seconds") as caught:
            await body()
        assert caught.value.status == 408

    asyncio.run(read())
