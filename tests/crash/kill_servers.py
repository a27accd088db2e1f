"""Kills whole servers at random moments under load; every judgement that they acknowledged must be in the journal.

    python tests/crash/kill_servers.py 100   # kills

The servers are forked from a process that has imported everything, so that each is there at once; from then on they
are what `onecycle serve` is: a port, threads, a model, and one journal for all of them. Prints what was found, and ends
with 1 if a judgement or an input was lost, or the journal could not be read.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import random
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from onecycle.review.journal import Journal
from onecycle.ship.serve import app as app  # imported before the first fork
from onecycle.ship.serve.listening import listening, run_app
from onecycle.ship.serve.served import load_served
from ship.tiny_bundles import MODELS

CLIENTS = 4


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 24, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def ask(port: int, seed: int, acknowledged: list[tuple[str, bytes]]) -> None:
    """Predict and judge until the server is gone; note what was acknowledged."""
    rng = random.Random(seed)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            content = picture(rng.getrandbits(32))
            connection.request("POST", "/predict?keep=true", content, {"content-type": "image/png"})
            answered = json.loads(connection.getresponse().read())["predictions"][0]
            other = "red" if answered["prediction"] == "green" else "green"
            told = json.dumps({"id": answered["id"], "verdict": "wrong", "label": other}).encode()
            connection.request("POST", "/feedback", told, {"content-type": "application/json"})
            acknowledged.append((json.loads(connection.getresponse().read())["id"], content))
    except (OSError, http.client.HTTPException, ValueError):  # also half of a response
        return


def serve(listener: socket.socket, bundle: Path, folder: Path) -> None:
    with Journal(folder) as journal:
        run_app(app.create_app(load_served(bundle), journal), listener)


def kill_one(bundle: Path, folder: Path, seed: int, seconds: float) -> list[tuple[str, bytes]]:
    """Return what a server had acknowledged when it was killed, some time after it could be asked."""
    acknowledged: list[tuple[str, bytes]] = []
    with listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        child = os.fork()
        if not child:
            try:
                serve(listener, bundle, folder)
            finally:
                os._exit(1)
    clients = [
        threading.Thread(target=ask, args=(port, CLIENTS * seed + number, acknowledged)) for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    started = time.monotonic()
    while seed % 2 and not acknowledged and time.monotonic() < started + 60:  # the others also while they begin
        time.sleep(0.005)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for client in clients:
        client.join()
    return acknowledged


def main(kills: int) -> int:
    rng = random.Random(0)
    torch.set_num_threads(1)  # a forked process has no threads of a pool that there was
    with tempfile.TemporaryDirectory() as root:
        folder, bundle = Path(root) / "model.journal", MODELS["photos"]().write(Path(root) / "model.onecycle")
        acknowledged = [one for seed in range(kills) for one in kill_one(bundle, folder, seed, rng.uniform(0, 0.5))]
        with Journal(folder) as journal:
            events = journal.events().to_pylist()
            kept = {event["judgement"]: journal.input_path(event["input"]) for event in events}
            lost = [
                judged for judged, content in acknowledged if judged not in kept or kept[judged].read_bytes() != content
            ]
            inputs = [journal.input_path(event["input"]) for event in events]
            damaged = [path for path in inputs if hashlib.sha256(path.read_bytes()).hexdigest() != path.stem]
            repeated = len(journal.corrections()) != sum(1 for event in events if event["judgement"])
    print(f"{kills} kills, {len(acknowledged)} acknowledged, {len(lost)} lost, {len(damaged)} damaged")
    return int(bool(lost or damaged) or repeated or not acknowledged)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
