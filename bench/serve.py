"""`onecycle serve` under load: answers a second and latencies, its memory over many requests, and its start.

    python bench/serve.py [SECONDS] [CLIENTS ...]     # default: 60 seconds, 1, 8 and 32 clients

An untrained EfficientNet-Lite0 at 224 pixels answers photos of 500 x 375 pixels; server and clients are processes of
their own, on this machine. The forward pass beside it is that of the model alone, on a batch of as many images as there
are clients, on all processors. Errors are responses other than 200 and a stated 503.
"""

from __future__ import annotations

import http.client
import io
import multiprocessing
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image, ImageFilter

import onecycle as oc
from onecycle.demo import make_patterns

SERVE = "import sys, onecycle as oc; oc.serve(sys.argv[1], port=0, batch_size=int(sys.argv[2]))"
REQUESTS = 10_000  # over which memory must stay flat


def make_bundle(folder: Path) -> Path:
    photos = make_patterns(folder / "photos", each=2, pixels=64)
    images = oc.ImageList.from_folder(photos).split_random(0.5, stratify="folder")
    bunch = images.label_from_folder().transform(224).databunch(4, workers=0)
    return oc.vision_learner(bunch, "tf_efficientnet_lite0").export(folder / "model.onecycle")


def make_photo(seed: int, size: tuple[int, int] = (375, 500)) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def post(connection: http.client.HTTPConnection, photo: bytes) -> int:
    connection.request("POST", "/predict", photo, {"content-type": "image/jpeg"})
    response = connection.getresponse()
    response.read()
    return response.status


def ask(port: int, seconds: float, requests: int, clients: int, results: multiprocessing.Queue[Any]) -> None:
    """Ask from as many threads as there are clients, each for the next photo when it has its answer."""
    photos, latencies, statuses = [make_photo(seed) for seed in range(8)], list[float](), Counter[int]()
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while (start := time.perf_counter()) < end and len(latencies) < requests:
            number += 1
            statuses[post(connection, photos[number % 8])] += 1
            latencies.append(time.perf_counter() - start)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put((latencies, dict(statuses), time.perf_counter() - start))


def asked(port: int, seconds: float, requests: int, clients: int) -> tuple[list[float], dict[int, int], float]:
    """Return latencies, how often each status came, and the time that it took."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    asking = context.Process(target=ask, args=(port, seconds, requests, clients, results))
    asking.start()
    result: tuple[list[float], dict[int, int], float] = results.get()
    asking.join()
    return result


@contextmanager
def serving(*command: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a server; give its process, and its port once it is told."""
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server, int(re.search(r":(\d+)/", server.stdout.readline())[1])  # type: ignore[index]
        finally:
            server.terminate()


def forward_seconds(bundle: Path, count: int) -> float:
    """Return the median time of the model alone on a batch."""
    model = oc.load_model(bundle)
    batch = model.collate([model.read(Image.open(io.BytesIO(make_photo(seed)))) for seed in range(count)])
    times = []
    for _ in range(5):
        start = time.perf_counter()
        model.predict_batch(batch)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def megabytes(server: subprocess.Popen[str]) -> float:
    return psutil.Process(server.pid).memory_info().rss / 1e6


def load_row(bundle: Path, batch_size: int, seconds: float, clients: int) -> str:
    with serving("-c", SERVE, str(bundle), str(batch_size)) as (server, port):
        asked(port, 2, REQUESTS, clients)  # to warm up
        latencies, statuses, took = asked(port, seconds, 10**9, clients)
        memory = megabytes(server)
    half, most, nearly_all = np.percentile(latencies, [50, 95, 99]) * 1000
    errors = sum(count for status, count in statuses.items() if status not in (200, 503))
    rate = statuses.get(200, 0) / took
    return f"{rate:.0f} | {half:.0f} | {most:.0f} | {nearly_all:.0f} | {statuses.get(503, 0)} | {errors} | {memory:.0f}"


def memory_line(bundle: Path) -> str:
    with serving("-c", SERVE, str(bundle), "32") as (server, port):
        asked(port, 600, REQUESTS // 10, 8)
        before = megabytes(server)
        asked(port, 600, REQUESTS, 8)
        after = megabytes(server)
    return f"Memory: {before:.0f} MB after {REQUESTS // 10:,} requests, {after:.0f} MB after {REQUESTS:,} more"


def start_line(bundle: Path) -> str:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        with serving("-m", "onecycle", "serve", str(bundle), "--port", "0") as (_, port):
            assert post(http.client.HTTPConnection("127.0.0.1", port, timeout=60), make_photo(0)) == 200
            times.append(time.perf_counter() - start)
    return f"First answer {np.median(times):.1f} s after the command (median of 3)"


def main(seconds: float, counts: list[int]) -> None:
    print(f"torch {torch.__version__}, {psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_bundle(Path(folder))
        print(f"{start_line(bundle)}\n", flush=True)
        print("| clients | batches of at most | answers/s | median ms | 95% | 99% | 503 | errors | MB | forward, ms |")
        print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
        for clients in counts:
            forward = forward_seconds(bundle, clients) * 1000
            for batch_size in (1, 32):
                print(
                    f"| {clients} | {batch_size} | {load_row(bundle, batch_size, seconds, clients)} | {forward:.0f} |",
                    flush=True,
                )
        print(f"\n{memory_line(bundle)}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60, [int(count) for count in sys.argv[2:]] or [1, 8, 32])
