"""A hub on this machine: as much of its API as pushing and loading a model asks for."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

TOKEN = "hf_of_the_test"
Files = dict[str, bytes]


@dataclass
class Repository:
    """Its commits, and the one that each branch is at."""

    private: bool = False
    commits: dict[str, Files] = field(default_factory=lambda: {"0" * 40: {}})
    branches: dict[str, str] = field(default_factory=lambda: {"main": "0" * 40})

    def files(self, revision: str) -> tuple[str, Files] | None:
        commit = self.branches.get(revision, revision)
        return (commit, self.commits[commit]) if commit in self.commits else None

    def commit(self, branch: str, files: Files) -> str:
        name = hashlib.sha1(f"{len(self.commits)}".encode()).hexdigest()
        self.commits[name] = {**self.commits[self.branches[branch]], **files}
        self.branches[branch] = name
        return name


class FakeHub:
    """Repositories by name.

    Attributes:
        requests: Each as (method, path).
        refusal: Status and message of the answer to whoever makes a repository; None makes it.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[tuple[str, str]] = []
        self.refusal: tuple[int, str] | None = None
        api = "/api/models/{user}/{name}"
        self.app = Starlette(routes=[
            Route("/api/repos/create", self.create, methods=["POST"]),
            Route("/api/validate-yaml", self.validate, methods=["POST"]),
            Route(f"{api}/branch/{{revision}}", self.branch, methods=["POST"]),
            Route(f"{api}/preupload/{{revision}}", self.preupload, methods=["POST"]),
            Route(f"{api}/commit/{{revision}}", self.commit, methods=["POST"]),
            Route("/{user}/{name}/resolve/{revision}/{file:path}", self.resolve, methods=["GET", "HEAD"]),
        ])  # fmt: skip

    def files(self, name: str, revision: str = "main") -> Files:
        found = self.repositories[name].files(revision)
        assert found is not None
        return found[1]

    async def create(self, request: Request) -> Response:
        self._note(request)
        if self.refusal is not None:
            return JSONResponse({"error": self.refusal[1]}, status_code=self.refusal[0])
        if refused := self._refused(request):
            return refused
        asked = await request.json()
        name = f"{asked.get('organization') or 'user'}/{asked['name']}"
        known = name in self.repositories
        self.repositories.setdefault(name, Repository(private=_is_private(asked)))
        return JSONResponse({"url": f"{request.base_url}{name}"}, status_code=409 if known else 200)

    async def validate(self, request: Request) -> Response:
        return JSONResponse({"errors": [], "warnings": []})

    async def branch(self, request: Request) -> Response:
        self._note(request)
        found = self._repository(request)
        branch = request.path_params["revision"]
        known = branch in found.branches
        found.branches.setdefault(branch, found.branches["main"])
        return JSONResponse({}, status_code=409 if known else 200)

    async def preupload(self, request: Request) -> Response:
        self._note(request)
        files = (await request.json())["files"]
        return JSONResponse({
            "files": [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files]
        })  # fmt: skip

    async def commit(self, request: Request) -> Response:
        self._note(request)
        if refused := self._refused(request):
            return refused
        lines = [json.loads(line) for line in (await request.body()).splitlines()]
        added = {
            one["value"]["path"]: base64.b64decode(one["value"]["content"]) for one in lines if one["key"] == "file"
        }
        name = self._repository(request).commit(request.path_params["revision"], added)
        url = f"{request.base_url}{self._name(request)}/commit/{name}"
        return JSONResponse({"commitUrl": url, "commitOid": name, "success": True})

    async def resolve(self, request: Request) -> Response:
        self._note(request)
        repository = self.repositories.get(self._name(request))
        if repository is None or (repository.private and self._refused(request)):
            return _missing("RepoNotFound", 401)
        found = repository.files(request.path_params["revision"])
        if found is None:
            return _missing("RevisionNotFound", 404)
        commit, files = found
        content = files.get(request.path_params["file"])
        if content is None:
            return _missing("EntryNotFound", 404, commit)
        etag = f'"{hashlib.sha1(content).hexdigest()}"'
        headers = {"X-Repo-Commit": commit, "ETag": etag, "Content-Length": str(len(content))}
        return Response(b"" if request.method == "HEAD" else content, headers=headers)

    def _note(self, request: Request) -> None:
        self.requests.append((request.method, request.url.path))

    def _name(self, request: Request) -> str:
        return "{user}/{name}".format(**request.path_params)

    def _repository(self, request: Request) -> Repository:
        return self.repositories[self._name(request)]

    def _refused(self, request: Request) -> Response | None:
        if request.headers.get("authorization") == f"Bearer {TOKEN}":
            return None
        return JSONResponse({"error": "Invalid username or password."}, status_code=401)


def _is_private(asked: dict[str, Any]) -> bool:
    return bool(asked.get("private")) or asked.get("visibility") == "private"


def _missing(code: str, status: int, commit: str | None = None) -> Response:
    headers = {"X-Error-Code": code, "X-Error-Message": re.sub("(?<!^)([A-Z])", r" \1", code)}
    return Response(status_code=status, headers=headers | ({"X-Repo-Commit": commit} if commit else {}))


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an app on a free port while the context lasts, and give its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
