"""The page and the API of a review, as an ASGI app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from onecycle.data.categories import Category, MultiCategory
from onecycle.errors import DataError, OnecycleError
from onecycle.review.cards import KINDS, POOL, Item
from onecycle.review.decisions import CHOICES
from onecycle.review.session import AlreadyDecidedError, Review
from onecycle.ship.review_page.contents import picture_of, text_of
from onecycle.ship.review_page.description import describe_card, describe_review
from onecycle.ship.serve import app as serve_app
from onecycle.ship.serve.counters import Counters
from onecycle.ship.serve.explanation import explain_item, explained_by
from onecycle.ship.serve.guard import LOOPBACK, Guard, Rules
from onecycle.ship.serve.request_errors import RequestError, answer_error
from onecycle.ship.serve.uploads import read_json

if TYPE_CHECKING:
    from onecycle.train.learner import Learner

PAGE = Path(__file__).parent / "page"
MOST_BYTES, SECONDS = 2**20, 30.0


def create_review_app(
    review: Review,
    learner: Learner,
    *,
    name: str = "review",
    written: str = "",
    token: str | None = None,
    hosts: Iterable[str] | None = LOOPBACK,
) -> ASGIApp:
    """Return the page and the API of a review, for any ASGI server.

    Args:
        review: What is decided.
        learner: The model and the data.
        name: What is reviewed.
        written: Where decisions are written, in words.
        token: What whoever asks must know; None lets everybody ask who reaches the server.
        hosts: The names that the server may be asked by; None allows any.
    """
    app = ReviewApp(review, learner, name, written)
    routes = [
        *(Route(f"/{file}", serve_app.file_route(PAGE / file)) for file in ("review.js", "review.css")),
        *(Route(f"/{file}", serve_app.file_route(serve_app.PAGE / file)) for file in serve_app.SHARED),
        Route("/", serve_app.file_route(PAGE / "index.html")),
        Route("/about", app.about),
        Route("/card", app.card),
        Route("/picture", app.picture),
        Route("/explain", app.explain),
        Route("/decide", app.decide, methods=["POST"]),
        Route("/skip", app.skip, methods=["POST"]),
        Route("/skipped", app.show_skipped, methods=["POST"]),
        Route("/undo", app.undo, methods=["POST"]),
        Route("/health", app.health),
    ]
    handlers: Any = dict.fromkeys((OnecycleError, HTTPException, Exception), answer_error)
    starlette = Starlette(routes=routes, lifespan=app.lifespan, exception_handlers=handlers)
    paths = frozenset(route.path for route in routes)
    return Guard(starlette, Rules(token, hosts, MOST_BYTES, SECONDS), Counters(), paths)


class ReviewApp:
    """What the routes do."""

    def __init__(self, review: Review, learner: Learner, name: str, written: str) -> None:
        self.review, self.learner, self.name, self.written = review, learner, name, written

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Search while the server runs."""
        self.review.start()
        yield
        await asyncio.to_thread(self.review.stop)

    async def about(self, request: Request) -> Response:
        """Return what stays the same: the classes, and where decisions are written."""
        target = self.learner.target
        return JSONResponse({
            "name": self.name, "reads": self.learner.data.modality.kind, "predicts": target.kind,
            "classes": list(target.classes), "written": self.written,
            "explains": explained_by(self.learner.data.modality, target),
        })  # fmt: skip

    async def card(self, request: Request) -> Response:
        """Return what a tab shows, and how far the review is."""
        tab, kind = request.query_params.get("tab", ""), request.query_params.get("kind") or None
        if kind is not None and kind not in KINDS:
            raise DataError(f"kind={kind[:40]!r}.", f"one of: {', '.join(KINDS)}.", "leave it out for all.")
        return JSONResponse(await asyncio.to_thread(self._card, tab, kind))

    def _card(self, tab: str, kind: str | None) -> dict[str, Any]:
        card, upcoming = self.review.next(tab, kind)
        decisions, target = self.review.decisions, self.learner.target
        return {
            **describe_review(self.review),
            "card": None if card is None else describe_card(card, decisions, target),
            "upcoming": [] if upcoming is None else [item.key for item in upcoming.items],
        }

    async def picture(self, request: Request) -> Response:
        """Return a picture of an item that is on a card."""
        item = self._item(request.query_params.get("item", ""))
        content = await asyncio.to_thread(picture_of, item, self.learner)
        return Response(content.data, media_type=content.kind, headers={"Cache-Control": "private, max-age=600"})

    async def explain(self, request: Request) -> Response:
        """Return what the model went by in an item that is on a card."""
        item = self._item(request.query_params.get("item", ""))
        return JSONResponse(await asyncio.to_thread(self._explain, item))

    def _explain(self, item: Item) -> dict[str, Any]:
        text = text_of(item)
        return explain_item(self.learner.predictor(), item.dataset.rows.input(item.row) if text is None else text)

    def _item(self, key: str) -> Item:
        for card in list(self.review.queue.cards.values()):
            for item in card.items:
                if item.key == key:
                    return item
        raise RequestError(404, f"There is no item {key[:80]!r}.", "an item of a card.", "reload the page.")

    async def decide(self, request: Request) -> Response:
        """Write a decision down; the response comes when it is on the disk."""
        body = await read_json(request)
        choice, label, removed = body.get("decision"), body.get("label"), body.get("removed") or []
        if choice not in CHOICES:
            raise DataError(f"decision={choice!r}.", f"one of: {', '.join(CHOICES)}.", "send one of them.")
        if (choice == "relabel") != (label is not None) or not isinstance(removed, list):
            raise DataError(
                "The label does not fit the decision.", "a label with relabel, and with nothing else.",
                "send {\"decision\": \"relabel\", \"label\": ...}.",
            )  # fmt: skip
        if label is not None:
            self._check_label(label)
        tab, key, version = str(body.get("tab")), str(body.get("card")), body.get("version")
        return await self._made(self._decide, tab, key, choice, label, removed, version)

    def _decide(self, tab: str, key: str, choice: Any, label: Any, removed: list[str], version: Any) -> None:
        card = self.review.queue.cards.get(key)
        if card is not None and card.kind == POOL and choice == "keep" and card.items[0].predicted is None:
            raise DataError("Nothing is predicted for this item.", "a label, or to leave it out.", "choose its label.")
        self.review.decide(tab, key, choice, label, removed, version=version)

    async def skip(self, request: Request) -> Response:
        """Put a card off."""
        body = await read_json(request)
        return await self._made(self.review.skip, str(body.get("tab")), str(body.get("card")))

    async def show_skipped(self, request: Request) -> Response:
        """Go through what was put off."""
        return await self._made(self.review.show_skipped)

    async def undo(self, request: Request) -> Response:
        """Take the last decision back."""
        tab = str((await read_json(request)).get("tab"))
        return await self._made(self.review.undo, tab)

    async def _made(self, change: Callable[..., Any], *arguments: Any) -> Response:
        try:
            await asyncio.to_thread(change, *arguments)
        except AlreadyDecidedError as error:
            raise RequestError(409, error.what, error.expected, error.fix) from error
        return JSONResponse(describe_review(self.review))

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def _check_label(self, label: Any) -> None:
        """Refuse a label that the model does not know.

        Raises:
            DataError: It is none of its classes, or the items have no classes.
        """
        target = self.learner.target
        fits = isinstance(label, str) if isinstance(target, Category) else isinstance(label, list)
        if not isinstance(target, Category | MultiCategory) or not fits:
            raise DataError(
                f"The label {str(label)[:80]!r} for {target.kind}.", "a class, or a list of tags, where there are any.",
                "keep, remove or skip the item.",
            )  # fmt: skip
        target.encode(label)
