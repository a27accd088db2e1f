"""Load on `onecycle serve`: requests a second and latencies, one input at a time and in batches of what is there.

    python bench/serve.py [SECONDS] [CLIENTS ...]     # default: 10 seconds, 1, 8 and 32 clients

An untrained EfficientNet-Lite0 at 224 pixels answers photos of 500 x 375 pixels; server and clients are processes of
their own, on this machine. The forward pass beside it is that of the model alone, on a batch of as many images as there
are clients. Errors are responses other than 200 and a stated 503.
"""

from __future__ import annotations

import http.client
import io
import multiprocessing
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image, ImageFilter

import onecycle as oc
from onecycle.demo import make_patterns

SERVE = "import sys, onecycle as oc; oc.serve(sys.argv[1], port=0, batch_size=int(sys.argv[2]))"


def make_bundle(folder: Path) -> Path:
    photos = make_patterns(folder / "photos", each=2, pixels=64)
    images = oc.ImageList.from_folder(photos).split_random(0.5, stratify="folder")
    bunch = images.label_from_folder().transform(224).databunch(4, workers=0)
    return oc.vision_learner(bunch, "tf_efficientnet_lite0").export(folder / "model.onecycle")


def make_photo(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (375, 500, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def ask(port: int, seconds: float, clients: int, results: multiprocessing.Queue) -> None:
    """Ask from as many threads as there are clients, each for the next photo when it has its answer."""
    photos, latencies, statuses = [make_photo(seed) for seed in range(8)], list[float](), Counter[int]()

    def client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            number += 1
            connection.request("POST", "/predict", photos[number % 8], {"content-type": "image/jpeg"})
            response = connection.getresponse()
            response.read()
            latencies.append(time.perf_counter() - start)
            statuses[response.status] += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put((latencies, dict(statuses), time.perf_counter() - start))


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


def measure(bundle: Path, batch_size: int, seconds: float, clients: int) -> str:
    command = [sys.executable, "-c", SERVE, str(bundle), str(batch_size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(re.search(r":(\d+)/", server.stdout.readline())[1])
            results: multiprocessing.Queue = multiprocessing.get_context("spawn").Queue()
            for warmup in (True, False):
                given = (port, 2 if warmup else seconds, clients, results)
                asking = multiprocessing.get_context("spawn").Process(target=ask, args=given)
                asking.start()
                latencies, statuses, took = results.get()
                asking.join()
            memory = psutil.Process(server.pid).memory_info().rss / 1e6
        finally:
            server.send_signal(signal.SIGTERM)
    half, most, nearly_all = np.percentile(latencies, [50, 95, 99]) * 1000
    errors = sum(count for status, count in statuses.items() if status not in (200, 503))
    rate = statuses.get(200, 0) / took
    return f"{rate:.0f} | {half:.0f} | {most:.0f} | {nearly_all:.0f} | {statuses.get(503, 0)} | {errors} | {memory:.0f}"


def main(seconds: float, counts: list[int]) -> None:
    print(f"torch {torch.__version__}, {psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}\n")
    print(
        "| clients | batches of at most | answers/s | median ms | 95% | 99% | 503 | errors | MB | forward alone, ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_bundle(Path(folder))
        for clients in counts:
            forward = forward_seconds(bundle, clients) * 1000
            for batch_size in (1, 32):
                row = measure(bundle, batch_size, seconds, clients)
                print(f"| {clients} | {batch_size} | {row} | {forward:.0f} |", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10, [int(count) for count in sys.argv[2:]] or [1, 8, 32])
