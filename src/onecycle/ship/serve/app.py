"""The page and the API of a server, as an ASGI app."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from onecycle.calls import explains_calls
from onecycle.errors import DataError, OnecycleError, some
from onecycle.review.journal import VERDICTS, Journal
from onecycle.ship.serve.counters import Counters
from onecycle.ship.serve.description import describe_model, kept_suffix
from onecycle.ship.serve.engine import Engine
from onecycle.ship.serve.explanation import explain
from onecycle.ship.serve.guard import LOOPBACK, Guard, Rules
from onecycle.ship.serve.request_errors import RequestError, answer_error, error_lines
from onecycle.ship.serve.served import Answer, ServedModel, Upload, load_served
from onecycle.ship.serve.uploads import read_json, read_uploads
from onecycle.vision.targets import SpatialTarget

ResultT = TypeVar("ResultT")
PAGE = Path(__file__).parent / "page"
SHARED = ("common.js", "explanation.js", "style.css")  # with the page of a review
FILES = ("page.js", "openapi.json", *SHARED)


@explains_calls
@dataclass(frozen=True)
class Limits:
    """What a server takes on.

    Attributes:
        batch_size: The most inputs that are computed together.
        most_waiting: The most inputs that are accepted and not yet answered; further ones are refused with 503.
        most_inputs: The most inputs in a request.
        most_bytes: The longest body of a request.
        most_connections: The most connections that are open at a time; further ones are refused with 503.
        seconds: How long headers and body of a request may take to arrive, and an answer to be found.
        seconds_between_looks: How often the model's file is looked at, whether it was replaced.
    """

    batch_size: int = 32
    most_waiting: int = 256
    most_inputs: int = 64
    most_bytes: int = 2**25
    most_connections: int = 512
    seconds: float = 30.0
    seconds_between_looks: float = 1.0


def create_app(
    served: ServedModel,
    journal: Journal | None = None,
    *,
    token: str | None = None,
    hosts: Iterable[str] | None = LOOPBACK,
    limits: Limits | None = None,
) -> ASGIApp:
    """Return the page and the API of a model, for any ASGI server.

    Args:
        served: The model, from `load_served`.
        journal: Where judgements are written; None takes none.
        token: What whoever asks must know; None lets everybody ask who reaches the server.
        hosts: The names that the server may be asked by; None allows any.
        limits: What it takes on.
    """
    limits = limits or Limits()
    app = App(served, journal, limits)
    routes = [
        *(Route(f"/{name}", file_route(PAGE / name)) for name in FILES),
        Route("/", file_route(PAGE / "index.html")),
        Route("/model", app.model),
        Route("/predict", app.predict, methods=["POST"]),
        Route("/feedback", app.feedback, methods=["POST"]),
        Route("/health", app.health),
        Route("/ready", app.ready),
        Route("/metrics", app.metrics),
    ]
    handlers: Any = dict.fromkeys((OnecycleError, HTTPException, ClientDisconnect, Exception), answer_error)
    starlette = Starlette(routes=routes, lifespan=app.lifespan, exception_handlers=handlers)
    paths = frozenset(route.path for route in routes)
    return Guard(starlette, Rules(token, hosts, limits.most_bytes, limits.seconds), app.counters, paths)


class App:
    """What the routes do."""

    def __init__(self, served: ServedModel, journal: Journal | None, limits: Limits) -> None:
        self.journal, self.limits, self.counters = journal, limits, Counters()
        self._served = served
        self.engine: Engine | None = None

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Run the model while the server runs; at the end answer what was accepted."""
        limits, threads = self.limits, torch.get_num_threads()
        self.engine = Engine(
            self._served, batch_size=limits.batch_size, most_waiting=limits.most_waiting, counters=self.counters
        )
        watching = asyncio.create_task(self._watch(self.engine))
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        engine, self.engine = self.engine, None
        await asyncio.to_thread(engine.close)
        torch.set_num_threads(threads)

    async def _watch(self, engine: Engine) -> None:
        """Take the model anew whenever its file is replaced; one that cannot be loaded changes nothing."""
        failed: tuple[int, ...] = ()
        while True:
            await asyncio.sleep(self.limits.seconds_between_looks)
            state = await asyncio.to_thread(engine.served.state_now)
            if state in (engine.served.state, failed, None):
                continue
            try:
                assert engine.served.source is not None  # or its state would be None
                engine.served = await asyncio.to_thread(load_served, engine.served.source)
                print(f"Now answering with {engine.served.path}", flush=True)
                self.counters.add("onecycle_reloads_total", result="loaded")
            except Exception as error:
                if await asyncio.to_thread(engine.served.state_now) != state:
                    continue  # it was replaced meanwhile: the next look finds what is there then
                failed = state or ()
                self.counters.add("onecycle_reloads_total", result="refused")
                warnings.warn(f"The model was replaced, and the old one goes on: {error}", stacklevel=1)

    async def model(self, request: Request) -> Response:
        description = describe_model(self._running.served)
        limits = {"inputs": self.limits.most_inputs, "bytes": self.limits.most_bytes}
        return JSONResponse({**description, "journal": self.journal is not None, "limits": limits})

    async def predict(self, request: Request) -> Response:
        """Answer inputs; those that are to be judged are in the journal then."""
        keep = _flag(request, "keep")
        if keep:
            self._needed_journal()
        explained, label = _flag(request, "explain"), request.query_params.get("label")
        if label is not None and not explained:
            raise DataError(f"label={label!r} without explain=true.", "a class to explain.", "add explain=true.")
        uploads = await read_uploads(request, self.limits.most_inputs)
        started = time.perf_counter()
        try:
            return await self._in_time(self._predict(uploads, keep=keep, explained=explained, label=label))
        finally:
            self.counters.observe("onecycle_request_seconds", time.perf_counter() - started)

    async def _predict(self, uploads: Sequence[Upload], *, keep: bool, explained: bool, label: str | None) -> Response:
        engine = self._running
        served = engine.served
        answers = await engine.predict(served, uploads)
        rows: list[dict[str, Any]] = []
        for upload, answer in zip(uploads, answers, strict=True):
            if isinstance(answer, Answer):
                row = {"name": upload.name, **_as_json(answer)}
                if explained:
                    row["explanation"] = await engine.run(explain, served, upload, label)
                if keep:
                    row["id"] = await asyncio.to_thread(self._record, served, upload, answer)
                rows.append(row)
            elif isinstance(answer, OnecycleError):
                rows.append({"name": upload.name, "error": error_lines(answer)})
            else:
                raise answer
        status = 422 if all("error" in row for row in rows) else 200
        first_error = {"error": rows[0]["error"]} if status == 422 else {}
        return JSONResponse({"model": served.digest, "predictions": rows, **first_error}, status)

    async def feedback(self, request: Request) -> Response:
        """Write down what a person says about a prediction; the response comes when it is on the disk."""
        body, journal = await read_json(request), self._needed_journal()
        if lacking := [name for name in ("id", "verdict") if body.get(name) is None]:
            raise DataError(
                f"The body has no {some(lacking)}.", f"the id of a prediction, and a verdict: {', '.join(VERDICTS)}.",
                'send {"id": ..., "verdict": "right"}.',
            )  # fmt: skip
        verdict: Any = body["verdict"]
        label = body.get("label")
        if label is not None:
            _check_label(self._running.served, label)
        judged = await asyncio.to_thread(journal.judge, str(body.get("id")), verdict, label)
        self.counters.add("onecycle_judgements_total", verdict=str(verdict))
        return JSONResponse({"id": judged})

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        ready = self.engine is not None
        return JSONResponse({"status": "ready" if ready else "stopping"}, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        engine = self._running
        text = self.counters.as_text(
            onecycle_waiting=(engine.waiting, {}),
            onecycle_model_info=(1, {"sha256": engine.served.digest, "name": engine.served.name}),
        )
        return PlainTextResponse(f"{text}\n", media_type="text/plain; version=0.0.4")

    @property
    def _running(self) -> Engine:
        if self.engine is None:
            raise RequestError(
                503, "The server is stopping.", "one that runs.", "ask again.", headers={"Retry-After": "5"}
            )
        return self.engine

    def _needed_journal(self) -> Journal:
        if self.journal is None:
            raise DataError(
                "This server keeps no journal.", "a server with a journal.",
                "start it with the path of a bundle, or pass journal=FOLDER.",
            )  # fmt: skip
        return self.journal

    def _record(self, served: ServedModel, upload: Upload, answer: Answer) -> str:
        label = _as_json(answer)["prediction"]
        suffix = kept_suffix(served.model.modality, upload)
        return self._needed_journal().record(
            upload.data, name=upload.name, suffix=suffix, model=served.digest, predicted=label,
            probabilities=answer.probabilities,
        )  # fmt: skip

    async def _in_time(self, answer: Awaitable[ResultT]) -> ResultT:
        try:
            return await asyncio.wait_for(answer, self.limits.seconds)
        except TimeoutError:
            raise RequestError(
                503, f"No answer within {self.limits.seconds:g} seconds.", "less work at a time.",
                "ask again, or send fewer inputs in a request.", headers={"Retry-After": "5"},
            ) from None  # fmt: skip


def file_route(path: Path) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers with a file of a page."""

    async def send(request: Request) -> Response:
        return FileResponse(path)

    return send


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "false"):
        raise DataError(f"{name}={value!r} in the address.", "true or false.", f"ask for {name}=true.")
    return value == "true"


def _as_json(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON; a mask as the base64 of its PNG file."""
    label = base64.b64encode(answer.label).decode() if isinstance(answer.label, bytes) else answer.label
    told = {} if answer.unfamiliar is None else {"unfamiliar": answer.unfamiliar}
    return {"prediction": label, "probabilities": answer.probabilities, **told}


def _check_label(served: ServedModel, label: Any) -> None:
    """Refuse a label that the model could not learn from.

    Raises:
        DataError: It is not one of the model's.
    """
    target = served.model.target
    if isinstance(target, SpatialTarget):
        raise DataError(
            f"A label for {target.kind}.", "no label: masks and points are judged as right or wrong.", "leave it out."
        )
    try:
        named = isinstance(label, dict)
        if named and label.keys() != set(target.classes):
            raise ValueError("other names")
        target.encode([label[name] for name in target.classes] if named else label)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, OnecycleError):
            raise
        raise DataError(
            f"The label {json.dumps(label)[:80]} does not fit {target.kind}.", f"a label of: {target.summary}.",
            "send one in the form of a prediction.",
        ) from error  # fmt: skip
