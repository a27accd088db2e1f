"""A server as a process of its own, on a port."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import onecycle as oc
from onecycle.errors import CallError, DataError, ModelError

from .conftest import picture

Bundles = Callable[[str], Path]


@contextmanager
def process(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """Run `onecycle serve`; give the process, its port, and what it printed."""
    command = [sys.executable, "-m", "onecycle", "serve", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        try:
            assert running.stdout is not None
            printed = running.stdout.readline() + running.stdout.readline()
            yield running, int(re.search(r"http://[\d.]+:(\d+)/", printed)[1]), printed  # type: ignore[index]
        finally:
            running.kill()


def read(connection: http.client.HTTPConnection) -> int:
    with closing(connection):
        response = connection.getresponse()
        json.loads(response.read())
        return response.status


@pytest.mark.slow
def test_nothing_that_was_accepted_is_lost_when_it_is_stopped(bundles: Bundles, tmp_path: Path) -> None:
    path = shutil.copy(bundles("photos"), tmp_path / "model.onecycle")
    with process(path, "--host", "0.0.0.0") as (running, port, printed):
        assert printed.startswith(f"Serving model (category, 3 classes) on http://0.0.0.0:{port}/?token=")
        assert f"kept in {tmp_path / 'model.journal'}" in printed
        token = re.search(r"token=([\w-]{20,})\n", printed)[1]  # type: ignore[index]

        def begin(number: int, sent: int | None, **headers: str) -> http.client.HTTPConnection:
            connection, content = http.client.HTTPConnection("127.0.0.1", port, timeout=60), picture(number)
            connection.putrequest("POST", "/predict?keep=true")
            for name, value in {"content-type": "image/png", "content-length": str(len(content)), **headers}.items():
                connection.putheader(name, value)
            connection.endheaders(content[:sent])
            return connection

        known = {"authorization": f"Bearer {token}"}
        assert read(begin(0, None)) == 401
        halves = [begin(number, 100, **known) for number in range(8)]
        assert read(begin(8, None, **known)) == 200  # by now the halves were accepted, too
        running.send_signal(signal.SIGTERM)
        for number, connection in enumerate(halves):
            connection.send(picture(number)[100:])
        assert [read(connection) for connection in halves] == [200] * 8
        assert running.wait(60) == 0
        assert running.stdout is not None
        assert running.stdout.read() == ""
    with oc.Journal(tmp_path / "model.journal") as journal:
        assert len(journal.events()) == 9


def test_a_port_that_is_taken_is_told(bundles: Bundles) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            DataError, match=rf"cannot listen on 127.0.0.1, port {port}: .*\nExpected an address of this"
        ):
            oc.serve(bundles("photos"), port=port)
    with pytest.raises(DataError, match=r"cannot listen on 127\.0\.0\.1, port 99999"):
        oc.serve(bundles("photos"), port=99999)


def test_missing_packages_are_told_in_a_line(monkeypatch: pytest.MonkeyPatch, bundles: Bundles) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ModelError) as caught:
        oc.serve(bundles("photos"))
    assert str(caught.value) == (
        "uvicorn is not installed.\nExpected the extra `serve`.\nFix: pip install 'onecycle[serve]'."
    )


def test_an_option_that_there_is_not_is_told(bundles: Bundles) -> None:
    with pytest.raises(
        CallError, match=r"Limits\(\) has no option most_waitng=\.\nExpected one of: batch_size, most_bytes"
    ):
        oc.serve(bundles("photos"), port=0, most_waitng=3)
