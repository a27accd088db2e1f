"""What decoding takes is told from the header, limited, and shared by threads."""

import io
import json
import multiprocessing
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from onecycle.errors import DataError
from onecycle.vision.decode import decode
from onecycle.vision.decode_memory import DEFAULT_LIMIT, VARIABLE, decode_limit, memory_for
from onecycle.vision.mask_files import read_mask_values


@pytest.mark.parametrize(
    ("text", "limit"), [("1000", 1000), ("500M", 500_000_000), ("1.5g", 1_500_000_000), (" 2GB ", 2_000_000_000)]
)
def test_the_limit_is_set_by_an_environment_variable(text: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert decode_limit() == DEFAULT_LIMIT == 10**9
    monkeypatch.setenv(VARIABLE, text)
    assert decode_limit() == limit


@pytest.mark.parametrize("text", ["", "much", "-1", "0", "5T"])
def test_another_limit_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    message = rf"ONECYCLE_DECODE_LIMIT='{text}'.\nExpected a number of bytes, .*\nFix: set ONECYCLE_DECODE_LIMIT=1G."
    with pytest.raises(DataError, match=message):
        decode_limit()
    monkeypatch.setenv(VARIABLE, "1G")
    assert decode_limit() == 10**9


@pytest.mark.parametrize("read", [lambda path: decode(path, (8, 8)), read_mask_values], ids=["image", "mask"])
def test_an_image_beyond_the_limit_is_refused_and_the_fix_reads_it(
    read: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (5000, 3000)).save(tmp_path / "x.png")
    monkeypatch.setenv(VARIABLE, "10M")
    message = (
        r"x.png takes \d\d.\d MB to decode: 5000x3000 pixels, PNG of mode L.\n"
        r"Expected at most 10.0 MB, which is what decoding may take in a process.\n"
        r"Fix: resize the image; or if you trust it, set the environment variable ONECYCLE_DECODE_LIMIT=\d+M."
    )
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "x.png")
    monkeypatch.setenv(VARIABLE, re.search(r"LIMIT=(\w+)\.", str(caught.value))[1])
    assert read(tmp_path / "x.png").max() == 0


def bomb(kind: str, mode: str, width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    options = {"WEBP": {"lossless": True}, "TIFF": {"compression": "tiff_lzw", "tiffinfo": {278: height}}}.get(kind, {})
    Image.new(mode, (width, height)).save(buffer, kind, **options)
    return buffer.getvalue()


MEASURE = """
import json, sys, warnings
import numpy as np
from PIL import Image
from onecycle.vision import decode_memory
from onecycle.vision.decode import decode
from onecycle.vision.mask_files import read_mask_values
warnings.simplefilter("ignore")
Image.init()
decode(np.zeros((600, 600, 4), np.uint8), (224, 224))
needed, take = [], decode_memory._Budget.take
decode_memory._Budget.take = lambda self, count, limit: (needed.append(count), take(self, count, limit))
def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) * 1024
for path in sys.argv[1:]:
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS")
    (read_mask_values if "mask" in path else lambda path: decode(path, (224, 224)))(path)
    print(json.dumps([path, status("VmHWM") - before, needed.pop()]), flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is not told here")
def test_the_estimate_is_no_less_than_what_decoding_takes(tmp_path: Path) -> None:
    """Seen: a PNG of 21 KB took 3.1 GB, one of 16 bits 4.8 GB, RGBA 4.1 GB, WebP 2.7 GB, floats 3.6 GB."""
    kinds = [("PNG", "P"), ("PNG", "I;16"), ("PNG", "RGBA"), ("TIFF", "F"), ("GIF", "P")]
    kinds += [("WEBP", "RGB")] if features.check("webp") else []
    kinds += [("AVIF", "RGB")] if features.check("avif") else []
    paths = []
    for number, (kind, mode) in enumerate(kinds):
        paths.append(tmp_path / f"{number}_{kind}_{mode[0]}")
        paths[-1].write_bytes(bomb(kind, mode, 3000, 2000))
    paths.append(tmp_path / "mask.png")
    paths[-1].write_bytes(bomb("PNG", "L", 3000, 2000))
    command = [sys.executable, "-c", MEASURE, *map(str, paths)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == len(paths)
    for path, taken, needed in map(json.loads, lines):
        assert taken <= needed + 4e6, f"{path}: {taken / 1e6:.1f} MB of {needed / 1e6:.1f}"


def test_a_large_photo_is_read_scaled_within_the_limit(tmp_path: Path) -> None:
    Image.new("RGB", (12_000, 9_000), "red").save(tmp_path / "x.jpg")
    with pytest.warns(Image.DecompressionBombWarning):  # Pillow's own; nothing is refused
        pixels = decode(tmp_path / "x.jpg", (64, 64))
    assert np.abs(pixels.astype(int) - (255, 0, 0)).max() < 4


def test_threads_wait_for_one_another_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "100")
    image, inside, most, lock = Image.new("L", (1, 1)), 0, 0, threading.Lock()

    def work(needed: int) -> None:
        nonlocal inside, most
        with memory_for("x", image, needed):
            with lock:
                inside += needed
                most = max(most, inside)
            time.sleep(0.002)
            with lock:
                inside -= needed

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [60, 30, 100, 10] * 10))
    assert inside == 0
    assert most <= 100


def test_what_was_taken_is_given_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "100")
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), memory_for("x", Image.new("L", (1, 1)), 100):
            raise ZeroDivisionError


def _take_all(queue: "multiprocessing.Queue[str]") -> None:
    with memory_for("x", Image.new("L", (1, 1)), DEFAULT_LIMIT):
        queue.put("taken")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_worker_waits_for_none_of_its_parents_threads() -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with memory_for("x", Image.new("L", (1, 1)), DEFAULT_LIMIT):
        process = context.Process(target=_take_all, args=(queue,), daemon=True)
        process.start()
        assert queue.get(timeout=60) == "taken"
    process.join()
