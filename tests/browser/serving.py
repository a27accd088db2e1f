"""Apps on a port of their own, and what keeps people from using their pages."""

from __future__ import annotations

import importlib.resources
import importlib.util
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from browser.chromium import Page


@contextmanager
def in_a_thread(app: Any) -> Iterator[str]:
    """Serve an app on a free port, and give its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", ws="none", log_level="warning"))
        running = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        running.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            running.join()


def serious(page: Page) -> list[str]:
    """Return what axe finds that keeps people from using the page."""
    if importlib.util.find_spec("axe_core_python") is None:
        pytest.skip("axe-core is in the extra `browser`")
    if not page.run("typeof axe === 'object'"):
        page.run((importlib.resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.run("axe.run().then(result => result.violations.map(({id, impact, nodes}) => "
                     "[impact, id, ...nodes.map(node => node.html)].join(' ')))")  # fmt: skip
    return [one for one in found if one.startswith(("serious", "critical"))]
