"""Servers of tiny untrained models, asked without a network."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onecycle as oc
from ship.tiny_bundles import MODELS

collect_ignore_glob = [] if importlib.util.find_spec("starlette") else ["test_*.py"]
Client = Any


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the bundle of a kind, which is made once."""
    folder = tmp_path_factory.mktemp("served")

    def bundle(kind: str) -> Path:
        path = folder / f"{kind}.onecycle"
        return path if path.exists() else MODELS[kind]().write(path)

    return bundle


@pytest.fixture
def ask(bundles: Callable[[str], Path], tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Gives a client of a server with a journal, for a kind of model or a bundle, with the options of `create_app`."""
    from starlette.testclient import TestClient

    from onecycle.ship.serve.app import create_app
    from onecycle.ship.serve.served import load_served

    with ExitStack() as stack:

        def client(model: str | Path, **options: Any) -> Client:
            journal = options.pop("journal", None) or stack.enter_context(oc.Journal(tmp_path / "model.journal"))
            served = load_served(bundles(model) if isinstance(model, str) else model)
            app = create_app(served, journal, **options)
            base = {"base_url": "http://localhost", "raise_server_exceptions": False}
            return stack.enter_context(TestClient(app, **base))  # type: ignore[arg-type]

        yield client


def picture(seed: int = 0, size: tuple[int, int] = (40, 50), form: str = "PNG") -> bytes:
    """The content of an image file."""
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()
