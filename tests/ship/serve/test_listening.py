"""A server that is told to stop ends cleanly, wherever it was started."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request

import pytest

APP = """
import asyncio, signal
from onecycle.ship.serve.listening import address_of, listening, run_app

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"answered"})

def serve():
    with listening("127.0.0.1", 0) as listener:
        print(address_of(listener, None), flush=True)
        run_app(app, listener)
    print("stopped", flush=True)

async def cell():
    serve()

signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the shell had it ignored
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("call", ["serve()", "asyncio.run(cell())"])
def test_it_answers_until_a_signal_and_what_follows_runs(call: str, number: int) -> None:
    command = [sys.executable, "-c", APP + call]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        address = running.stdout.readline().strip()
        for _ in range(2):
            with urllib.request.urlopen(address, timeout=60) as response:
                assert response.read() == b"answered"
        running.send_signal(number)
        assert running.stdout.read() == "stopped\n"
        assert running.wait(60) == 0
